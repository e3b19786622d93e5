"""Single JSON values among bytes: whether one is sound, where it ends, which fields it has."""

from __future__ import annotations

import re

import msgspec

from restore.brackets import TEXT, closing

# What decoding may raise on bytes that are not what was expected. RecursionError: nested too deep.
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

# A scalar, as far as the next comma, bracket or line end.
_SCALAR = re.compile(rb'(?:"' + TEXT + rb'"|[^\s,\]\[{}"]+)', re.DOTALL)
_IN_A_NUMBER = b"+-.0123456789eE"
_raw = msgspec.json.Decoder(msgspec.Raw)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
UNFINISHED = "this record is cut off, or holds half a surrogate pair"
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


def fault(text: bytes | memoryview, *, final: bool) -> str | None:
    """Say what is wrong with the value that ``text`` starts with; None: nothing.

    Where ``final`` does not hold, the text goes on: a number at its end may yet become one.
    """
    end = len(text)
    while not final and end and text[end - 1] in _IN_A_NUMBER:
        end -= 1
    try:
        _raw.decode(text[:end])
    except DECODE_ERRORS as error:
        message = str(error)
        if message.startswith(_TRAILING):
            return None
        # msgspec says this of every sound beginning of a value, and of a lone surrogate.
        return UNFINISHED if message == "Input data was truncated" else message
    return None


def fields_of(buffer: bytes, start: int, *, final: bool) -> frozenset[str] | None:
    """Return the fields of the object at ``start``; none where it is damaged.

    None: it is sound so far, and goes on after the buffer's end, which is not ``final``.
    """
    with memoryview(buffer)[start:] as text:
        reason = fault(text, final=final)
    if reason is not None:
        return None if reason == UNFINISHED and not final else frozenset()
    end = value_end(buffer, start, len(buffer))
    try:
        with memoryview(buffer)[start:end] as text:
            return frozenset(_object.decode(text))
    except UnicodeDecodeError:  # only names are decoded here, and one of them is no UTF-8
        return frozenset()


def value_end(buffer: bytes, start: int, stop: int) -> int | None:
    """Find the end of the value at ``start``; None: it does not end before ``stop``."""
    if buffer[start] not in b"{[":
        scalar = _SCALAR.match(buffer, start, stop)
        return scalar.end() if scalar and scalar.end() < len(buffer) else None
    return closing(buffer, start, 0, stop)
