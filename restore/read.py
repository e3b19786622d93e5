"""Bytes to batches of whole records, with their offsets, through damage. Knows no database.

A JSON array is cut at record boundaries without a byte-by-byte scan: the last ``}`` that is
followed by a comma and a ``{`` ends a prefix; the prefix starts on a record boundary, so if ``[`` +
prefix + ``]`` parses, the cut was at depth one and outside a string. If it does not, earlier
candidates are tried, then the stretch is walked record by record (``scan``), and what is damaged is
isolated. Files with one record a line are cut at the last line end in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from restore.scan import DECODE_ERRORS, LINES, Form, Piece, Walk, any_boundary, array_form, walk

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator, Sized

# How far back from the end of a chunk a boundary is looked for before all of it is searched.
_TAIL_BYTES = 1 << 16
# Each wrong candidate costs a parse of the chunk; past these few the careful walk is cheaper.
_MOST_CUTS = 3
# A record that is still unfinished at this size is damage; it bounds what is held in memory.
LARGEST_RECORD_BYTES = 1 << 28
_UTF8_BOM = b"\xef\xbb\xbf"
_WHITE = b" \t\r\n"
_BETWEEN = _WHITE + b","

_raw_array = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record's bytes, where they stand in the file, and its number there, counted from 0."""

    raw: bytes
    offset: int
    ordinal: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole records that stand together. ``rows`` is None where they are not of the usual shape.

    ``data`` is a JSON array; the byte after its bracket is at ``offset`` in the file, and its first
    record has the number ``first``.
    """

    data: bytes
    offset: int
    first: int
    count: int
    rows: Any | None

    def record(self, index: int) -> RawRecord:
        """Return one record."""
        return self.records()[index]

    def records(self) -> list[RawRecord]:
        """Return each record's own bytes, offset and ordinal."""
        records = []
        position = 1
        for ordinal, raw in enumerate(_raw_array.decode(self.data), self.first):
            while self.data[position] in _BETWEEN:
                position += 1
            text = bytes(raw)
            records.append(RawRecord(text, self.offset + position - 1, ordinal))
            position += len(text)
        return records


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no record, kept as they are, with the reason."""

    record: RawRecord
    reason: str


class Source(Protocol):
    """What a reader reads from: as much as is there, up to ``size`` bytes; none at the end."""

    def read(self, size: int, /) -> bytes:
        """Read up to ``size`` bytes."""


class Reader:
    """Iterates over the batches, and the damage, of one table file.

    Args:
        stream: the file's bytes, decompressed.
        chunk_bytes: how much is read, and decoded, at a time.
        decode: turns a JSON array into something with a length, its rows; raises one of
            ``DECODE_ERRORS`` where a record is not of the shape that it expects.

    Attributes:
        chunk_bytes: as given; may be changed between batches.
        bytes_read: how much of the stream has been read.
        cut_off_at: where the file ends, if it ends before its array is closed.
    """

    def __init__(self, stream: Source, chunk_bytes: int, decode: Callable[[bytes], Sized]) -> None:
        self.bytes_read = 0
        self.cut_off_at: int | None = None
        self._stream = stream
        self.chunk_bytes = chunk_bytes
        self._decode = decode
        self._buffer = b""
        self._offset = 0  # of the buffer's first byte in the file
        self._ordinal = 0
        self._ended = False
        self._closed = False
        self._form: Form = LINES

    def __iter__(self) -> Iterator[Batch | Damage]:
        self._fill(max(self.chunk_bytes, len(_UTF8_BOM)))
        self._drop(len(_UTF8_BOM) if self._buffer.startswith(_UTF8_BOM) else 0)
        self._fill(1 - len(self._buffer))
        self._skip_white()
        if self._buffer.startswith(b"["):
            self._drop(1)
            self._fill(1 - len(self._buffer))
            self._form = array_form(self._buffer)
        while not self._closed and self._buffer:
            if self._ordinal == 0 and not self._form.lines:
                self._form = array_form(self._buffer)  # by now more of the first record is there
            batch = self._cut_batch()
            if batch is not None:
                if batch.count:
                    yield batch
                self._fill(self.chunk_bytes - len(self._buffer))
                continue
            before = len(self._buffer)
            yield from self._walk()
            if self._ended:
                break
            # Nothing was whole: a record larger than the chunk. Read as much again.
            unfinished = len(self._buffer) == before
            self._fill(before if unfinished else self.chunk_bytes - len(self._buffer))
            self._fill(1 - len(self._buffer))
        yield from self._after_end()

    def _fill(self, wanted: int) -> None:
        """Read until ``wanted`` more bytes are there or the file ends."""
        parts = [self._buffer]
        while wanted > 0 and not self._ended:
            part = self._stream.read(wanted)
            self._ended = not part
            parts.append(part)
            wanted -= len(part)
            self.bytes_read += len(part)
        self._buffer = b"".join(parts)

    def _drop(self, count: int) -> None:
        self._buffer = self._buffer[count:]
        self._offset += count

    def _skip_white(self) -> None:
        """Drop white space, however much of it there is."""
        while self._buffer and self._buffer[0] in _WHITE:
            self._drop(len(self._buffer) - len(self._buffer.lstrip(_WHITE)))
            self._fill(self.chunk_bytes if not self._buffer else 0)

    def _cut_batch(self) -> Batch | None:
        """Cut whole records off the buffer's start; None where no cut holds."""
        for end, after in self._cuts():
            text = self._buffer[:end]
            if self._form.lines:
                # No line end stands inside a record that stands on one line: offsets hold.
                text = text.replace(b"\n", b",").rstrip(_BETWEEN)
            batch = self._batch(text, self._offset)
            if batch is not None:
                self._closed = self._ended and not self._form.lines
                self._drop(after)
                return batch
        return None

    def _cuts(self) -> list[tuple[int, int]]:
        """Return where the buffer may be cut, best first: where records end, where more begin."""
        buffer = self._buffer
        if self._form.lines:
            end = len(buffer) if self._ended else buffer.rfind(b"\n") + 1
            return [(end, end)] if end else []
        if self._ended:
            text = buffer.rstrip(_WHITE)
            return [(len(text) - 1, len(text))] if text.endswith(b"]") else []
        for pattern in (self._form.boundary, any_boundary()):
            found = self._boundaries(pattern)
            if found:
                return found
        return []

    def _boundaries(self, pattern: re.Pattern[bytes]) -> list[tuple[int, int]]:
        tail = max(0, len(self._buffer) - _TAIL_BYTES)
        found = list(pattern.finditer(self._buffer, tail))
        if not found and tail:
            found = list(pattern.finditer(self._buffer))
        return [(match.start() + 1, match.end()) for match in found[: -_MOST_CUTS - 1 : -1]]

    def _batch(self, text: bytes, offset: int) -> Batch | None:
        """Make a batch of whole records; None where they are none."""
        data = b"[%b]" % text
        rows: Sized | None = None
        try:
            rows = self._decode(data)
            count = len(rows)
        except DECODE_ERRORS:
            try:
                count = len(_raw_array.decode(data))
            except DECODE_ERRORS:
                return None
        batch = Batch(data, offset, self._ordinal, count, rows)
        self._ordinal += count
        return batch

    def _walk(self) -> Iterator[Batch | Damage]:
        """Take the buffer apart record by record; keep what may be the start of a whole one."""
        buffer, base = self._buffer, self._offset
        final = self._ended or len(buffer) > LARGEST_RECORD_BYTES
        found = walk(buffer, self._form, final=final)
        yield from self._pieces(buffer, base, found)
        self._closed = found.closed
        self._drop(found.end)

    def _pieces(self, buffer: bytes, base: int, found: Walk) -> Iterator[Batch | Damage]:
        for whole, stretch in groupby(found.pieces, key=lambda piece: piece.reason is None):
            pieces = list(stretch)
            if whole:
                yield from self._whole(buffer, base, pieces)
                continue
            for piece in pieces:
                raw = buffer[piece.start : piece.end]
                record = RawRecord(raw, base + piece.start, self._ordinal)
                self._ordinal += 1
                yield Damage(record, piece.reason or "")

    def _whole(self, buffer: bytes, base: int, pieces: list[Piece]) -> Iterator[Batch]:
        """Make one batch of whole records, whatever stands between them."""
        while pieces:
            text = bytearray(buffer[pieces[0].start : pieces[0].end])
            taken = 1
            for last, piece in pairwise(pieces):
                if piece.start == last.end:
                    break  # no room for a comma: these two need a batch each
                text += b",".ljust(piece.start - last.end) + buffer[piece.start : piece.end]
                taken += 1
            batch = self._batch(bytes(text), base + pieces[0].start)
            if batch is None:
                raise AssertionError("whole records do not parse together")
            yield batch
            pieces = pieces[taken:]

    def _after_end(self) -> Iterator[Damage]:
        """Say where an unclosed array ends; name what follows the end of a closed one."""
        if not self._closed and not self._form.lines:
            self.cut_off_at = self._offset + len(self._buffer)
        while self._closed:
            self._skip_white()
            text = self._buffer.rstrip(_WHITE)
            if text:
                yield Damage(
                    RawRecord(text, self._offset, self._ordinal),
                    "this text stands after the end of the array",
                )
                self._ordinal += 1
            self._drop(len(self._buffer))
            self._fill(self.chunk_bytes)
            if not self._buffer:
                return
