"""Lists and reads the files in a ZIP or tar archive, without unpacking it to the disk."""

from __future__ import annotations

import posixpath
import re
import stat
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from restore.errors import BackupError
from restore.source.compression import open_decompressed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from restore.remote.path import BackupPath

ARCHIVE_ERRORS = (EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError, NotImplementedError)
_ARCHIVE = re.compile(
    r".+\.(?:(?P<zip>zip)|(?:tar(?:\.(?P<tar>gz|zst|xz|bz2))?|t(?P<short>gz|zst|xz|bz2)))",
    re.IGNORECASE | re.DOTALL,
)
_LONGEST_PATH = 4096
_MODE_BITS = 16  # where the mode of a file stands in what a ZIP archive says of it
_IS_ENCRYPTED = 0x1  # a bit of the flags in a ZIP archive's directory
_ZIP_FILE = b"PK\x03\x04"  # what a file in a ZIP archive begins with
_KILOBYTE = 1 << 10
_READ_BYTES = 1 << 20


class Member(NamedTuple):
    """A file in an archive.

    Args:
        name: its path there.
        size_bytes: its size, unpacked.
        disk_bytes: about how much of the archive it takes.
        number: its place among the archive's files; two of them may have one name.
        is_elsewhere: it is a link to what is not in the archive.
    """

    name: str
    size_bytes: int
    disk_bytes: int
    number: int
    is_elsewhere: bool = False

    def open(self, archive: BackupPath) -> MemberFile:
        """Open it for reading, from its start.

        Raises:
            OSError: the archive cannot be read, or has changed.
        """
        return MemberFile(archive, self)


class MemberFile:
    """The bytes of a file in an archive."""

    def __init__(self, archive: BackupPath, member: Member) -> None:
        self._member = member
        self._position = 0
        self._opened: list[Any] = []
        match = _ARCHIVE.fullmatch(archive.name)
        try:
            if match is not None and match["zip"]:
                raw = archive.open("rb")
                self._opened.append(raw)
                opened = zipfile.ZipFile(raw)
                self._opened.append(opened)
                self._file: Any = opened.open(opened.infolist()[member.number])
            else:
                self._file = self._find_in_tar(archive)
            self._opened.append(self._file)
        except (*ARCHIVE_ERRORS, IndexError, RuntimeError) as error:
            self.close()
            raise OSError(f"{archive.name} is damaged: {error}") from error

    def _find_in_tar(self, archive: BackupPath) -> Any:  # noqa: ANN401 - a binary file
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


def is_archive(path: BackupPath) -> bool:
    """Tell if a file is named as an archive."""
    return _ARCHIVE.fullmatch(path.name) is not None


def list_members(archive: BackupPath) -> list[Member]:
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
        raise BackupError(
            f"cannot read {archive}: the archive is damaged: {error}; get a whole copy, or"
            " unpack what can be read and restore that folder"
        ) from error


def _list_zip(archive: BackupPath) -> list[Member]:
    with archive.open("rb") as raw, zipfile.ZipFile(raw) as opened:
        infos = opened.infolist()
        start = min((info.header_offset for info in infos), default=0)
        raw.seek(0)
        if start and raw.read(len(_ZIP_FILE)) == _ZIP_FILE:
            raise zipfile.BadZipFile(
                "more stands before its first file, as where archives were joined"
            )
        if any(info.flag_bits & _IS_ENCRYPTED for info in infos):
            raise BackupError(f"cannot read {archive}: it is encrypted; unpack it first")
        members, links = [], []
        for number, info in enumerate(infos):
            if stat.S_ISLNK(info.external_attr >> _MODE_BITS):
                with opened.open(info) as file:
                    target = file.read(_LONGEST_PATH).decode(errors="replace")
                links.append((info.filename, _beside(info.filename, target)))
            elif not info.is_dir():
                size, packed = info.file_size, info.compress_size
                members.append(Member(info.filename, size, packed, number))
    return [*members, *_linked(members, links)]


def _list_tar(archive: BackupPath) -> list[Member]:
    opened: list[Any] = []
    infos, links = [], []
    try:
        for number, info in enumerate(_open_tar(archive, opened)):
            if info.isfile():
                infos.append((number, info.name, info.size))
            elif info.islnk():
                links.append((info.name, info.linkname))
            elif info.issym():
                links.append((info.name, _beside(info.name, info.linkname)))
        _read_to_end(opened)
    finally:
        while opened:
            opened.pop().close()
    total = sum(size + _KILOBYTE for _, _, size in infos)
    share = archive.stat().st_size / max(1, total)
    members = [Member(name, size, int(size * share), number) for number, name, size in infos]
    return [*members, *_linked(members, links)]


def _beside(link: str, target: str) -> str:
    """Return the path that a symbolic link leads to."""
    return posixpath.join(posixpath.dirname(link), target)


def _linked(members: list[Member], links: list[tuple[str, str]]) -> Iterator[Member]:
    """Yield the files that links lead to, each under the link's name.

    Args:
        members: the archive's files.
        links: the path of each link, and the path in the archive that it leads to.
    """
    by_name = {posixpath.normpath(member.name): member for member in members}
    missing = Member("", 0, 0, -1, is_elsewhere=True)
    for name, target in links:
        yield by_name.get(posixpath.normpath(target), missing)._replace(name=name)


def _read_to_end(opened: list[Any]) -> None:
    """Read what follows the archive's end mark: zeros, and the checksum of the compressed bytes.

    Raises:
        tarfile.ReadError: more follows, which tarfile passes over.
    """
    [_, _, tar] = opened
    while part := tar.fileobj.read(_READ_BYTES):
        if any(part):
            raise tarfile.ReadError(
                "more follows behind its end mark, as where archives were joined"
            )


class _Header(tarfile.TarInfo):
    """A header of a tar archive. One that is damaged or missing is an error.

    ``tarfile`` takes such a one behind the first file for the end of the archive. The end mark is
    a block of zeros: see tar(5).
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Make it from a block.

        Raises:
            tarfile.HeaderError: the archive ends here.
            tarfile.ReadError: it is damaged.
        """
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if buf and not any(buf):
                raise
            fault = "it ends without its end mark" if not buf else f"{error} of a file in it"
            raise tarfile.ReadError(fault) from error


class _Decompressed:
    """A stream of decompressed bytes, for tarfile: damage is an error of the archive."""

    def __init__(self, raw: Any, compression: str | None) -> None:  # noqa: ANN401 - a binary file
        self._stream, self._faults = open_decompressed(raw, compression)

    def read(self, size: int, /) -> bytes:
        """Read up to ``size`` bytes; none at the end.

        Raises:
            tarfile.ReadError: they are damaged.
        """
        try:
            part: bytes = self._stream.read(size)
        except self._faults as error:
            raise tarfile.ReadError(str(error)) from error
        return part

    def close(self) -> None:
        """Close the decompressor."""
        self._stream.close()


def _open_tar(archive: BackupPath, opened: list[Any]) -> tarfile.TarFile:
    """Open a tar archive for reading in its order.

    Args:
        archive: the archive.
        opened: receives what is to be closed: the file, its decompressed bytes, the archive.
    """
    match = _ARCHIVE.fullmatch(archive.name)
    compression = (match["tar"] or match["short"]) if match else None
    raw = archive.open("rb")
    opened.append(raw)
    stream = _Decompressed(raw, compression and compression.lower())
    opened.append(stream)
    tar = tarfile.open(  # noqa: SIM115 - the caller closes it
        fileobj=cast("Any", stream), mode="r|", tarinfo=_Header
    )
    opened.append(tar)
    return tar
