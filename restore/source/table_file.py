"""One file of a backup: its table, its state when found, and its decompressed bytes."""

from __future__ import annotations

import contextlib
import gzip
import os
import sys
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from restore.errors import BackupError
from restore.source.buffer import UTF8_BOM
from restore.source.foreign import START_BYTES

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

_SKIP_BYTES = 1 << 20
# RFC 7464: each record of a JSON text sequence stands between a record separator and a line end.
_SEPARATOR, _START_BYTES = b"\x1e", 64


def _zstd() -> ModuleType:
    """Import the Zstandard module only if it is needed."""
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415
    else:
        from backports import zstd  # noqa: PLC0415
    return zstd


@dataclass(frozen=True, slots=True)
class Span:
    """The inside of an array: which bytes of a decompressed file are between its brackets.

    Args:
        start: the offset of the byte after the opening bracket.
        end: the offset of the closing bracket, or of the file's end.
        closed: there is a closing bracket.
    """

    start: int
    end: int
    closed: bool


class FileState(NamedTuple):
    """A file's size, and its modification time in nanoseconds."""

    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> FileState:
        """Read the state of a file.

        Raises:
            OSError: the file is gone, say.
        """
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table file of a backup, or one list of records in an envelope.

    Args:
        path: the file.
        table: the table's name: the file's without its endings, or the key.
        compression: ``gz``, ``zst`` or None.
        span: where in the file, decompressed, the records stand; None: all of it.
        disk: from where to where in the file as it lies on the disk; None: all of it.
        nested: what the file holds if it is no record of its table but an envelope of several:
            only who knows the database's tables can tell.
        others: then, keys that hold no list of records.
        is_object: the file, decompressed, is one JSON object.
        state: the file's when the backup was found; None: not known.
    """

    path: Path
    table: str
    compression: str | None
    span: Span | None = None
    disk: tuple[int, int] | None = None
    nested: tuple[TableFile, ...] = ()
    others: tuple[str, ...] = ()
    is_object: bool = False
    state: FileState | None = None

    @property
    def name(self) -> str:
        """The name to show: ``users.json``, or ``dump.json: users``."""
        own = self.span is None or self.path.name.startswith(f"{self.table}.")
        return self.path.name if own else f"{self.path.name}: {self.table}"

    @property
    def disk_bytes(self) -> int:
        """How many bytes have to be read from the disk, for the progress of a load."""
        return self.disk[1] - self.disk[0] if self.disk else self.file_bytes

    @property
    def file_bytes(self) -> int:
        """Size of the whole file when the backup was found."""
        return (self.state or FileState.of(self.path)).size_bytes

    def change(self) -> str | None:
        """Return how the file changed since the backup was found; None: it did not."""
        if self.state is None:
            return None
        try:
            now = FileState.of(self.path)
        except OSError as error:
            return f"changed while it was read: it is gone ({error.strerror})"
        if now == self.state:
            return None
        return (
            f"changed while it was read: {self.state.size_bytes:,} bytes at the start,"
            f" {now.size_bytes:,} at the end"
        )

    def open(self, part: tuple[int, int | None] | None = None) -> TableStream:
        """Open the file at the start of its records, or of a part of them.

        What was added to a file since the backup was found is not read.

        Raises:
            BackupError: it cannot be opened.
        """
        if self.state is not None and self.compression is None and self.span is None:
            start, end = part or (0, None)
            part = (start, self.state.size_bytes if end is None else end)
        try:
            return TableStream(self.path, self.compression, self.span, self.disk, part)
        except OSError as error:
            raise BackupError(f"cannot read {self.path}: {error.strerror or error}") from error

    def first_bytes(self) -> bytes:
        """Return the file's first bytes, without a byte order mark and white space.

        Raises:
            BackupError: it cannot be read at all.
        """
        whole = TableFile(self.path, self.table, self.compression)
        with contextlib.closing(whole.open()) as stream:
            start = stream.read(START_BYTES).removeprefix(UTF8_BOM).lstrip()
            while not start and (more := stream.read(START_BYTES)):
                start = more.lstrip()
            if stream.fault is not None and not start:
                raise BackupError(f"cannot read {self.path}: {stream.fault}")
        return start


class TableStream:
    """The decompressed bytes of one table file.

    Args:
        path: the file.
        compression: ``gz``, ``zst`` or None.
        span: give these bytes alone.
        disk: about where these are in the file as it lies on the disk.
        part: give of them, or of the file, these alone: from where to where; None: to the end. Not
            for compressed files.

    Attributes:
        fault: why the compressed data ends before its end; what came before it is delivered.
        span: as given.
        start: where in the file, decompressed, the first byte stands.
        disk_bytes: the size of the file as it lies on the disk.
        compressed: it holds other bytes than are given.
    """

    def __init__(
        self,
        path: Path,
        compression: str | None,
        span: Span | None = None,
        disk: tuple[int, int] | None = None,
        part: tuple[int, int | None] | None = None,
    ) -> None:
        self.fault: str | None = None
        self.span = span
        self.compressed = compression is not None
        self._path = path
        self._raw = path.open("rb", buffering=0)
        self.disk_bytes = os.fstat(self._raw.fileno()).st_size
        self._consumed = 0
        whole = (span.start, span.end) if span else (0, None)
        self.start, end = part or whole
        end = whole[1] if end is None else end
        self._left = None if end is None else end - self.start
        self._disk = disk or (0, self.disk_bytes)
        if part:
            self._disk = (self.start, self.disk_bytes if end is None else end)
        self._stream: Any = self._raw
        self._faults: tuple[type[Exception], ...] = ()
        if compression == "gz":
            self._stream = gzip.GzipFile(fileobj=self._raw)
            self._faults = (EOFError, zlib.error, gzip.BadGzipFile)
        elif compression == "zst":
            zstd = _zstd()
            self._stream = zstd.ZstdFile(self._raw)
            self._faults = (EOFError, zstd.ZstdError)
        self._is_sequence: bool | None = None
        if compression is None:
            self._is_sequence = _starts_sequence(self._raw.read(_START_BYTES))
            self._raw.seek(0)
        self._last = b"\n"
        # Where there is a read1, it gives what came before a fault; a read would lose it.
        self._read = getattr(self._stream, "read1", self._stream.read)
        if self.start:
            self._skip(self.start)

    @property
    def disk_bytes_read(self) -> int:
        """How many bytes of the file, or of the span's part of it, were read from the disk.

        Any thread may ask, at any time.
        """
        first, last = self._disk
        return max(0, min(self._consumed, last) - first)

    def read(self, size: int, /) -> bytes:
        """Read up to ``size`` bytes; none at the end.

        Raises:
            BackupError: the file cannot be read.
        """
        if self._left is None:
            return self._some(size)
        part = self._some(min(size, self._left)) if self._left else b""
        self._left -= len(part)
        return part

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        self._raw.close()

    def _some(self, size: int) -> bytes:
        try:
            part = cast("bytes", self._read(size))
            self._consumed = self._raw.tell()
        except self._faults as error:
            self.fault = f"{self._path.name} is damaged: {error}"
            return b""
        except OSError as error:
            raise BackupError(f"cannot read {self._path}: {error.strerror or error}") from error
        if self._is_sequence is None:
            self._is_sequence = _starts_sequence(part)
        return self._separated(part) if self._is_sequence else part

    def _separated(self, part: bytes) -> bytes:
        """Turn the records of a sequence into lines, without moving a byte."""
        text = (self._last + part).replace(b"\n" + _SEPARATOR, b"\n ").replace(_SEPARATOR, b"\n")
        self._last = part[-1:] or self._last
        return text[1:]

    def _skip(self, count: int) -> None:
        if self._stream is self._raw:
            self._raw.seek(count)
            return
        while count and (part := self._some(min(count, _SKIP_BYTES))):
            count -= len(part)


def _starts_sequence(start: bytes) -> bool:
    """Tell if a file with this start is a JSON text sequence."""
    return start.removeprefix(UTF8_BOM).lstrip().startswith(_SEPARATOR)
