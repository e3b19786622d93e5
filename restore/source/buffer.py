"""A read buffer: the part of a file that is in memory, and its offset in the file."""

from __future__ import annotations

from typing import Protocol

UTF8_BOM = b"\xef\xbb\xbf"
WHITESPACE = b" \t\r\n"
# White space before a first record of which no more than its end is kept, for its indentation.
_INDENT_BYTES = 1 << 10
# Python allocates as much as a read asks for, however little there is.
_LARGEST_READ_BYTES = 1 << 26
# Chunks of the usual size, and the few copies of them that live at a time, are smaller than this.
# Twice as much is as fast, and holds 1.4 MB more.
_KEPT_BYTES = 1 << 19


class ByteSource(Protocol):
    """A stream of bytes: ``read`` returns up to ``size`` of them, and none at the end.

    If it has a ``span`` that is not None, it yields only these bytes of a file; if it has a
    ``start``, this is the offset of the first of them.
    """

    def read(self, size: int, /) -> bytes:
        """Read up to ``size`` bytes."""


class Prefixed:
    """A stream with bytes put in front.

    ``start``: the offset of the first of these bytes in the file.
    """

    span = None

    def __init__(self, held: bytes, stream: ByteSource, start: int = 0) -> None:
        self.start = start
        self._held = held
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        """Read up to ``size`` bytes; none at the end."""
        part, self._held = self._held[:size], self._held[size:]
        return part or self._stream.read(size)


def _keep_memory() -> None:
    """Make the allocator keep the memory of chunks for the next ones.

    By itself glibc maps blocks from 128 KiB on afresh, and gives free memory back to the system:
    then the pages of each chunk are made anew, which costs more than reading it. Once a larger
    block was freed, it keeps what is smaller (mallopt(3), M_MMAP_THRESHOLD).
    """
    bytearray(_KEPT_BYTES)  # never touched: it takes no memory


class ReadBuffer:
    """Holds the bytes that were read and are not consumed yet.

    Attributes:
        data: the bytes.
        offset: offset in the file of the first of them, or of the next to come.
        ended: nothing follows them.
        bytes_read: how much of the stream has been read.
    """

    def __init__(self, stream: ByteSource, offset: int) -> None:
        _keep_memory()
        self.data = b""
        self.offset = offset
        self.ended = False
        self.bytes_read = 0
        self._stream = stream

    def read(self, size: int) -> bytes:
        """Read up to ``size`` bytes without keeping them; return none at the end."""
        part = self._stream.read(size)
        self.ended = not part
        self.bytes_read += len(part)
        return part

    def fill(self, wanted: int) -> None:
        """Read until ``wanted`` more bytes are held or the file ends."""
        parts = [self.data]
        while wanted > 0 and not self.ended:
            part = self.read(min(wanted, _LARGEST_READ_BYTES))
            parts.append(part)
            wanted -= len(part)
        self.data = b"".join(parts)

    def consume(self, count: int) -> None:
        """Remove the first ``count`` bytes."""
        self.data = self.data[count:]
        self.offset += count

    def strip(self, what: bytes) -> None:
        """Remove all leading bytes that are in ``what``."""
        self.consume(len(self.data) - len(self.data.lstrip(what)))

    def skip_bom(self) -> None:
        """Remove a byte order mark at the start of the file."""
        self.fill(len(UTF8_BOM) - len(self.data))
        self.consume(len(UTF8_BOM) if self.data.startswith(UTF8_BOM) else 0)

    def skip_whitespace(self, chunk_bytes: int) -> bytes:
        """Remove leading white space, reading on if needed; return the last part of it."""
        gap = b""
        self.fill(1 - len(self.data))
        while self.data and self.data[0] in WHITESPACE:
            white = len(self.data) - len(self.data.lstrip(WHITESPACE))
            gap = (gap + self.data[max(0, white - _INDENT_BYTES) : white])[-_INDENT_BYTES:]
            self.consume(white)
            self.fill(0 if self.data else chunk_bytes)
        return gap
