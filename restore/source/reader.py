"""Reads bytes as batches of whole records with their offsets, through damage. No database.

A JSON array is cut at record boundaries without a byte-by-byte scan: the last ``}`` that is
followed by a comma and a ``{`` ends a prefix; the prefix starts on a record boundary, so if ``[`` +
prefix + ``]`` parses, the cut was at depth one and outside a string. If it does not, earlier
candidates are tried, then the stretch is walked record by record (``recovery``), and what is
damaged is isolated. Files with one record a line are cut at the last line end in the same way. A
record larger than a chunk is read on to its end, which is looked for only in what is new
(``oversized``). Text before an array is damage; several arrays in a row are read as one: the walk
passes from each to the next.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from restore.source.buffer import WHITESPACE, ByteSource, ReadBuffer
from restore.source.json_values import is_open, members_of
from restore.source.layout import LINES, Layout, cut_points, detect_layout, find_array_start
from restore.source.oversized import (
    LARGEST_DAMAGE_BYTES,
    LARGEST_RECORD_BYTES,
    TOO_LARGE,
    parts_of,
    read_oversized,
)
from restore.source.records import Batch, Damage, RawRecord, array_of_lines, join_records
from restore.source.recovery import DECODE_ERRORS, STRAY, Piece, ScanResult, scan

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator, Sized

    from restore.source.table_stream import Span

__all__ = ["LARGEST_RECORD_BYTES", "Batch", "ByteSource", "Damage", "RawRecord", "Reader"]

_BETWEEN = WHITESPACE + b","

_BEFORE_START = "this text stands before the array"
_AFTER_END = "this text stands after the end of the array"


class Reader:
    """Iterates over the batches and the damage of one table file.

    Args:
        stream: the file's bytes, decompressed.
        chunk_bytes: how much is read, and decoded, at a time; may be changed between batches.
        decode: turns a JSON array into something with a length, its rows; raises one of
            ``DECODE_ERRORS`` if a record does not have the shape that it expects.
        more_follows: the array is followed by other keys; see ``stop`` and ``rest``.
        resume_layout: the stream begins at a record in mid-array, and this is the records' layout;
            None: it begins where the file, or its array, begins.
        ends_at_boundary: the stream ends after a record in mid-array; another reader continues.

    Attributes:
        cut_off_at: the file's end, if that is before its array is closed or in mid-record.
        warning: what is odd about a file that was read to its end; None: nothing.
        layout: how the records are set, as far as it is known.
    """

    def __init__(
        self,
        stream: ByteSource,
        chunk_bytes: int,
        decode: Callable[[bytes], Sized],
        *,
        more_follows: bool = False,
        resume_layout: Layout | None = None,
        ends_at_boundary: bool = False,
    ) -> None:
        self.cut_off_at: int | None = None
        self.warning: str | None = None
        self.chunk_bytes = chunk_bytes
        self._decode = decode
        self._more_follows = more_follows
        self._span: Span | None = getattr(stream, "span", None)
        self._buffer = ReadBuffer(stream, getattr(stream, "start", 0))
        self._ordinal, self._closed, self._most = 0, False, LARGEST_RECORD_BYTES
        self._is_inside = resume_layout is not None
        self._ends_at_boundary = ends_at_boundary
        self._ends_whole = True  # what was delivered last is whole
        self.layout: Layout = resume_layout or LINES

    @property
    def bytes_read(self) -> int:
        """How many bytes of the stream were read."""
        return self._buffer.bytes_read

    @property
    def rest(self) -> bytes:
        """Bytes that were read after the array; the first of them is at ``stop``."""
        return self._buffer.data

    @property
    def stop(self) -> int | None:
        """Offset of the first byte after the array; None: the array is not closed."""
        return self._buffer.offset if self._closed else None

    @property
    def boundary_holds(self) -> bool:
        """Tell if a record ends where the stream ends, so that another may begin there."""
        return self._ends_whole and not self._closed and not self._buffer.data

    def __iter__(self) -> Iterator[Batch | Damage]:
        yield from self._start()
        while not self._closed and self._buffer.data:
            self._learn(self._buffer.data, 0)
            batch = self._cut_batch()
            if batch is None:
                yield from self._scan_on()
            elif batch.count:
                yield batch
            if self._ends_at_boundary and self._buffer.ended:
                return
            self._buffer.fill(self.chunk_bytes - len(self._buffer.data))
        if self._ends_at_boundary:
            return
        if self._span and not self._buffer.data:
            self._closed = self._span.closed
        if not self._closed and not self.layout.lines:
            self.cut_off_at = self._buffer.offset + len(self._buffer.data)
        if not self._more_follows:
            yield from self._after_end()

    def _start(self) -> Iterator[Damage]:
        """Go to the first record, and detect if the file holds an array or lines."""
        buffer = self._buffer
        buffer.fill(self.chunk_bytes)
        if self._is_inside:
            return
        if self._span is None:
            buffer.skip_bom()
            buffer.skip_whitespace(self.chunk_bytes)
            if not buffer.data:
                self.warning = "holds nothing, not even an empty list: it may have been cut off"
            opening = find_array_start(buffer.data)
            if opening is None:
                return
            if opening:
                text = buffer.data[:opening].rstrip(WHITESPACE)
                yield self._damage(text, buffer.offset, _BEFORE_START)
            buffer.consume(opening + 1)
        gap = buffer.skip_whitespace(self.chunk_bytes)
        self._detect_layout(buffer.data, gap, 0)

    def _learn(self, text: bytes, at: int) -> None:
        """Detect the layout from the records at ``at``, if it is not known yet."""
        if self.layout.fields is not None and not self.layout.fields:
            self._detect_layout(text, b"", at)

    def _detect_layout(self, text: bytes, gap: bytes, at: int) -> None:
        section, several = self._more_follows, not (self._more_follows or self._span)
        self.layout = detect_layout(text, gap, at=at, section=section, several=several)

    def _cut_batch(self) -> Batch | None:
        """Cut whole records off the buffer's start; return None if no cut point is valid."""
        buffer, in_section = self._buffer, bool(self._span or self._ends_at_boundary)
        for end, after in cut_points(
            buffer.data, self.layout, ended=buffer.ended, in_section=in_section
        ):
            if self.layout.lines:
                data, count = array_of_lines(buffer.data[:end])
            else:
                data, count = b"".join((b"[", memoryview(buffer.data)[:end], b"]")), None
            batch = self._batch(data, buffer.offset, count)
            if batch is not None:
                self._closed = buffer.ended and not (in_section or self.layout.lines)
                buffer.consume(after)
                return batch
        return None

    def _batch(self, data: bytes, offset: int, expected: int | None = None) -> Batch | None:
        """Make a batch of an array; return None if it is invalid or has another length."""
        rows: Sized | None = None
        try:
            rows = self._decode(data)
            count = len(rows)
        except DECODE_ERRORS:
            try:
                count = len(members_of(data))
            except DECODE_ERRORS:
                return None
        if expected not in {None, count}:
            return None
        batch = Batch(data, offset, self._ordinal, count, rows)
        self._ordinal += count
        self._ends_whole = True
        self._learn(data, 1)
        return batch

    def _scan_on(self) -> Iterator[Batch | Damage]:
        """Scan the buffer; read on if it holds nothing but one unfinished record."""
        while self._buffer.data and not self._closed:
            before = len(self._buffer.data)
            yield from self._scan()
            if self._buffer.ended or len(self._buffer.data) < before:
                return
            for found in self._read_oversized():
                yield found
                if isinstance(found, Batch):
                    return

    def _read_oversized(self) -> Iterator[Batch | Damage]:
        """Read on through the buffer's first record, which has no end there yet."""
        buffer = self._buffer
        grown = read_oversized(buffer, self.chunk_bytes)
        self._most = grown.most
        if grown.beyond is not None:
            yield from self._too_large(grown.beyond)
        if grown.data is None:
            return
        batch = self._batch(grown.data, buffer.offset)
        if batch is None:
            buffer.data = grown.data[1:-1] + buffer.data
            return
        buffer.offset += len(grown.data) - 2
        buffer.strip(_BETWEEN)
        yield batch

    def _too_large(self, held: io.BytesIO) -> Iterator[Damage]:
        """Yield a record that is too large to be held, in parts, as damage."""
        buffer = self._buffer
        self._most = LARGEST_DAMAGE_BYTES
        for part in parts_of(buffer, held, self.chunk_bytes):
            yield self._damage(part, buffer.offset, TOO_LARGE)
            buffer.offset += len(part)
        self._ends_whole = not buffer.ended
        if buffer.ended and self.layout.lines and not self._ends_at_boundary:
            self.cut_off_at = buffer.offset
        buffer.strip(_BETWEEN)

    def _scan(self) -> Iterator[Batch | Damage]:
        """Scan the buffer record by record; keep what may be the start of a whole one."""
        data, base = self._buffer.data, self._buffer.offset
        # What another reader's bytes could complete is not damaged: the boundary is false.
        ended = self._buffer.ended and not self._ends_at_boundary
        found = scan(data, self.layout, final=ended)
        if len(data) > self._most and not (found.pieces or found.closed):
            found = scan(data, self.layout, final=True)
        yield from self._pieces(data, base, found)
        self._buffer.consume(found.end)
        if ended and self.layout.lines and found.pieces:
            last = found.pieces[-1]
            if last.reason and b"\n" not in data[last.end :] and is_open(data, last.start):
                self.cut_off_at = base + len(data)
        if found.closed and self._span:
            yield self._damage(data[found.end - 1 : found.end], base + found.end - 1, STRAY)
        else:
            self._closed = found.closed

    def _pieces(self, data: bytes, base: int, found: ScanResult) -> Iterator[Batch | Damage]:
        for whole, stretch in groupby(found.pieces, key=lambda piece: piece.reason is None):
            pieces = list(stretch)
            if whole:
                yield from self._whole(data, base, pieces)
                continue
            for piece in pieces:
                raw = data[piece.start : piece.end]
                yield self._damage(raw, base + piece.start, piece.reason or "")

    def _damage(self, raw: bytes, offset: int, reason: str) -> Damage:
        self._ordinal += 1
        self._ends_whole = False
        return Damage(RawRecord(raw, offset, self._ordinal - 1), reason)

    def _whole(self, text: bytes, base: int, pieces: list[Piece]) -> Iterator[Batch]:
        """Make batches of whole records, even if damage is between them."""
        for data, start in join_records(text, pieces):
            batch = self._batch(data, base + start)
            if batch is None:
                raise AssertionError("whole records do not parse together")
            yield batch

    def _after_end(self) -> Iterator[Damage]:
        """Yield the text after the end of a closed array as damage."""
        while self._closed:
            self._buffer.skip_whitespace(self.chunk_bytes)
            text = self._buffer.data.rstrip(WHITESPACE)
            if text:
                yield self._damage(text, self._buffer.offset, _AFTER_END)
            self._buffer.consume(len(self._buffer.data))
            self._buffer.fill(self.chunk_bytes)
            if not self._buffer.data:
                return
