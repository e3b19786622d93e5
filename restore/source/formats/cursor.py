"""A cursor in a stream of JSON: goes into objects and lists, and past values, with offsets."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import msgspec

from restore.source.buffer import UTF8_BOM, Prefixed, ReadBuffer
from restore.source.formats.format import DamagedError
from restore.source.json_values import DECODE_ERRORS, members_of, value_end
from restore.source.reader import Reader
from restore.source.records import Batch, RawRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.source.buffer import ByteSource

CHUNK_BYTES = 1 << 18
LARGEST_VALUE_BYTES = 1 << 26
# Lists are cut off together at one of the last places in the buffer where one may end: a list in a
# list looks alike. If that fails, so many items are cut off alone, which costs more.
_BETWEEN_LISTS = re.compile(rb"\]\s*,\s*(?=\[)")
_TAIL_BYTES, _MOST_CUTS, _ITEMS_ALONE = 1 << 14, 16, 200
_text = msgspec.json.Decoder(str).decode


class Cursor:
    """Reads one JSON value of any size from a stream, part by part.

    >>> cursor = Cursor(io.BytesIO(b'{"name": "users", "data": [{"id": 1}, {"id": 2}]}'))
    >>> for key in cursor.members():
    ...     if key == "data":
    ...         rows = [(record.raw, record.offset) for record in cursor.records()]
    >>> rows
    [(b'{"id": 1}', 27), (b'{"id": 2}', 38)]
    """

    def __init__(self, stream: ByteSource, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._stream = stream
        self._chunk_bytes = chunk_bytes
        self._buffer = ReadBuffer(stream, getattr(stream, "start", 0))
        self._buffer.skip_bom()

    @property
    def offset(self) -> int:
        """Where in the file the next byte stands."""
        return self._buffer.offset

    def peek(self) -> bytes:
        """Return the next byte that is no white space, without passing it; none at the end."""
        self._buffer.skip_whitespace(self._chunk_bytes)
        return self._buffer.data[:1]

    def members(self) -> Iterator[str | None]:
        """Go into the next value, an object or a list, and yield each key; None in a list.

        A member that the caller has not read when it asks for the next one is passed. After the
        last one the cursor stands behind the value.

        Raises:
            DamagedError: it is neither, or damaged, or cut off.
        """
        opening = self.peek()
        if opening not in (b"{", b"["):
            raise self._error("an object or a list is expected")
        self._buffer.consume(1)
        closing = b"}" if opening == b"{" else b"]"
        while self.peek() != closing:
            key = None
            if opening == b"{":
                key = self._key()
            self.peek()
            start = self.offset
            yield key
            if self.offset == start:
                self.skip()
            if self.peek() == b",":
                self._buffer.consume(1)
            elif self.peek() != closing:
                raise self._error("a comma or a closing bracket is expected")
        self._buffer.consume(1)

    def value(self) -> bytes:
        """Read the next value whole; return its bytes.

        Raises:
            DamagedError: it is damaged or cut off, or larger than 64 MiB.
        """
        self.peek()
        buffer, wanted = self._buffer, self._chunk_bytes
        while True:
            data = buffer.data
            end = value_end(data, 0, len(data)) if data else None
            if end is None and buffer.ended and data and data[0] not in b'{["':
                end = len(data)
            if end is not None:
                break
            if buffer.ended:
                raise self._error("this value is truncated")
            if len(data) > LARGEST_VALUE_BYTES:
                raise self._error("this value is larger than 64 MiB")
            buffer.fill(wanted)
            wanted *= 2
        if end == 0:
            raise self._error("a value is expected")
        buffer.consume(end)
        return data[:end]

    def skip(self) -> None:
        """Pass the next value.

        Raises:
            DamagedError: as by ``value``.
        """
        if self.peek() in (b"{", b"["):
            for _ in self.members():
                pass
        else:
            self.value()

    def end(self) -> None:
        """Check that the file ends behind the value that was read.

        Raises:
            DamagedError: something follows.
        """
        if self.peek():
            raise self._error("more follows its only value; keep one JSON value in a file")

    def records(self) -> Iterator[RawRecord]:
        """Yield the members of the next value, a list of objects, whole or damaged.

        Raises:
            DamagedError: it is no list.
        """
        if self.peek() != b"[":
            raise self._error("a list is expected")
        start = self.offset
        held, self._buffer.data = self._buffer.data, b""
        reader = Reader(
            Prefixed(held, self._stream), self._chunk_bytes, members_of, more_follows=True
        )
        for found in reader:
            if isinstance(found, Batch):
                yield from (_moved(found.record(n), start) for n in range(found.count))
            else:
                yield _moved(found.record, start)
        if reader.stop is None:
            raise DamagedError("the file is truncated: its list is not closed")
        self._buffer.data, self._buffer.offset = reader.rest, start + reader.stop

    def items(self) -> Iterator[RawRecord]:
        """Yield the items of the next value, a list, whatever they are.

        Objects are as by ``records``, other items are not checked.

        Raises:
            DamagedError: it is no list, or damaged between its items, or cut off.
        """
        if self.peek() != b"[":
            raise self._error("a list is expected")
        buffer = self._buffer
        # The white space before a first object tells the reader where others may begin.
        while not buffer.data[1:].lstrip() and not buffer.ended:
            buffer.fill(self._chunk_bytes)
        if buffer.data[1:].lstrip().startswith(b"{"):
            yield from self.records()
            return
        buffer.consume(1)
        while self.peek() != b"]":
            batch = self._cut_lists()
            if batch is not None:
                yield from (batch.record(n) for n in range(batch.count))
                continue
            for _ in range(_ITEMS_ALONE):
                offset = self.offset
                yield RawRecord(self.value(), offset, 0)
                if self.peek() == b"]":
                    break
                if self.peek() != b",":
                    raise self._error("a comma or a closing bracket is expected")
                self._buffer.consume(1)
                self.peek()
        self._buffer.consume(1)

    def _cut_lists(self) -> Batch | None:
        """Cut lists off the buffer's start as far as the last of them; None: it is not found."""
        buffer = self._buffer
        buffer.fill(self._chunk_bytes - len(buffer.data))
        data = buffer.data
        ends = list(_BETWEEN_LISTS.finditer(data, max(0, len(data) - _TAIL_BYTES)))
        for found in reversed(ends[-_MOST_CUTS:]):
            array = b"".join((b"[", memoryview(data)[: found.start() + 1], b"]"))
            with contextlib.suppress(*DECODE_ERRORS):
                batch = Batch(array, buffer.offset, 0, len(members_of(array)), None)
                buffer.consume(found.end())
                return batch
        return None

    def _key(self) -> str:
        data = self.value()
        if not data.startswith(b'"'):
            raise self._error("a key is expected")
        if self.peek() != b":":
            raise self._error("a colon is expected")
        self._buffer.consume(1)
        return _text(data)

    def _error(self, what: str) -> DamagedError:
        return DamagedError(f"the file is damaged at byte {self.offset:,}: {what}")


def peek_head(stream: ByteSource, size: int = 1 << 16) -> tuple[bytes, ByteSource]:
    """Return the first bytes of a stream without white space before them, and all of it again."""
    buffer = ReadBuffer(stream, 0)
    buffer.fill(size)
    held = buffer.data
    return held.removeprefix(UTF8_BOM).lstrip(), Prefixed(held, stream)


def _moved(record: RawRecord, start: int) -> RawRecord:
    return RawRecord(record.raw, record.offset + start, record.ordinal)


def top_records(stream: ByteSource) -> Iterator[RawRecord]:
    """Yield the objects of a file that is a list of them, or holds one a line; whole or damaged.

    Raises:
        DamagedError: the file is truncated. All whole records before that have been yielded.
    """
    reader = Reader(stream, CHUNK_BYTES, members_of)
    for found in reader:
        if isinstance(found, Batch):
            yield from (found.record(n) for n in range(found.count))
        else:
            yield found.record
    if reader.cut_off_at is not None:
        raise DamagedError(f"the file is truncated at byte {reader.cut_off_at:,}")
