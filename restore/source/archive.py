"""Lists and reads the files in a ZIP or tar archive, without unpacking it to the disk."""

from __future__ import annotations

import re
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

from restore.errors import BackupError
from restore.source.compression import open_decompressed

if TYPE_CHECKING:
    from pathlib import Path

ARCHIVE_ERRORS = (EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError, NotImplementedError)
_ARCHIVE = re.compile(
    r".+\.(?:(?P<zip>zip)|(?:tar(?:\.(?P<tar>gz|zst|xz|bz2))?|t(?P<short>gz|zst|xz|bz2)))",
    re.IGNORECASE | re.DOTALL,
)
_IS_ENCRYPTED = 0x1  # a bit of the flags in a ZIP archive's directory
_KILOBYTE = 1 << 10


class Member(NamedTuple):
    """A file in an archive.

    Args:
        name: its path there.
        size_bytes: its size, unpacked.
        disk_bytes: about how much of the archive it takes.
        number: its place among the archive's files; two of them may have one name.
    """

    name: str
    size_bytes: int
    disk_bytes: int
    number: int

    def open(self, archive: Path) -> MemberFile:
        """Open it for reading, from its start.

        Raises:
            OSError: the archive cannot be read, or has changed.
        """
        return MemberFile(archive, self)


class MemberFile:
    """The bytes of a file in an archive."""

    def __init__(self, archive: Path, member: Member) -> None:
        self._member = member
        self._position = 0
        self._opened: list[Any] = []
        match = _ARCHIVE.fullmatch(archive.name)
        try:
            if match is not None and match["zip"]:
                opened = zipfile.ZipFile(archive)
                self._opened.append(opened)
                self._file: Any = opened.open(opened.infolist()[member.number])
            else:
                self._file = self._find_in_tar(archive)
            self._opened.append(self._file)
        except (*ARCHIVE_ERRORS, IndexError, RuntimeError) as error:
            self.close()
            raise OSError(f"{archive.name} is damaged: {error}") from error

    def _find_in_tar(self, archive: Path) -> Any:  # noqa: ANN401 - a binary file
        tar = _open_tar(archive, self._opened)
        for number, info in enumerate(tar):
            if number == self._member.number:
                return tar.extractfile(info)
        raise tarfile.ReadError(f"it has no {self._member.name} any more")

    def read(self, size: int = -1, /) -> bytes:
        """Read up to ``size`` bytes; none at the end."""
        part: bytes = self._file.read(size)
        self._position += len(part)
        return part

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into a buffer; return how many bytes."""
        part = self.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def tell(self) -> int:
        """Return how much of the archive was read for it, about."""
        return self._member.disk_bytes * self._position // max(1, self._member.size_bytes)

    def close(self) -> None:
        """Close the archive."""
        while self._opened:
            self._opened.pop().close()


def is_archive(path: Path) -> bool:
    """Tell if a file is named as an archive."""
    return _ARCHIVE.fullmatch(path.name) is not None


def list_members(archive: Path) -> list[Member]:
    """Return the files in an archive, in its order. A compressed tar archive is read through.

    Raises:
        BackupError: it is damaged or encrypted.
        OSError: it cannot be read.
    """
    match = _ARCHIVE.fullmatch(archive.name)
    try:
        if match is not None and match["zip"]:
            return _list_zip(archive)
        return _list_tar(archive)
    except ARCHIVE_ERRORS as error:
        raise BackupError(f"cannot read {archive}: the archive is damaged: {error}") from error


def _list_zip(archive: Path) -> list[Member]:
    with zipfile.ZipFile(archive) as opened:
        infos = opened.infolist()
    if any(info.flag_bits & _IS_ENCRYPTED for info in infos):
        raise BackupError(f"cannot read {archive}: it is encrypted; unpack it first")
    return [
        Member(info.filename, info.file_size, info.compress_size, number)
        for number, info in enumerate(infos)
        if not info.is_dir()
    ]


def _list_tar(archive: Path) -> list[Member]:
    opened: list[Any] = []
    try:
        infos = [
            (number, info.name, info.size)
            for number, info in enumerate(_open_tar(archive, opened))
            if info.isfile()
        ]
    finally:
        while opened:
            opened.pop().close()
    total = sum(size + _KILOBYTE for _, _, size in infos)
    share = archive.stat().st_size / max(1, total)
    return [Member(name, size, int(size * share), number) for number, name, size in infos]


def _open_tar(archive: Path, opened: list[Any]) -> tarfile.TarFile:
    """Open a tar archive for reading in its order; ``opened`` receives what is to be closed."""
    match = _ARCHIVE.fullmatch(archive.name)
    compression = (match["tar"] or match["short"]) if match else None
    raw = archive.open("rb")
    opened.append(raw)
    stream, faults = open_decompressed(raw, compression and compression.lower())
    opened.append(stream)
    try:
        tar = tarfile.open(fileobj=stream, mode="r|")  # noqa: SIM115 - the caller closes it
    except faults as error:
        raise tarfile.ReadError(str(error)) from error
    opened.append(tar)
    return tar
