"""Checks and splits single JSON values, however deeply nested.

msgspec recurses, and Python limits how deep: some 900 levels. PostgreSQL takes thousands. What is
too deep for msgspec is cut into pieces that are not, and msgspec judges each of them.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from restore.source.lexer import TEXT, find_closing

if TYPE_CHECKING:
    from collections.abc import Iterator

# What decoding may raise on bytes that are not what was expected. RecursionError: nested too deep.
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

# A scalar, as far as the next comma, bracket or line end.
_WORD = re.compile(rb'(?:"' + TEXT + rb'"|[^\s,\]\[{}"]+)', re.DOTALL)
_IN_A_NUMBER = b"+-.0123456789eE"
UNFINISHED = "this record is cut off, or holds half a surrogate pair"
_TOO_DEEP = "this record is nested deep, amid so much damage that it was not looked at"
_TRAILING = "JSON is malformed: trailing characters"
TRUNCATED = "Input data was truncated"
# Python counts its own calls too, which leaves 800 levels at least.
_PIECE_LEVELS = 256
# So many levels are passed at once where nothing is closed, or opened, in between.
_STEP = 64
_WHITE = rb"[ \t\r\n]*+"
_KEY = re.compile(_WHITE + rb'("' + TEXT + rb'")' + _WHITE + rb":" + _WHITE, re.DOTALL)
_SCALAR = re.compile(rb'"' + TEXT + rb'"|[^ \t\r\n,\]\[{}"]+', re.DOTALL)
_OPENING = re.compile(_WHITE + rb"[\[{]" + _WHITE)
_COMMA = re.compile(_WHITE + rb"," + _WHITE)
_CLOSING = re.compile(_WHITE + rb"[\]}]" + _WHITE)

_BETWEEN = rb'(?:[^"{}\[\]]++|"' + TEXT + rb'")*+'
_TOKEN = re.compile(rb'"' + TEXT + rb'"|[{}\[\]"]', re.DOTALL)
_OPENS = frozenset({b"{", b"["})
_DOWN = re.compile(rb"(?:%b[{\[]){%d}" % (_BETWEEN, _STEP - 1), re.DOTALL)
_UP = re.compile(rb"(?:%b[}\]]){%d}" % (_BETWEEN, _STEP - 1), re.DOTALL)

_value = msgspec.json.Decoder(msgspec.Raw)
_array = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_name = msgspec.json.Decoder(str)


def members_of(data: bytes) -> list[msgspec.Raw]:
    """Return the raw members of an array.

    Raises:
        msgspec.DecodeError: it is not a JSON array.
    """
    try:
        return _array.decode(data)
    except RecursionError:
        return [value for _, value in _parts(data, b"[")]


def values_of(data: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Return the raw values of an object's fields.

    Raises:
        msgspec.DecodeError: it is not a JSON object.
    """
    try:
        return _object.decode(data)
    except RecursionError:
        return {_name.decode(key): value for key, value in _parts(bytes(data), b"{")}


class Budget(Struct):
    """How many bytes of deep, damaged values may still be examined.

    In damage every place may look as a deep value's start: then all looks go to the end.
    """

    left: float = math.inf


def check_value(text: bytes | memoryview, budget: Budget | None = None) -> None:
    """Check the value that ``text`` starts with, however deeply nested.

    Raises:
        msgspec.DecodeError: it is not JSON. Of a sound beginning the message is ``TRUNCATED``; what
            follows the value is an error only of a value that is not deep.
        RecursionError: it is deep, and the budget is used up.
    """
    budget = budget or Budget()
    try:
        _value.decode(text)
    except RecursionError:
        if budget.left <= 0:
            raise
    else:
        return
    before = budget.left
    _check_pieces(text, budget)
    budget.left = before


def _check_pieces(text: bytes | memoryview, budget: Budget) -> None:
    is_truncated = False
    for piece in _pieces(bytes(text)):
        budget.left -= len(piece)
        try:
            _value.decode(piece)
        except msgspec.DecodeError as error:
            if str(error) != TRUNCATED:
                raise
            is_truncated = True
    if is_truncated:
        raise msgspec.DecodeError(TRUNCATED)


def _parts(data: bytes, bracket: bytes) -> Iterator[tuple[bytes, msgspec.Raw]]:
    """Yield the key (empty in an array) and the value of each part of an array or an object."""
    opening = _OPENING.match(data)
    if opening is None or opening.group().strip() != bracket:
        raise msgspec.ValidationError(f"Expected `{'array' if bracket == b'[' else 'object'}`")
    position, end = opening.end(), _CLOSING.match(data, opening.end())
    while end is None:
        key = b""
        if bracket == b"{":
            found = _KEY.match(data, position)
            if found is None:
                raise msgspec.DecodeError("JSON is malformed: expected a field")
            key, position = found[1], found.end()
        stop = _end_of(data, position)
        raw = data[position:stop]
        check_value(raw)
        yield key, msgspec.Raw(raw)
        comma = _COMMA.match(data, stop)
        position = stop if comma is None else comma.end()
        end = _CLOSING.match(data, stop) if comma is None else None
        if comma is None and end is None:
            raise msgspec.DecodeError("JSON is malformed: expected a comma or a closing bracket")
    if end.end() != len(data) or end.group().strip() != (b"]" if bracket == b"[" else b"}"):
        raise msgspec.DecodeError("JSON is malformed: trailing characters")


def _end_of(data: bytes, position: int) -> int:
    if data[position : position + 1] in (b"{", b"["):
        end = find_closing(data, position, 0, len(data))
    else:
        scalar = _SCALAR.match(data, position)
        end = scalar.end() if scalar else None
    if end is None:
        raise msgspec.DecodeError("JSON is malformed: expected a value")
    return end


def _pieces(text: bytes) -> Iterator[bytes]:
    """Cut a value into pieces of limited depth; ``null`` replaces what was cut out.

    What encloses the end of an unfinished value is cut off there itself.
    """
    held: list[list[bytes]] = [[]]
    depth = start = end = 0
    while True:
        if depth % _STEP == 1 and (opened := _DOWN.match(text, end)):
            depth, end = depth + _STEP - 1, opened.end()
        elif depth and depth % _STEP == 0 and (closed := _UP.match(text, end)):
            depth, end = depth - _STEP + 1, closed.end()
        token = _TOKEN.search(text, end)
        while token and token.end() - token.start() > 1:  # a string
            token = _TOKEN.search(text, token.end())
        if token is None or token.group() == b'"':
            held[-1].append(text[start:])
            break
        end = token.end()
        if token.group() in _OPENS:
            if depth and depth % _PIECE_LEVELS == 0:
                held[-1].append(text[start : end - 1])
                held.append([])
                start = end - 1
            depth += 1
            continue
        depth -= 1
        if depth <= 0:
            held[-1].append(text[start:end])
            break
        if depth % _PIECE_LEVELS == 0:
            yield b"".join([*held.pop(), text[start:end]])
            held[-1].append(b"null")
            start = end
    yield from map(b"".join, held)


def is_unfinished(buffer: bytes | memoryview) -> bool:
    """Tell if ``buffer`` is the valid start of a value that continues after it."""
    return json_error(buffer, final=False) == UNFINISHED


def is_open(buffer: bytes, start: int) -> bool:
    """Tell if a valid object begins at ``start`` and does not end in ``buffer``."""
    if not buffer.startswith(b"{", start) or value_end(buffer, start, len(buffer)) is not None:
        return False
    with memoryview(buffer)[start:] as text:
        return is_unfinished(text)


def json_error(
    text: bytes | memoryview, *, final: bool, budget: Budget | None = None
) -> str | None:
    """Say what is wrong with the value that ``text`` starts with; None: nothing.

    Where ``final`` does not hold, the text goes on: a number at its end may yet become one. What is
    deep counts as damaged once the ``budget`` is used up.
    """
    end = len(text)
    if not final and end and text[-1] in _IN_A_NUMBER:
        end = len(bytes(text).rstrip(_IN_A_NUMBER))
    try:
        check_value(text[:end], budget)
    except DECODE_ERRORS as error:
        message = str(error)
        if message.startswith(_TRAILING):
            return None
        # msgspec says this of every sound beginning of a value, and of a lone surrogate.
        if isinstance(error, RecursionError):
            return _TOO_DEEP
        return UNFINISHED if message == TRUNCATED else message
    return None


def field_names(
    buffer: bytes, start: int, *, final: bool, budget: Budget | None = None
) -> frozenset[str] | None:
    """Return the fields of the object at ``start``; none if it is damaged.

    None: it is sound so far, and goes on after the buffer's end, which is not ``final``.
    """
    with memoryview(buffer)[start:] as text:
        reason = json_error(text, final=final, budget=budget)
    if reason is not None:
        return None if reason == UNFINISHED and not final else frozenset()
    end = value_end(buffer, start, len(buffer))
    try:
        with memoryview(buffer)[start:end] as text:
            return frozenset(values_of(bytes(text)))
    except UnicodeDecodeError:  # only names are decoded here, and one of them is no UTF-8
        return frozenset()


def value_end(buffer: bytes, start: int, stop: int) -> int | None:
    """Find the end of the value at ``start``; None: it does not end before ``stop``."""
    if buffer[start] not in b"{[":
        scalar = _WORD.match(buffer, start, stop)
        return scalar.end() if scalar and scalar.end() < len(buffer) else None
    return find_closing(buffer, start, 0, stop)
