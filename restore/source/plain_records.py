"""Recognises plain records by a file's first bytes, without a look for each format of export."""

from __future__ import annotations

import re

from restore.source.json_values import DECODE_ERRORS, value_end, values_of

# What no plain record has, but exports of MongoDB, .NET, CouchDB and Firestore.
_MARK = re.compile(rb'"\$|"@cloudant/|"projects/')
# An escape that JSON has and COPY's text format has not; pairs of backslashes are left out.
_ESCAPE_OF_JSON = re.compile(rb'\\["/u]')
_OPENING = re.compile(rb'(\[\s*+)?(?=\{\s*+")')
_NEXT_IN_LIST = re.compile(rb"\s*+(?:,\s*+\{|\])")
_NEXT_LINE = re.compile(rb"\s*+\{")
_LIST_OF_OBJECTS = re.compile(rb"\[\s*+\{")
# One of these is a field of the first record of every export that is a list of objects, or has one
# a line, unless a mark tells it. Debezium's "before" and "after" come with "op".
_FIELDS = re.compile(
    r"Item|_.*|columns|create|createdTime|data|delete|documents|features|fields|header|hits|index"
    r"|items|kind|metadata|model|op|payload|pk|properties|records|results|rows|schema|type|update"
    r"|value|values"
)


def is_plain(start: bytes) -> bool:
    """Tell if a file certainly is a list of records, or has one a line. False: it may be.

    Args:
        start: its first bytes, without white space before the first character.
    """
    opening = _OPENING.match(start)
    if opening is None or _MARK.search(start):
        return False
    if b"\\" in start and not _ESCAPE_OF_JSON.search(start.replace(b"\\\\", b"")):
        return False
    end = value_end(start, opening.end(), len(start))
    following = _NEXT_IN_LIST if opening[1] else _NEXT_LINE
    if end is None or not following.match(start, end):
        return False
    try:
        fields = values_of(start[opening.end() : end])
    except DECODE_ERRORS:
        return False
    values = [bytes(value) for value in fields.values()]
    return (
        not any(map(_FIELDS.fullmatch, fields))
        and any(not value.startswith((b"{", b"[")) for value in values)
        and not any(map(_LIST_OF_OBJECTS.match, values))
    )
