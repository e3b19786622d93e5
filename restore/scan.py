"""Walk over bytes record by record and isolate what is damaged. The careful way, and the slow one.

The reader comes here with a stretch that does not parse as a whole, or that it cannot cut. Whole
records are found by counting brackets outside strings; after a damaged one the walk goes on at the
next place that looks as a record's start has looked in this file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

# What decoding may raise on bytes that are not what was expected. RecursionError: nested too deep.
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_ANY_BOUNDARY = re.compile(rb"\}\s*,\s*(?=\{)")
_ARRAY_START = re.compile(rb'\s*(?P<gap>[ \t\r\n]*)(?P<key>\{\s*"(?:[^"\\]|\\.)*+"\s*:)?')
_GAP = re.compile(rb"[\s,]*")
# A scalar, as far as the next comma, bracket or line end.
_SCALAR = re.compile(rb'(?:"(?:[^"\\]|\\.)*+"|[^\s,\]\[{}"]+)')
# The possessive quantifiers keep an unclosed string from backtracking without end.
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[{}\[\]"]', re.DOTALL)

_raw = msgspec.json.Decoder(msgspec.Raw)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Form:
    """How a file's records are set.

    Args:
        lines: one record a line without brackets around them (JSON Lines), else an array.
        boundary: matches from a record's closing brace to just before the next one's opening brace.
        ending: matches what follows a record's end.
        start: matches just before a record's opening brace; after damage, the walk goes on there.
        fields: the first record's fields where ``start`` may also match inside a record; what
            starts there then has to share half of them.
    """

    lines: bool
    boundary: re.Pattern[bytes]
    ending: re.Pattern[bytes]
    start: re.Pattern[bytes]
    fields: frozenset[str] | None = None


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


def array_form(start: bytes) -> Form:
    """See how an array sets its records, from what follows its opening bracket."""
    gap = start[: len(start) - len(start.lstrip(b" \t\r\n"))]
    if b"\n" in gap:
        # Each record starts a line, at the same indentation as the first.
        line = rb"\n" + re.escape(gap.rpartition(b"\n")[2])
        return Form(
            lines=False,
            boundary=re.compile(rb"\}\s*,[ \t\r]*" + line + rb"(?=\{)"),
            ending=re.compile(rb"[ \t\r]*,?[ \t\r]*\n"),
            start=re.compile(line + rb"(?=\{)"),
        )
    key = _ARRAY_START.match(start)
    first = re.escape(key["key"]) if key and key["key"] else rb"\{"
    boundary = re.compile(rb"\}\s*,\s*(?=" + first + rb")")
    fields = _fields(start, len(gap)) if start[len(gap) : len(gap) + 1] == b"{" else None
    return Form(
        lines=False,
        boundary=boundary,
        ending=re.compile(rb"\s*,\s*" + first + rb"|\s*\]\s*\Z"),
        start=boundary,
        fields=fields or frozenset(),
    )


def any_boundary() -> re.Pattern[bytes]:
    """Return the pattern for boundaries of records that are not set as the first one was."""
    return _ANY_BOUNDARY


def walk(buffer: bytes, form: Form, *, final: bool) -> Walk:
    """Go over ``buffer`` from its start, which is a record boundary.

    Args:
        buffer: the bytes.
        form: how the file's records are set.
        final: nothing follows, so what is unfinished is damaged; else it is left for later.
    """
    pieces: list[Piece] = []
    position = 0
    while True:
        gap = _GAP.match(buffer, position)
        position = gap.end() if gap else position
        if position == len(buffer):
            return Walk(pieces, position, closed=False)
        if buffer[position : position + 1] == b"]" and not form.lines:
            return Walk(pieces, position + 1, closed=True)
        piece = _next_piece(buffer, position, form, final=final)
        if piece is None:
            return Walk(pieces, position, closed=False)
        pieces.append(piece)
        position = piece.end


def _next_piece(buffer: bytes, position: int, form: Form, *, final: bool) -> Piece | None:
    end = _value_end(buffer, position)
    reason = _fault(buffer[position:end])
    if end is not None and reason in (None, _NOT_AN_OBJECT):
        return Piece(position, end, reason)
    if end is None and reason == _UNFINISHED and not final:
        return None
    trusted = end is not None and form.ending.match(buffer, end) is not None
    again = None
    if reason != _UNFINISHED or not trusted:
        again = _restart(buffer, position, end if trusted else None, form)
    if again is not None:
        # Another record starts inside this one: a quote or a bracket is missing.
        return Piece(position, _trimmed(buffer, position, again), reason)
    if end is not None and (trusted or final):
        return Piece(position, end, reason)
    return Piece(position, _trimmed(buffer, position, len(buffer)), reason) if final else None


def _restart(buffer: bytes, position: int, end: int | None, form: Form) -> int | None:
    """Find where the next record starts, if that is before ``end``, the end of a damaged one."""
    for match in form.start.finditer(buffer, position + 1, end or len(buffer)):
        if form.fields is None:
            return match.end()
        fields = _fields(buffer, match.end())
        if fields and len(fields & form.fields) * 2 >= len(form.fields):
            return match.end()
    return None


def _fields(buffer: bytes, start: int) -> frozenset[str]:
    """Return the fields of the object at ``start``; none where it is not whole."""
    end = _value_end(buffer, start)
    try:
        return frozenset(_object.decode(buffer[start:end])) if end is not None else frozenset()
    except DECODE_ERRORS:
        return frozenset()


_UNFINISHED = "this record is cut off, or holds half a surrogate pair"
_NOT_AN_OBJECT = "this is no record: expected a JSON object"


def _fault(text: bytes) -> str | None:
    """Say what is wrong with one value as a record; None: nothing."""
    try:
        _raw.decode(text)
    except DECODE_ERRORS as error:
        # msgspec says this of every sound beginning of a value, and of a lone surrogate.
        truncated = str(error) == "Input data was truncated"
        return _UNFINISHED if truncated else str(error)
    return None if text.startswith(b"{") else _NOT_AN_OBJECT


def _value_end(buffer: bytes, start: int) -> int | None:
    """Find the end of the value at ``start``; None: it does not end in this buffer."""
    if buffer[start] not in b"{[":
        scalar = _SCALAR.match(buffer, start)
        return scalar.end() if scalar and scalar.end() < len(buffer) else None
    depth = 0
    for token in _BRACKETS.finditer(buffer, start):
        text = token.group()
        if text == b'"':
            return None  # a string that is not closed
        if text in (b"{", b"["):
            depth += 1
        elif text in (b"}", b"]"):
            depth -= 1
            if depth == 0:
                return token.end()
    return None


def _trimmed(buffer: bytes, start: int, end: int) -> int:
    """Leave white space and commas at the end out of a piece, but never all of it."""
    return start + max(1, len(buffer[start:end].rstrip(b" \t\r\n,")))
