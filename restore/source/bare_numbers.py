"""Records that only ``NaN`` and ``Infinity``, as Python writes them, keep from being JSON."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from restore.source.json_values import DECODE_ERRORS, values_of
from restore.source.lexer import TEXT

if TYPE_CHECKING:
    from restore.source.records import Fields

# Tokens of Python's json.dumps that no JSON has, and the strings among which to look for them. A
# string without an end is one too, or each quote in it would be looked at as a string's start.
BARE_NUMBER = re.compile(
    rb'"' + TEXT + rb'(?:"|\\?\Z)|(?<![\w.-])(?:NaN|-?Infinity)(?!\w)', re.DOTALL
)
_MARK = b'{"":"'
_MARKED = re.compile(rb'\{"":"(NaN|-?Infinity)"\}')


class BareNumbers(NamedTuple):
    """A record's fields, the names of those that are such a number, and how many it holds in all.

    The numbers stand in ``fields`` as JSON strings.
    """

    fields: Fields
    names: frozenset[str]
    total: int


def with_bare_numbers(raw: bytes) -> BareNumbers | None:
    """Return the fields of a record with bare numbers; None if it is damaged in another way."""
    marked, count = mark_bare_numbers(raw)
    if not count:
        return None
    try:
        fields = values_of(marked)
    except DECODE_ERRORS:
        return None
    names = frozenset(name for name, field in fields.items() if bytes(field).startswith(_MARK))
    for name in names:
        fields[name] = msgspec.Raw(bytes(fields[name])[len(_MARK) - 1 : -1])
    return BareNumbers(fields, names, count)


def mark_bare_numbers(raw: bytes) -> tuple[bytes, int]:
    """Put an object in the place of each bare number; return the record, and how many there are."""
    count = 0

    def mark(match: re.Match[bytes]) -> bytes:
        nonlocal count
        token = match.group()
        if token.startswith(b'"'):
            return token
        count += 1
        return _MARK + token + b'"}'

    if b"NaN" not in raw and b"Infinity" not in raw:
        return raw, 0
    return BARE_NUMBER.sub(mark, raw), count


def unmark_bare_numbers(row: bytes) -> bytes:
    """Put the bare numbers back in a row that was made of a marked record."""
    return _MARKED.sub(rb"\1", row)
