"""Walk over bytes record by record and isolate what is damaged. The careful way, and the slow one.

The reader comes here with a stretch that does not parse as a whole, or that it cannot cut. Whole
records are found by counting brackets outside strings; after a damaged one the walk goes on at the
next place that looks as a record's start has looked in this file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from restore.tokens import DECODE_ERRORS, TEXT, UNFINISHED, fault, fields_of, value_end

__all__ = [
    "DECODE_ERRORS",
    "LINES",
    "STRAY",
    "Form",
    "Piece",
    "Walk",
    "any_boundary",
    "array_form",
    "walk",
]

_ANY_BOUNDARY = re.compile(rb"\}\s*,\s*(?=\{)")
_ARRAY_START = re.compile(rb'\s*(?:\{\s*\}\s*,\s*)*+(?P<key>\{\s*"' + TEXT + rb'"\s*:)?', re.DOTALL)
_PAST_END = re.compile(rb"\s*(?:[,{\[\]]|\Z)")
_NEXT = re.compile(rb"\s*,\s*(?=\{)")
_GAP = re.compile(rb"[\s,]*")
_KEYS = re.compile(rb'"(' + TEXT + rb')"\s*:', re.DOTALL)
# What follows a record is known by so many bytes; nearer to the end of a buffer it is not.
_ENDING_BYTES = 1 << 10
STRAY = "this bracket closes nothing"
_NOT_AN_OBJECT = "this is no record: expected a JSON object"


@dataclass(frozen=True, slots=True)
class Form:
    """How a file's records are set.

    Args:
        lines: one record a line without brackets around them (JSON Lines), else an array.
        boundary: matches from a record's closing brace to just before the next one's opening brace.
        ending: matches what follows a record's end.
        start: matches just before a record's opening brace; after damage, the walk goes on there.
        fields: the first record's fields where ``start`` may also match inside a record; what
            starts there then has to share half of them. Empty: not known yet.
        section: matches where the array ends and others follow under other keys, in ``end``; its
            ``key`` is the next one's. None: nothing follows the array.
        keys: all keys in the first record, however deep: none of them is the next section's.
    """

    lines: bool
    boundary: re.Pattern[bytes]
    ending: re.Pattern[bytes]
    start: re.Pattern[bytes]
    fields: frozenset[str] | None = None
    section: re.Pattern[bytes] | None = None
    keys: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of bytes: a whole record where ``reason`` is None, else damage."""

    start: int
    end: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class Walk:
    """What a walk found, how far it came, and whether it met the end of the array."""

    pieces: list[Piece]
    end: int
    closed: bool


LINES = Form(
    lines=True,
    boundary=_ANY_BOUNDARY,
    ending=re.compile(rb"\r?\n"),
    start=re.compile(rb"\n\s*(?=\{)"),
)


def array_form(
    start: bytes, gap: bytes | None = None, *, at: int = 0, section: bool = False
) -> Form:
    """See how an array sets its records.

    Args:
        start: what follows the opening bracket.
        gap: the white space before the first record, where that is not in ``start``.
        at: where in ``start`` the records begin.
        section: more follows the array's end, under other keys.
    """
    gap = start[: len(start) - len(start.lstrip(b" \t\r\n"))] if gap is None else gap
    if b"\n" in gap:
        # Each record starts a line, at the same indentation as the first.
        indent = gap.rpartition(b"\n")[2]
        line = rb"\n" + re.escape(indent)
        return Form(
            lines=False,
            boundary=re.compile(rb"\}\s*,[ \t\r]*" + line + rb"(?=\{)"),
            ending=re.compile(rb"[ \t\r]*,?[ \t\r]*\n"),
            start=re.compile(line + rb"(?=\{)"),
            section=_section_end(rb"\n[ \t]{0,%d}" % max(0, len(indent) - 1)) if section else None,
        )
    key = _ARRAY_START.match(start, at)
    first = re.escape(key["key"]) if key and key["key"] else rb"\{"
    boundary = re.compile(rb"\}\s*,\s*(?=" + first + rb")")
    # Empty records tell nothing: the first one that has fields does.
    fields = fields_of(start, key.start("key"), final=False) if key and key["key"] else None
    return Form(
        lines=False,
        boundary=boundary,
        ending=re.compile(rb"\s*,\s*" + first + rb"|\s*\]\s*\Z"),
        # The brace of the record before may be what is missing.
        start=re.compile(rb"[\w\]}\"]\s*,\s*(?=" + first + rb")"),
        fields=fields or frozenset(),
        section=_section_end(rb"\}\s*") if section else None,
        keys=_keys(start, key.start("key")) if section and key and key["key"] else frozenset(),
    )


def _section_end(before: bytes) -> re.Pattern[bytes]:
    key = rb',\s*"(?P<key>' + TEXT + rb')"\s*:\s*[\[{]'
    return re.compile(before + rb"(?P<end>\]\s*(?:" + key + rb"|\}[\s}]*\Z))", re.DOTALL)


def _keys(start: bytes, position: int) -> frozenset[bytes]:
    end = value_end(start, position, len(start))
    return frozenset(_KEYS.findall(start, position, end)) if end is not None else frozenset()


def any_boundary() -> re.Pattern[bytes]:
    """Return the pattern for boundaries of records that are not set as the first one was."""
    return _ANY_BOUNDARY


def walk(buffer: bytes, form: Form, *, final: bool) -> Walk:
    """Go over ``buffer`` from its start, which is a record boundary.

    Args:
        buffer: the bytes.
        form: how the file's records are set.
        final: nothing follows, so what is unfinished is damaged. Else all that touches the end of
            the buffer, and may be sound once more is there, is left for later.
    """
    pieces: list[Piece] = []
    restarts = _Restarts(buffer, form, final=final)
    position = 0
    while True:
        gap = _GAP.match(buffer, position)
        position = gap.end() if gap else position
        if position == len(buffer):
            return Walk(pieces, position, closed=False)
        if buffer[position : position + 1] == b"]" and not form.lines:
            if _is_stray(buffer, position, form):
                pieces.append(Piece(position, position + 1, STRAY))
                position += 1
                continue
            seen = final or len(buffer) - position > _ENDING_BYTES
            return Walk(pieces, position + 1 if seen else position, closed=seen)
        piece = _next_piece(buffer, position, form, restarts, final=final)
        if piece is None:
            return Walk(pieces, position, closed=False)
        pieces.append(piece)
        position = piece.end


def _is_stray(buffer: bytes, position: int, form: Form) -> bool:
    """Tell whether records follow the bracket at ``position``, which so is not the array's end."""
    if _NEXT.match(buffer, position + 1):
        return True
    own_line = form.fields is None and form.section is None
    return own_line and form.start.search(buffer, position + 1) is not None


def _next_piece(
    buffer: bytes, position: int, form: Form, restarts: _Restarts, *, final: bool
) -> Piece | None:
    with memoryview(buffer)[position:] as text:
        reason = fault(text, final=final)
    if reason is not None:
        end = _damage_end(buffer, position, form, restarts, final=final, reason=reason)
        return None if end is None else Piece(position, end, reason)
    end = value_end(buffer, position, len(buffer))
    if end is None and not final:
        return None  # a number or a word that may go on
    end = end or len(buffer)
    if buffer.startswith(b"{", position):
        return Piece(position, end, None)
    again = restarts.after(position) if form.fields is None else None
    if again is not None and again < end:
        end = _trimmed(buffer, position, again)  # a bracket too many, and records after it
    return Piece(position, end, _NOT_AN_OBJECT)


def _damage_end(
    buffer: bytes, position: int, form: Form, restarts: _Restarts, *, final: bool, reason: str
) -> int | None:
    """Find how far the damage at ``position`` reaches; None: more must be seen to tell."""
    size = len(buffer)
    unfinished = reason == UNFINISHED
    again = None if unfinished else restarts.after(position)
    end = value_end(buffer, position, size if again is None else again)
    if end is not None and _is_ending(buffer, end, form):
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


def _is_ending(buffer: bytes, end: int, form: Form) -> bool:
    """Tell whether what follows ``end`` is what follows a record: an end, or another record."""
    if form.ending.match(buffer, end):
        return True
    following = _NEXT.match(buffer, end)
    return bool(
        form.fields
        and following
        and _shares(fields_of(buffer, following.end(), final=True) or frozenset(), form)
    )


def _shares(fields: frozenset[str], form: Form) -> bool:
    """Tell whether an object with these fields looks as a record of the file does."""
    return bool(fields) and len(fields & (form.fields or fields)) * 2 >= len(form.fields or ())


class _Restarts:
    """Where in a buffer the next record starts after damage; each place is looked at once."""

    def __init__(self, buffer: bytes, form: Form, *, final: bool) -> None:
        self._buffer = buffer
        self._form = form
        self._final = final
        self._found: int | None = 0

    def after(self, position: int) -> int | None:
        """Find the next start after ``position``, which never goes back.

        Returns:
            The place; or that of the bracket that ends the array, if that comes first; or the
            length of the buffer where more of it must be seen to tell; None: there is none.
        """
        if self._found is not None and self._found <= position:
            start = self._next_start(position)
            end = self._section_end(position, len(self._buffer) if start is None else start)
            self._found = start if end is None else end
        return self._found

    def _next_start(self, position: int) -> int | None:
        buffer, form = self._buffer, self._form
        for match in form.start.finditer(buffer, position + 1):
            if form.fields is None:
                return match.end()
            fields = fields_of(buffer, match.end(), final=self._final)
            if fields is None:
                return len(buffer)
            if _shares(fields, form):
                return match.end()
        return None

    def _section_end(self, position: int, stop: int) -> int | None:
        buffer, form = self._buffer, self._form
        for match in form.section.finditer(buffer, position + 1, stop) if form.section else ():
            if match["key"] is None and not self._final:
                return len(buffer)
            if match["key"] not in form.keys:
                return match.start("end")
        return None


def _trimmed(buffer: bytes, start: int, end: int) -> int:
    """Leave white space and commas at the end out of a piece, but never all of it."""
    while end > start + 1 and buffer[end - 1] in b" \t\r\n,":
        end -= 1
    return end
