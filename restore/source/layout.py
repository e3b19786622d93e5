"""Detects how a file lays out its records: the text between them, and where one may start."""

from __future__ import annotations

import re

from msgspec import Struct

from restore.source.buffer import WHITESPACE
from restore.source.json_values import field_names, value_end
from restore.source.lexer import TEXT

__all__ = [
    "ARRAY_JOIN",
    "GAP",
    "LINES",
    "Layout",
    "cut_points",
    "detect_layout",
    "find_array_start",
]

# White space, and byte order marks of files that were joined.
GAP = rb"(?:\s++|\xef\xbb\xbf)*+"
# From the end of an array to the inside of the next one.
ARRAY_JOIN = re.compile(rb"\]%b,?%b\[(?=\s*+[{\]])" % (GAP, GAP))
# The same if a damaged record hides the depth: two lists inside a record look alike.
_LINE_ARRAY_JOIN = rb"\][ \t\r]*+,?[ \t\r]*+\n%b\[" % GAP

_ANY_BOUNDARY = re.compile(rb"\}\s*,\s*(?=\{)")
_ARRAY_START = re.compile(rb'\s*(?:\{\s*\}\s*,\s*)*+(?P<key>\{\s*"' + TEXT + rb'"\s*:)?', re.DOTALL)
_BETWEEN = WHITESPACE + b","
_EMPTY = re.compile(rb"\[\s*\]")
_KEYS = re.compile(rb'(?<!\\)"(' + TEXT + rb')"\s*:', re.DOTALL)
# How far back from the end of a chunk boundaries are looked for before all of it is searched. The
# first is enough if records are small, and costs a tenth of the second.
_SHORT_TAIL_BYTES, _TAIL_BYTES = 1 << 12, 1 << 16
# Each wrong candidate costs a parse of the chunk; past these few the careful walk is cheaper.
_MOST_CUTS = 3


class Layout(Struct, frozen=True):
    """How a file lays out its records.

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
        several: another array may follow this one, and its records are of the same table.
    """

    lines: bool
    boundary: re.Pattern[bytes]
    ending: re.Pattern[bytes]
    start: re.Pattern[bytes]
    fields: frozenset[str] | None = None
    section: re.Pattern[bytes] | None = None
    keys: frozenset[bytes] = frozenset()
    several: bool = False


LINES = Layout(
    lines=True,
    boundary=_ANY_BOUNDARY,
    ending=re.compile(rb"\r?\n"),
    # Only the last line end of a gap matches, so that each byte of it is looked at once.
    start=re.compile(rb"\n(?:[^\S\n]++|\xef\xbb\xbf)*+(?=\{)"),
)


def detect_layout(
    start: bytes,
    gap: bytes | None = None,
    *,
    at: int = 0,
    section: bool = False,
    several: bool = False,
) -> Layout:
    """Detect how an array lays out its records.

    Args:
        start: what follows the opening bracket.
        gap: the white space before the first record, if that is not in ``start``.
        at: where in ``start`` the records begin.
        section: more follows the array's end, under other keys.
        several: another array may follow.
    """
    gap = start[: len(start) - len(start.lstrip(b" \t\r\n"))] if gap is None else gap
    if b"\n" in gap:
        # Each record starts a line, at the same indentation as the first.
        indent = gap.rpartition(b"\n")[2]
        line = rb"\n" + re.escape(indent)
        return Layout(
            lines=False,
            boundary=re.compile(rb"\}\s*,[ \t\r]*" + line + rb"(?=\{)"),
            ending=re.compile(rb"[ \t\r]*,?[ \t\r]*\n"),
            start=re.compile(line + rb"(?=\{)"),
            section=_section_end(rb"\n[ \t]{0,%d}" % max(0, len(indent) - 1)) if section else None,
            several=several,
        )
    key = _ARRAY_START.match(start, at)
    first = re.escape(key["key"]) if key and key["key"] else rb"\{"
    boundary = re.compile(rb"\}\s*,\s*(?=" + first + rb")")
    # Empty records tell nothing: the first one that has fields does.
    fields = field_names(start, key.start("key"), final=False) if key and key["key"] else None
    between = rb"(?:,|%b)" % _LINE_ARRAY_JOIN if several else b","
    end = rb"\s*\]\s*\Z" + (rb"|\s*" + ARRAY_JOIN.pattern if several else b"")
    return Layout(
        lines=False,
        boundary=boundary,
        ending=re.compile(rb"\s*,\s*" + first + rb"|" + end),
        # The brace of the record before, or more of it, may be what is missing.
        start=re.compile(between + rb"\s*(?=" + first + rb")"),
        fields=fields or frozenset(),
        section=_section_end(rb"\}\s*") if section else None,
        keys=_keys(start, key.start("key")) if section and key and key["key"] else frozenset(),
        several=several,
    )


def _section_end(before: bytes) -> re.Pattern[bytes]:
    key = rb',\s*"(?P<key>' + TEXT + rb')"\s*:\s*[\[{]'
    return re.compile(before + rb"(?P<end>\]\s*(?:" + key + rb"|\}[\s}]*\Z))", re.DOTALL)


def _keys(start: bytes, position: int) -> frozenset[bytes]:
    end = value_end(start, position, len(start))
    return frozenset(_KEYS.findall(start, position, end)) if end is not None else frozenset()


def cut_points(
    buffer: bytes, layout: Layout, *, ended: bool, in_section: bool
) -> list[tuple[int, int]]:
    """Return where a buffer may be cut, best first: a record's end, the next one's start.

    Args:
        buffer: the bytes, from a record's start on.
        layout: how the records are set.
        ended: no more follows.
        in_section: the buffer ends inside its array, before the closing bracket.
    """
    if layout.lines:
        end = len(buffer) if ended else buffer.rfind(b"\n") + 1
        return [(end, end)] if end else []
    if ended:
        text = buffer.rstrip(WHITESPACE)
        if in_section:
            return [(len(text.rstrip(_BETWEEN)), len(buffer))]
        return [(len(text) - 1, len(text))] if text.endswith(b"]") else []
    return _boundaries(buffer, layout.boundary) or _boundaries(buffer, _ANY_BOUNDARY)


def _boundaries(buffer: bytes, pattern: re.Pattern[bytes]) -> list[tuple[int, int]]:
    """Return the last few boundaries, last first: a record's end, the next one's start."""
    found = list(pattern.finditer(buffer, max(0, len(buffer) - _SHORT_TAIL_BYTES)))
    tail = max(0, len(buffer) - _TAIL_BYTES)
    if len(found) < _MOST_CUTS:
        found = list(pattern.finditer(buffer, tail))
    if not found and tail:
        found = list(pattern.finditer(buffer))
    return [(match.start() + 1, match.end()) for match in found[: -_MOST_CUTS - 1 : -1]]


def find_array_start(text: bytes) -> int | None:
    """Find the bracket that opens an array, after text that is part of none.

    Returns:
        The place of the bracket right before the first brace. Else that of a bracket at the start;
        None: there is none.
    """
    before = text[: max(0, text.find(b"{"))].rstrip(WHITESPACE)
    opens = text.startswith(b"[")
    # A bracket that is closed again before the records, and not empty, is part of the text.
    if not before.endswith(b"[") or (opens and (_EMPTY.match(text) or b"]" not in before)):
        return 0 if opens else None
    return len(before) - 1
