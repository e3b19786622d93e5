"""A decoded batch: stretches of rows of one codec each, and records that stand alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from restore.decode.encode import RecordError
from restore.decode.rows import PackedRows
from restore.source.recovery import DECODE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import msgspec

    from restore.decode.codec import Codec

# A record that does not decode costs a second decoding of those before it in a block of so many.
_BLOCK = 64
# msgspec names the place of an error so.
_AT = re.compile(r"at `\$\[(\d+)\]")


class Segment(Struct, frozen=True):
    """Rows of one codec that stand together, the first of them at ``start`` in their batch.

    Without a codec it is one record that has to be loaded by itself.
    """

    start: int
    codec: Codec | None
    rows: PackedRows

    @classmethod
    def alone(cls, start: int) -> Segment:
        """Return that of a record that has to be loaded by itself."""
        return cls(start, None, PackedRows(b"", ()))


class Decoded(Struct, frozen=True):
    """A batch, decoded: its records as segments in file order.

    ``raws`` are their bytes, or ``spans`` where each starts and ends, where that was found.
    ``places``: the segments hold only the records at these, and count these alone; None: all.
    """

    segments: list[Segment]
    count: int
    raws: list[msgspec.Raw] | None = None
    spans: Sequence[int] | None = None
    places: Sequence[int] | None = None

    def __len__(self) -> int:
        return self.count


def merge_adjacent(segments: list[Segment]) -> list[Segment]:
    """Merge neighbours of one codec."""
    merged: list[Segment] = []
    for segment in segments:
        last = merged[-1] if merged else None
        if last is not None and last.codec is not None and last.codec is segment.codec:
            last.rows.extend(segment.rows)
        else:
            merged.append(segment)
    return merged


def group_by_codec(segments: list[Segment]) -> list[Segment]:
    """Put segments of one codec together; those without one stay by themselves."""
    if len(segments) == 1:
        return segments
    groups: dict[int, Segment] = {}
    for number, segment in enumerate(segments):
        key = -number if segment.codec is None else id(segment.codec)
        if key in groups:
            groups[key].rows.extend(segment.rows)
        else:
            groups[key] = replace(segment, rows=segment.rows[:])
    return list(groups.values())


def decode_in_blocks(codec: Codec, raws: list[bytes], start: int, end: int) -> list[Segment]:
    """Decode a stretch of records, block by block, parting off those that do not decode."""
    segments: list[Segment] = []
    while start < end:
        stop = min(start + _BLOCK, end)
        rows, fault = _decode_to_fault(codec.decode, raws, start, stop)
        if len(rows):
            segments.append(Segment(start, codec, rows))
        if fault is not None:
            segments.append(Segment.alone(fault))
        start = stop if fault is None else fault + 1
    return segments


def _decode_to_fault(
    decode: Callable[[bytes], PackedRows], raws: list[bytes], start: int, end: int
) -> tuple[PackedRows, int | None]:
    """Return the rows before the first record that does not decode, and where that is."""
    stop, fault = end, None
    while True:
        try:
            return decode(b"[%b]" % b",".join(raws[start:stop])), fault
        except DECODE_ERRORS as error:
            at = _place_of(error)
            if at is None or not start <= start + at < stop:
                at = _look_for_fault(decode, raws, start, stop) - start
            stop = fault = start + at


def _place_of(error: Exception) -> int | None:
    """Return the place of the record at fault, if the error tells."""
    if isinstance(error, RecordError):
        return error.place
    place = _AT.search(str(error))
    return int(place[1]) if place else None


def _look_for_fault(
    decode: Callable[[bytes], PackedRows], raws: list[bytes], start: int, stop: int
) -> int:
    """Find a record that does not decode if the error does not tell which."""
    for at in range(start, stop):
        try:
            decode(b"[%b]" % raws[at])
        except DECODE_ERRORS:
            return at
    raise AssertionError("records that decode one by one do not decode together")
