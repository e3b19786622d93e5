"""Single JSON values among bytes: whether one is sound, where it ends, which fields it has."""

from __future__ import annotations

import re

import msgspec

from restore.source.lexer import TEXT, closing
from restore.source.nested import TRUNCATED, Budget, check_value, values_of

# What decoding may raise on bytes that are not what was expected. RecursionError: nested too deep.
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

# A scalar, as far as the next comma, bracket or line end.
_SCALAR = re.compile(rb'(?:"' + TEXT + rb'"|[^\s,\]\[{}"]+)', re.DOTALL)
_IN_A_NUMBER = b"+-.0123456789eE"
UNFINISHED = "this record is cut off, or holds half a surrogate pair"
_TOO_DEEP = "this record is nested deep, amid so much damage that it was not looked at"
_TRAILING = "JSON is malformed: trailing characters"


def is_unfinished(buffer: bytes | memoryview) -> bool:
    """Tell whether ``buffer`` is the sound beginning of a value that goes on after it."""
    return fault(buffer, final=False) == UNFINISHED


def is_open(buffer: bytes, start: int) -> bool:
    """Tell whether a sound object begins at ``start`` that does not end in ``buffer``."""
    if not buffer.startswith(b"{", start) or value_end(buffer, start, len(buffer)) is not None:
        return False
    with memoryview(buffer)[start:] as text:
        return is_unfinished(text)


def fault(text: bytes | memoryview, *, final: bool, budget: Budget | None = None) -> str | None:
    """Say what is wrong with the value that ``text`` starts with; None: nothing.

    Where ``final`` does not hold, the text goes on: a number at its end may yet become one. What is
    deep counts as damaged once the ``budget`` is used up.
    """
    end = len(text)
    while not final and end and text[end - 1] in _IN_A_NUMBER:
        end -= 1
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


def fields_of(
    buffer: bytes, start: int, *, final: bool, budget: Budget | None = None
) -> frozenset[str] | None:
    """Return the fields of the object at ``start``; none where it is damaged.

    None: it is sound so far, and goes on after the buffer's end, which is not ``final``.
    """
    with memoryview(buffer)[start:] as text:
        reason = fault(text, final=final, budget=budget)
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
        scalar = _SCALAR.match(buffer, start, stop)
        return scalar.end() if scalar and scalar.end() < len(buffer) else None
    return closing(buffer, start, 0, stop)
