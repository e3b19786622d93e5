"""Decodes records in blocks, and parts those that do not decode from the rest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from restore.decode.segments import Segment
from restore.source.recovery import DECODE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable

    from restore.decode.codec import Codec

# A record that does not decode costs a second decoding of those before it in a block of so many.
_BLOCK = 64
# msgspec names the place of an error so.
_AT = re.compile(r"at `\$\[(\d+)\]")


def extend(segments: list[Segment], codec: Codec, raws: list[bytes], start: int, end: int) -> None:
    """Decode a stretch, block by block, parting off the records that do not decode."""
    while start < end:
        stop = min(start + _BLOCK, end)
        found, fault = _first_fault(codec.decode, raws, start, stop)
        last = segments[-1] if segments else None
        if last is not None and last.codec is codec:
            last.rows.extend(found)  # type: ignore[arg-type] # a list too
        elif found:
            segments.append(Segment(start, codec, found))
        if fault is not None:
            segments.append(Segment(fault, None, []))
        start = stop if fault is None else fault + 1


def _first_fault(
    decode: Callable[[bytes], list[Any]], raws: list[bytes], start: int, end: int
) -> tuple[list[Any], int | None]:
    """Return the rows before the first record that does not decode, and where that is."""
    stop, fault = end, None
    while True:
        try:
            return (decode(b"[%b]" % b",".join(raws[start:stop])) if stop > start else []), fault
        except DECODE_ERRORS as error:
            place = _AT.search(str(error))
            at = start + int(place[1]) if place else None
            if at is None or not start <= at < stop:
                at = _look_for_fault(decode, raws, start, stop)
            stop = fault = at


def _look_for_fault(
    decode: Callable[[bytes], list[Any]], raws: list[bytes], start: int, stop: int
) -> int:
    """Find a record that does not decode where the error does not tell which."""
    for at in range(start, stop):
        try:
            decode(b"[%b]" % raws[at])
        except DECODE_ERRORS:
            return at
    raise AssertionError("records that decode one by one do not decode together")
