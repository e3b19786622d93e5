"""The bytes of a table file, decompressed: all of them, or those of one array in it."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from restore.errors import BackupError

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

_SKIP_BYTES = 1 << 20
# RFC 7464: each record of a JSON text sequence stands between a record separator and a line end.
_SEPARATOR, _START_BYTES = b"\x1e", 64
_UTF8_BOM = b"\xef\xbb\xbf"


def _zstd() -> ModuleType:
    """Import what reads Zstandard where it is needed: most backups need not wait for it."""
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415
    else:
        from backports import zstd  # noqa: PLC0415
    return zstd


@dataclass(frozen=True, slots=True)
class Span:
    """Which bytes of a file, decompressed, are the inside of an array: between its brackets.

    Args:
        start: the offset of the byte after the opening bracket.
        end: the offset of the closing bracket, or of the file's end.
        closed: there is a closing bracket.
    """

    start: int
    end: int
    closed: bool


class TableStream:
    """The bytes of one table file, decompressed.

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
        """How much has been read of the file as it lies on the disk, or of the span's part of it.

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
        """Make lines of the records of a sequence, with no byte moved."""
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
    """Tell whether a file that starts so is a JSON text sequence."""
    return start.removeprefix(_UTF8_BOM).lstrip().startswith(_SEPARATOR)
