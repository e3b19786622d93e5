"""The decompressed bytes of one table file, or of a part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from restore.errors import BackupError
from restore.remote.path import RemotePath
from restore.source.archive import ARCHIVE_ERRORS
from restore.source.buffer import UTF8_BOM
from restore.source.compression import open_decompressed

if TYPE_CHECKING:
    from restore.remote.path import BackupPath
    from restore.source.archive import Member

_SKIP_BYTES = 1 << 20
# RFC 7464: each record of a JSON text sequence stands between a record separator and a line end.
_SEPARATOR, _START_BYTES = b"\x1e", 64


class Span(Struct, frozen=True):
    """The inside of an array: which bytes of a decompressed file are between its brackets.

    Args:
        start: the offset of the byte after the opening bracket.
        end: the offset of the closing bracket, or of the file's end.
        closed: there is a closing bracket.
        fault: damage elsewhere in the file, where records may be missing; None: there is none.
    """

    start: int
    end: int
    closed: bool
    fault: str | None = None


class TableStream:
    """The decompressed bytes of one table file.

    Args:
        path: the file, or the archive that it is in.
        compression: one of ``COMPRESSIONS``, or None.
        span: give these bytes alone.
        disk: about where these are in the file as it lies on the disk.
        part: give of them, or of the file, these alone: from where to where; None: to the end. Not
            for compressed files.
        member: the file in the archive; None: it is in none.

    Attributes:
        fault: why the compressed data ends before its end; what came before it is delivered.
        span: as given.
        start: where in the file, decompressed, the first byte stands.
        disk_bytes: the size of the file as it lies on the disk.
        compressed: it holds other bytes than are given.
    """

    def __init__(
        self,
        path: BackupPath,
        compression: str | None,
        span: Span | None = None,
        disk: tuple[int, int] | None = None,
        part: tuple[int, int | None] | None = None,
        *,
        member: Member | None = None,
    ) -> None:
        self.fault = span.fault if span else None
        self.span = span
        self.compressed = not (compression is None and member is None)
        self._name = path.name if member is None else member.name
        whole = (span.start, span.end) if span else (0, None)
        self.start, end = part or whole
        end = whole[1] if end is None else end
        limit = None if self.compressed else end
        self._raw = cast("Any", member.open(path) if member else _open(path, limit))
        self.disk_bytes = path.stat().st_size if member is None else member.disk_bytes
        self._consumed = 0
        self._left = None if end is None else end - self.start
        self._disk = disk or (0, self.disk_bytes)
        if part:
            self._disk = (self.start, self.disk_bytes if end is None else end)
        self._stream, self._faults = open_decompressed(self._raw, compression)
        if member is not None:
            self._faults += ARCHIVE_ERRORS
        self._is_sequence: bool | None = None
        if not self.compressed:
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
            self.fault = f"{self._name} is damaged: {error}"
            return b""
        except OSError as error:
            raise BackupError(f"cannot read {self._name}: {error.strerror or error}") from error
        if self._is_sequence is None:
            self._is_sequence = _starts_sequence(part)
        return self._separated(part) if self._is_sequence else part

    def _separated(self, part: bytes) -> bytes:
        """Turn the records of a sequence into lines, without moving a byte."""
        text = (self._last + part).replace(b"\n" + _SEPARATOR, b"\n ").replace(_SEPARATOR, b"\n")
        self._last = part[-1:] or self._last
        return text[1:]

    def _skip(self, count: int) -> None:
        if not self.compressed:
            self._raw.seek(count)
            return
        while count and (part := self._some(min(count, _SKIP_BYTES))):
            count -= len(part)


def _open(path: BackupPath, end: int | None) -> object:
    """Open a file; of a remote one no more is fetched than is read, up to ``end``."""
    return path.open("rb", end) if isinstance(path, RemotePath) else path.open("rb", 0)


def _starts_sequence(start: bytes) -> bool:
    """Tell if a file with this start is a JSON text sequence."""
    return start.removeprefix(UTF8_BOM).lstrip().startswith(_SEPARATOR)
