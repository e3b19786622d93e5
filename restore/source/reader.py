"""Bytes to batches of whole records, with their offsets, through damage. Knows no database.

A JSON array is cut at record boundaries without a byte-by-byte scan: the last ``}`` that is
followed by a comma and a ``{`` ends a prefix; the prefix starts on a record boundary, so if ``[`` +
prefix + ``]`` parses, the cut was at depth one and outside a string. If it does not, earlier
candidates are tried, then the stretch is walked record by record (``scan``), and what is damaged is
isolated. Files with one record a line are cut at the last line end in the same way. A record larger
than a chunk is read on to its end, which is looked for only in what is new (``large``). Text before
an array is damage; several arrays in a row are read as one: the walk passes from each to the next.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from restore.source.buffer import WHITE, Source, Window
from restore.source.layout import LINES, Form, array_form, array_start, cuts
from restore.source.nested import members_of
from restore.source.oversized import (
    LARGEST_DAMAGE_BYTES,
    LARGEST_RECORD_BYTES,
    TOO_LARGE,
    grow,
    parts_of,
)
from restore.source.records import Batch, Damage, RawRecord, array_of_lines, together
from restore.source.recovery import DECODE_ERRORS, STRAY, Piece, Walk, walk
from restore.source.tokens import is_open

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator, Sized

    from restore.source.stream import Span

__all__ = ["LARGEST_RECORD_BYTES", "Batch", "Damage", "RawRecord", "Reader", "Source"]

_BETWEEN = WHITE + b","

_BEFORE_START = "this text stands before the array"
_AFTER_END = "this text stands after the end of the array"


class Reader:
    """Iterates over the batches, and the damage, of one table file.

    Args:
        stream: the file's bytes, decompressed.
        chunk_bytes: how much is read, and decoded, at a time; may be changed between batches.
        decode: turns a JSON array into something with a length, its rows; raises one of
            ``DECODE_ERRORS`` where a record is not of the shape that it expects.
        follows: more follows the array under other keys; ``stop`` and ``rest`` say where and what.
        inside: the stream begins at a record in mid-array, and its records are set so; None: it
            begins where the file, or its array, begins.
        seam: the stream ends behind a record in mid-array, where another reader goes on.

    Attributes:
        cut_off_at: where the file ends, if it ends before its array is closed or in mid-record.
        warning: what is odd about a file that was read to its end; None: nothing.
        form: how the records are set, as far as it is known.
    """

    def __init__(
        self,
        stream: Source,
        chunk_bytes: int,
        decode: Callable[[bytes], Sized],
        *,
        follows: bool = False,
        inside: Form | None = None,
        seam: bool = False,
    ) -> None:
        self.cut_off_at: int | None = None
        self.warning: str | None = None
        self.chunk_bytes = chunk_bytes
        self._decode = decode
        self._follows = follows
        self._span: Span | None = getattr(stream, "span", None)
        self._window = Window(stream, getattr(stream, "start", 0))
        self._ordinal, self._closed, self._most = 0, False, LARGEST_RECORD_BYTES
        self._inside = inside is not None
        self._seam = seam
        self._ends_whole = True  # what was delivered last is whole
        self.form: Form = inside or LINES

    @property
    def bytes_read(self) -> int:
        """How much of the stream has been read."""
        return self._window.bytes_read

    @property
    def rest(self) -> bytes:
        """What has been read of what follows the array; its first byte is at ``stop``."""
        return self._window.held

    @property
    def stop(self) -> int | None:
        """The offset of what follows the array; None: it is not closed."""
        return self._window.offset if self._closed else None

    @property
    def seam_holds(self) -> bool:
        """Tell whether a record ends where the stream ends, and another may begin there."""
        return self._ends_whole and not self._closed and not self._window.held

    def __iter__(self) -> Iterator[Batch | Damage]:
        yield from self._start()
        while not self._closed and self._window.held:
            self._learn(self._window.held, 0)
            batch = self._cut_batch()
            if batch is None:
                yield from self._walk_on()
            elif batch.count:
                yield batch
            if self._seam and self._window.ended:
                return
            self._window.fill(self.chunk_bytes - len(self._window.held))
        if self._seam:
            return
        if self._span and not self._window.held:
            self._closed = self._span.closed
        if not self._closed and not self.form.lines:
            self.cut_off_at = self._window.offset + len(self._window.held)
        if not self._follows:
            yield from self._after_end()

    def _start(self) -> Iterator[Damage]:
        """Come to the first record, and see whether the file holds an array or lines."""
        window = self._window
        window.fill(self.chunk_bytes)
        if self._inside:
            return
        if self._span is None:
            window.skip_mark()
            window.skip_white(self.chunk_bytes)
            if not window.held:
                self.warning = "holds nothing, not even an empty list: it may have been cut off"
            opening = array_start(window.held)
            if opening is None:
                return
            if opening:
                text = window.held[:opening].rstrip(WHITE)
                yield self._damage(text, window.offset, _BEFORE_START)
            window.drop(opening + 1)
        gap = window.skip_white(self.chunk_bytes)
        self._see_form(window.held, gap, 0)

    def _learn(self, text: bytes, at: int) -> None:
        """See how the array is set from the records that begin there, as long as none told it."""
        if self.form.fields is not None and not self.form.fields:
            self._see_form(text, b"", at)

    def _see_form(self, text: bytes, gap: bytes, at: int) -> None:
        section, several = self._follows, not (self._follows or self._span)
        self.form = array_form(text, gap, at=at, section=section, several=several)

    def _cut_batch(self) -> Batch | None:
        """Cut whole records off the buffer's start; None where no cut holds."""
        window, bare = self._window, bool(self._span or self._seam)
        for end, after in cuts(window.held, self.form, ended=window.ended, bare=bare):
            if self.form.lines:
                data, count = array_of_lines(window.held[:end])
            else:
                data, count = b"".join((b"[", memoryview(window.held)[:end], b"]")), None
            batch = self._batch(data, window.offset, count)
            if batch is not None:
                self._closed = window.ended and not (bare or self.form.lines)
                window.drop(after)
                return batch
        return None

    def _batch(self, data: bytes, offset: int, expected: int | None = None) -> Batch | None:
        """Make a batch of an array of whole records; None where they are not, or not so many."""
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

    def _walk_on(self) -> Iterator[Batch | Damage]:
        """Walk over the buffer; where it is all of one unfinished record, read that to its end."""
        while self._window.held and not self._closed:
            before = len(self._window.held)
            yield from self._walk()
            if self._window.ended or len(self._window.held) < before:
                return
            for found in self._grow():
                yield found
                if isinstance(found, Batch):
                    return

    def _grow(self) -> Iterator[Batch | Damage]:
        """Read on through the record that the buffer starts with; it may have no end there yet."""
        window = self._window
        grown = grow(window, self.chunk_bytes)
        self._most = grown.most
        if grown.beyond is not None:
            yield from self._too_large(grown.beyond)
        if grown.data is None:
            return
        batch = self._batch(grown.data, window.offset)
        if batch is None:
            window.held = grown.data[1:-1] + window.held
            return
        window.offset += len(grown.data) - 2
        window.strip(_BETWEEN)
        yield batch

    def _too_large(self, held: io.BytesIO) -> Iterator[Damage]:
        """Tell of a record that is too large to be held."""
        window = self._window
        self._most = LARGEST_DAMAGE_BYTES
        for part in parts_of(window, held, self.chunk_bytes):
            yield self._damage(part, window.offset, TOO_LARGE)
            window.offset += len(part)
        self._ends_whole = not window.ended
        if window.ended and self.form.lines and not self._seam:
            self.cut_off_at = window.offset
        window.strip(_BETWEEN)

    def _walk(self) -> Iterator[Batch | Damage]:
        """Take the buffer apart record by record; keep what may be the start of a whole one."""
        buffer, base = self._window.held, self._window.offset
        # What another reader's bytes could mend is not damaged: it breaks the seam.
        ended = self._window.ended and not self._seam
        found = walk(buffer, self.form, final=ended)
        if len(buffer) > self._most and not (found.pieces or found.closed):
            found = walk(buffer, self.form, final=True)
        yield from self._pieces(buffer, base, found)
        self._window.drop(found.end)
        if ended and self.form.lines and found.pieces:
            last = found.pieces[-1]
            if last.reason and b"\n" not in buffer[last.end :] and is_open(buffer, last.start):
                self.cut_off_at = base + len(buffer)
        if found.closed and self._span:
            yield self._damage(buffer[found.end - 1 : found.end], base + found.end - 1, STRAY)
        else:
            self._closed = found.closed

    def _pieces(self, buffer: bytes, base: int, found: Walk) -> Iterator[Batch | Damage]:
        for whole, stretch in groupby(found.pieces, key=lambda piece: piece.reason is None):
            pieces = list(stretch)
            if whole:
                yield from self._whole(buffer, base, pieces)
                continue
            for piece in pieces:
                raw = buffer[piece.start : piece.end]
                yield self._damage(raw, base + piece.start, piece.reason or "")

    def _damage(self, raw: bytes, offset: int, reason: str) -> Damage:
        self._ordinal += 1
        self._ends_whole = False
        return Damage(RawRecord(raw, offset, self._ordinal - 1), reason)

    def _whole(self, buffer: bytes, base: int, pieces: list[Piece]) -> Iterator[Batch]:
        """Make one batch of whole records, whatever stands between them."""
        while pieces:
            data, taken = together(buffer, pieces)
            batch = self._batch(data, base + pieces[0].start)
            if batch is None:
                raise AssertionError("whole records do not parse together")
            yield batch
            pieces = pieces[taken:]

    def _after_end(self) -> Iterator[Damage]:
        """Name what follows the end of a closed array."""
        while self._closed:
            self._window.skip_white(self.chunk_bytes)
            text = self._window.held.rstrip(WHITE)
            if text:
                yield self._damage(text, self._window.offset, _AFTER_END)
            self._window.drop(len(self._window.held))
            self._window.fill(self.chunk_bytes)
            if not self._window.held:
                return
