"""Find a backup, and say which of its files hold which tables."""

from __future__ import annotations

import contextlib
import gzip
import re
import sys
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from restore.errors import BackupError

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

_TIMESTAMPED = re.compile(r"\d{8}_\d{6}$")
_TABLE_FILE = re.compile(
    r"(?P<table>.+)\.(?P<form>json|jsonl|ndjson)(?:\.(?P<compression>gz|zst))?$", re.DOTALL
)
_START_BYTES = 1 << 10
_UTF8_BOM = b"\xef\xbb\xbf"


def _zstd() -> ModuleType:
    """Import what reads Zstandard where it is needed: most backups need not wait for it."""
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415
    else:
        from backports import zstd  # noqa: PLC0415
    return zstd


class TableStream:
    """The bytes of one table file, decompressed.

    Attributes:
        fault: why the compressed data ends before its end; what came before it is delivered.
    """

    def __init__(self, path: Path, compression: str | None) -> None:
        self.fault: str | None = None
        self._path = path
        raw = path.open("rb", buffering=0)
        self._stream: Any = raw
        self._faults: tuple[type[Exception], ...] = ()
        if compression == "gz":
            self._stream = gzip.GzipFile(fileobj=raw)
            self._faults = (EOFError, zlib.error, gzip.BadGzipFile)
        elif compression == "zst":
            zstd = _zstd()
            self._stream = zstd.ZstdFile(raw)
            self._faults = (EOFError, zstd.ZstdError)
        # Where there is a read1, it gives what came before a fault; a read would lose it.
        self._read = getattr(self._stream, "read1", self._stream.read)

    def read(self, size: int, /) -> bytes:
        """Read up to ``size`` bytes; none at the end.

        Raises:
            BackupError: the file cannot be read.
        """
        try:
            return cast("bytes", self._read(size))
        except self._faults as error:
            self.fault = f"{self._path.name} is damaged: {error}"
            return b""
        except OSError as error:
            raise BackupError(f"cannot read {self._path}: {error.strerror or error}") from error

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file of a backup."""

    path: Path
    table: str
    compression: str | None

    def open(self) -> TableStream:
        """Open the file for reading.

        Raises:
            BackupError: it cannot be opened.
        """
        try:
            return TableStream(self.path, self.compression)
        except OSError as error:
            raise BackupError(f"cannot read {self.path}: {error.strerror or error}") from error

    def start(self) -> bytes:
        """Return the file's first bytes, without a byte order mark and white space.

        Raises:
            BackupError: it cannot be read at all.
        """
        with contextlib.closing(self.open()) as stream:
            start = stream.read(_START_BYTES)
            if stream.fault is not None and not start:
                raise BackupError(f"cannot read {self.path}: {stream.fault}")
        return start.removeprefix(_UTF8_BOM).lstrip()


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was found: its folder (or single file) and its table files, by name."""

    path: Path
    files: tuple[TableFile, ...]
    newest: bool = False


def find_backup(path: Path) -> Backup:
    """Find the backup that ``path`` means.

    Args:
        path: a backup folder, a root of timestamped ones (the newest is taken), or a table file.

    Raises:
        BackupError: there is none, or it holds no table file, or holds a table twice.
    """
    try:
        return _find(path)
    except OSError as error:
        raise BackupError(f"cannot read {error.filename}: {error.strerror}") from error


def _find(path: Path) -> Backup:
    if path.is_file():
        single = _table_file(path)
        if single is None:
            raise BackupError(f"{path} is no table file: its name should end in .json or .jsonl")
        return Backup(path, (single,))
    if not path.is_dir():
        raise BackupError(f"no backup at {path}: give a folder of table files, such as users.json")
    folder = _newest(path)
    files = tuple(_table_files(folder))
    if not files:
        raise BackupError(f"no table files in {folder}: expected files such as users.json")
    seen: dict[str, Path] = {}
    for file in files:
        if file.table in seen:
            raise BackupError(
                f"{file.path.name} and {seen[file.table].name} in {folder} both hold table"
                f" {file.table}: move one of them away"
            )
        seen[file.table] = file.path
    return Backup(folder, files, newest=folder != path)


def _newest(root: Path) -> Path:
    """Return the newest timestamped folder in ``root``, or ``root`` where it has none."""
    stamped = [p for p in root.iterdir() if p.is_dir() and _TIMESTAMPED.fullmatch(p.name)]
    return max(stamped, key=lambda p: p.name, default=root)


def _table_files(folder: Path) -> list[TableFile]:
    files = []
    for path in sorted(folder.iterdir()):
        file = _table_file(path)
        if file is not None and not path.is_file():
            raise BackupError(f"{path} is named as a table file, but is none: restore or remove it")
        if file is not None:
            files.append(file)
    return files


def _table_file(path: Path) -> TableFile | None:
    match = _TABLE_FILE.fullmatch(path.name)
    if match is None:
        return None
    return TableFile(path, match["table"], match["compression"])
