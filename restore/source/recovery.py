"""Scans bytes record by record and isolates damage: the careful, slow way.

The reader comes here with a stretch that does not parse as a whole, or that it cannot cut. Whole
records are found by counting brackets outside strings; after a damaged one the walk goes on at the
next place that looks as a record's start has looked in this file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from restore.source.json_values import (
    DECODE_ERRORS,
    UNFINISHED,
    Budget,
    field_names,
    json_error,
    value_end,
)
from restore.source.layout import ARRAY_JOIN, GAP

if TYPE_CHECKING:
    from restore.source.layout import Layout

__all__ = ["DECODE_ERRORS", "STRAY", "Piece", "ScanResult", "scan"]

_PAST_END = re.compile(rb"\s*(?:[,{\[\]]|\Z)")
_NEXT = re.compile(rb"\s*,\s*(?=\{)")
# Brackets in a row, but for one that another array follows.
_BRACKETS = re.compile(rb"\](?:\s*+\](?!%b,?%b\[))*+" % (GAP, GAP))
_GAP = re.compile(rb"(?:[\s,]++|\xef\xbb\xbf)*+")
# What follows a record is known by so many bytes; nearer to the end of a buffer it is not.
_ENDING_BYTES = 1 << 10
_DEEP_LOOKS = 8
STRAY = "this bracket closes nothing"
_NOT_AN_OBJECT = "this is no record: expected a JSON object"


class Piece(Struct, frozen=True):
    """A range of bytes: a whole record if ``reason`` is None, else damage."""

    start: int
    end: int
    reason: str | None


class ScanResult(Struct, frozen=True):
    """The pieces that a scan found, its end, and if it met the end of the array."""

    pieces: list[Piece]
    end: int
    closed: bool


def scan(buffer: bytes, layout: Layout, *, final: bool) -> ScanResult:
    """Scan ``buffer`` from its start, which is a record boundary.

    Args:
        buffer: the bytes.
        layout: how the file's records are set.
        final: nothing follows, so what is unfinished is damaged. Else all that touches the end of
            the buffer, and may be sound once more is there, is left for later.
    """
    pieces: list[Piece] = []
    restarts = _RestartFinder(buffer, layout, final=final)
    position = 0
    while True:
        gap = _GAP.match(buffer, position)
        position = gap.end() if gap else position
        if position == len(buffer):
            return ScanResult(pieces, position, closed=False)
        if buffer[position : position + 1] == b"]" and not layout.lines:
            array_join = ARRAY_JOIN.match(buffer, position) if layout.several else None
            if array_join:
                position = array_join.end()
                continue
            start, stray = position, _is_stray(buffer, position, layout, restarts)
            if stray is None:
                return ScanResult(pieces, position, closed=False)
            if stray:
                brackets = _BRACKETS.match(buffer, position)
                position = brackets.end() if brackets else position + 1
                pieces.append(Piece(start, position, STRAY))
                continue
            seen = final or len(buffer) - position > _ENDING_BYTES
            return ScanResult(pieces, position + 1 if seen else position, closed=seen)
        piece = _next_piece(buffer, position, layout, restarts, final=final)
        if piece is None:
            return ScanResult(pieces, position, closed=False)
        pieces.append(piece)
        position = piece.end


def _is_stray(
    buffer: bytes, position: int, layout: Layout, restarts: _RestartFinder
) -> bool | None:
    """Tell if records follow the bracket at ``position``, so that it does not end the array.

    None: more must be seen to tell.
    """
    if _NEXT.match(buffer, position + 1):
        return True
    again = None if layout.section else restarts.after(position)
    return None if again == len(buffer) else again is not None


def _next_piece(
    buffer: bytes, position: int, layout: Layout, restarts: _RestartFinder, *, final: bool
) -> Piece | None:
    with memoryview(buffer)[position:] as text:
        reason = json_error(text, final=final, budget=restarts.budget)
    if reason is not None:
        end = _damage_end(buffer, position, layout, restarts, final=final, reason=reason)
        return None if end is None else Piece(position, end, reason)
    end = value_end(buffer, position, len(buffer))
    if end is None and not final:
        return None  # a number or a word that may go on
    end = end or len(buffer)
    if buffer.startswith(b"{", position):
        return Piece(position, end, None)
    again = restarts.after(position)
    if not final and (again == len(buffer) or len(buffer) - end < _ENDING_BYTES):
        return None
    if again is not None and again < end:
        end = _trimmed(buffer, position, again)  # a quote or a bracket too many, and records in it
    return Piece(position, end, _NOT_AN_OBJECT)


def _damage_end(
    buffer: bytes,
    position: int,
    layout: Layout,
    restarts: _RestartFinder,
    *,
    final: bool,
    reason: str,
) -> int | None:
    """Find the end of the damage at ``position``; None: more must be read to tell."""
    size = len(buffer)
    unfinished = reason == UNFINISHED
    again = None if unfinished else restarts.after(position)
    end = value_end(buffer, position, size if again is None else again)
    if end is not None and not restarts.may_be_before(end) and _is_ending(buffer, end, layout):
        return end
    near = end is not None and size - end < _ENDING_BYTES  # what follows may not be here yet
    if not final and (again == size or near or (unfinished and end is None)):
        return None
    if unfinished:
        again = restarts.after(position)
    if again is not None and (final or again < size):
        # Another record starts inside this one: a quote or a bracket is missing.
        return _trimmed(buffer, position, again)
    if not final:
        return None
    if end is None or not _PAST_END.match(buffer, end):
        return _trimmed(buffer, position, size)
    return end


def _is_ending(buffer: bytes, end: int, layout: Layout) -> bool:
    """Tell if what follows ``end`` may follow a record: an end, or another record."""
    if layout.ending.match(buffer, end):
        return True
    following = _NEXT.match(buffer, end)
    return bool(
        layout.fields
        and following
        and _shares(field_names(buffer, following.end(), final=True) or frozenset(), layout)
    )


def _shares(fields: frozenset[str], layout: Layout) -> bool:
    """Tell if an object with these fields resembles the file's records."""
    return bool(fields) and len(fields & (layout.fields or fields)) * 2 >= len(layout.fields or ())


class _RestartFinder:
    """Finds where the next record starts after damage; looks at each place once.

    Attributes:
        budget: how much may be looked at that is deep and damaged.
    """

    def __init__(self, buffer: bytes, layout: Layout, *, final: bool) -> None:
        self.budget = Budget(_DEEP_LOOKS * len(buffer))
        self._buffer = buffer
        self._layout = layout
        self._final = final
        self._found: int | None = 0
        self._undecided: int | None = None  # a place at which more must be read to tell

    def after(self, position: int) -> int | None:
        """Find the next start after ``position``, which never decreases.

        Returns:
            The place; or that of the bracket that ends the array, if that comes first; or the
            length of the buffer if more must be read to tell; None: there is none.
        """
        if self._found is not None and self._found <= position:
            start = self._next_start(position)
            end = self._section_end(position, len(self._buffer) if start is None else start)
            self._found = start if end is None else end
        return self._found

    def may_be_before(self, end: int) -> bool:
        """Tell if the next start may be before ``end``, if more must be read to tell."""
        return self._found == len(self._buffer) and (self._undecided or 0) < end

    def _next_start(self, position: int) -> int | None:
        buffer, layout = self._buffer, self._layout
        for match in layout.start.finditer(buffer, position + 1):
            if layout.fields is None:
                return match.end()
            fields = field_names(buffer, match.end(), final=self._final, budget=self.budget)
            if fields is None:
                self._undecided = match.end()
                return len(buffer)
            if _shares(fields, layout):
                return match.end()
        return None

    def _section_end(self, position: int, stop: int) -> int | None:
        buffer, layout = self._buffer, self._layout
        for match in layout.section.finditer(buffer, position + 1, stop) if layout.section else ():
            if match["key"] is None and not self._final:
                self._undecided = match.start("end")
                return len(buffer)
            if match["key"] not in layout.keys:
                return match.start("end")
        return None


def _trimmed(buffer: bytes, start: int, end: int) -> int:
    """Return ``end`` without trailing white space and commas, but after ``start``."""
    while end > start + 1 and buffer[end - 1] in b" \t\r\n,":
        end -= 1
    return end
