"""What the first bytes of a file show of its records, wherever these bytes end."""

from __future__ import annotations

import functools
import io
import re

import msgspec

from restore.source.formats.cursor import Cursor
from restore.source.formats.format import FormatError
from restore.source.formats.paths import first_object
from restore.source.json_values import DECODE_ERRORS, value_end, values_of

_BETWEEN = re.compile(rb"[ \t\r\n,]*")
_MOST_OBJECTS = 100


@functools.lru_cache(maxsize=2)  # each format asks for them
def first_objects(start: bytes) -> list[dict[str, msgspec.Raw]]:
    """Return the fields of the first objects, in a list or one after the other.

    Of a first one that does not end in ``start``, the fields that do are returned. Empty: the bytes
    begin with something else.
    """
    at = _end_of_gap(start, int(start.startswith(b"[")))
    found: list[dict[str, msgspec.Raw]] = []
    while start[at : at + 1] == b"{" and len(found) < _MOST_OBJECTS:
        end = value_end(start, at, len(start))
        try:
            found.append(values_of(start[at:end]))
        except DECODE_ERRORS:
            if not found:
                found.append(whole_members(start[at:]))
            break
        at = _end_of_gap(start, len(start) if end is None else end)
    return found


def whole_members(data: bytes) -> dict[str, msgspec.Raw]:
    """Return the fields of the object that ``data`` starts with, as far as they are whole."""
    cursor, found = Cursor(io.BytesIO(data)), dict[str, msgspec.Raw]()
    try:
        if cursor.peek() != b"{":  # the members of a list have no names
            return found
        for key in cursor.members():
            found[key or ""] = msgspec.Raw(cursor.value())
    except (FormatError, *DECODE_ERRORS):
        pass
    return found


def value_at(start: bytes, *keys: str) -> bytes:
    """Return the value under nested keys, or the part of it that is in ``start``; empty: none."""
    for key in keys:
        start = first_object(start).get(key, b"") if start.startswith(b"{") else b""
    return start


def _end_of_gap(data: bytes, start: int) -> int:
    gap = _BETWEEN.match(data, start)
    return gap.end() if gap else start
