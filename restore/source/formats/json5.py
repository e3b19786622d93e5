"""What looks like JSON and is not: JSON5, JavaScript, Python, and the events of ``jq --stream``."""

from __future__ import annotations

import re

from restore.source.formats.refused import Refused
from restore.source.json_values import DECODE_ERRORS, members_of, value_end

_COMMENT = rb"(?:/\*.*?\*/|//[^\n]*+\n)"
_LEADING = re.compile(rb"(?:\[\s*)?(?:\{\s*)?(?:%b|#[^\n]*+\n\s*[\[{])" % _COMMENT, re.DOTALL)
_FIRST_KEY = re.compile(rb"(?:\[\s*)?\{\s*(?:[A-Za-z_$][\w$]*+|'[^'\n]*+')\s*:")
_FIRST = re.compile(rb"\[?\s*(?=\{)")
_TRAILING_COMMA = re.compile(rb",\s*\}\Z")
_BETWEEN = re.compile(rb"\s*,?\s*(%b)?" % _COMMENT, re.DOTALL)
_NEXT_EVENT = re.compile(rb"\s+\[\s*\[")
_EVENT_PARTS = 2


def _is_json5(start: bytes) -> bool:
    """Tell if comments, bare keys or trailing commas are in the first records: not in one alone."""
    if _LEADING.match(start) or _FIRST_KEY.match(start):
        return True
    first = _FIRST.match(start)
    at = first.end() if first else len(start)
    trailing: list[bool] = []
    while at < len(start) and start[at : at + 1] == b"{" and len(trailing) <= 1:
        end = value_end(start, at, len(start))
        if end is None:
            break
        trailing.append(_TRAILING_COMMA.search(start[at:end]) is not None)
        gap = _BETWEEN.match(start, end)
        if gap and gap[1]:
            return True
        at = gap.end() if gap else len(start)
    return bool(trailing) and all(trailing)


def _is_jq_stream(start: bytes) -> bool:
    """Tell if the first lines are lists of a path and a value."""
    end = value_end(start, 0, len(start)) if start.startswith(b"[") else None
    if end is None or not _NEXT_EVENT.match(start, end):
        return False
    try:
        event = members_of(start[:end])
        path = members_of(bytes(event[0]))
    except (*DECODE_ERRORS, IndexError):
        return False
    is_scalar = not bytes(event[-1]).startswith(b"{") or bytes(event[-1]) == b"{}"
    return (
        len(event) == _EVENT_PARTS
        and bool(path)
        and is_scalar
        and all(bytes(step)[:1] in b'"0123456789' for step in path)
    )


FORMAT = Refused(
    "json5",
    "JSON5 or JavaScript, no JSON",
    "comments, keys without quotes, or commas before a closing brace",
    "convert it to JSON first, such as by npx json5",
    _is_json5,
)
JQ_STREAM = Refused(
    "jq-stream",
    "what jq --stream prints",
    "lists of a path and a value, one behind the other",
    "put it together by jq -n 'fromstream(inputs)'",
    _is_jq_stream,
)
