"""JSON arrays and objects taken apart into the bytes of their values, however deep these are.

msgspec recurses, and Python limits how deep: some 900 levels. PostgreSQL takes thousands. What is
too deep for msgspec is cut into pieces that are not, and msgspec judges each of them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from restore.source.lexer import TEXT, closing

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    """Return the members of an array, each as it stands there.

    Raises:
        msgspec.DecodeError: it is no JSON array.
    """
    try:
        return _array.decode(data)
    except RecursionError:
        return [value for _, value in _parts(data, b"[")]


def values_of(data: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Return the fields of an object, each as it stands there.

    Raises:
        msgspec.DecodeError: it is no JSON object.
    """
    try:
        return _object.decode(data)
    except RecursionError:
        return {_name.decode(key): value for key, value in _parts(bytes(data), b"{")}


@dataclass
class Budget:
    """How many bytes of deep values that turn out damaged may still be looked at.

    In damage every place may look as a deep value's start: then all looks go to the end.
    """

    left: float = math.inf


def check_value(text: bytes | memoryview, budget: Budget | None = None) -> None:
    """Check the value that ``text`` starts with, however deep it is.

    Raises:
        msgspec.DecodeError: it is no JSON. Of a sound beginning the message is ``TRUNCATED``; what
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
    """Yield the key (none in an array) and the value of each part of an array or an object."""
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
        end = closing(data, position, 0, len(data))
    else:
        scalar = _SCALAR.match(data, position)
        end = scalar.end() if scalar else None
    if end is None:
        raise msgspec.DecodeError("JSON is malformed: expected a value")
    return end


def _pieces(text: bytes) -> Iterator[bytes]:
    """Cut a value into pieces, none too deep; ``null`` stands for what was cut out.

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
