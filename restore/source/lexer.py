"""Finds the end of an object or a list, in a buffer or in a stream of parts."""

from __future__ import annotations

import re
from typing import Any

# The possessive quantifiers keep an unclosed string from backtracking without end; runs of plain
# characters are matched at once, since a group for each costs much time and memory.
TEXT = rb'[^"\\]*+(?:\\.[^"\\]*+)*+'
_BRACKETS = re.compile(rb'"' + TEXT + rb'"|[{}\[\]"]', re.DOTALL)
# A string; one that does not end here matches to the end, with a last backslash as the group.
_STRING = re.compile(rb'"' + TEXT + rb'(?:"|(\\?)\Z)', re.DOTALL)
_IN_STRING = re.compile(TEXT, re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_OPENING, _CLOSING = b"{[", b"}]"
# Pairs are taken out this many levels deep; what is nested deeper is counted one by one.
_MOST_ROUNDS = 32
# To look at token after token takes ten times as long as to count brackets, part by part; in less
# than two parts there is nothing to gain.
_PART_BYTES = 1 << 16


def find_closing(buffer: bytes, start: int, depth: int, stop: int) -> int | None:
    """Find the end of a value of which ``depth`` brackets are open at ``start``, and no string."""
    near = min(stop, start + _PART_BYTES)
    nested = depth
    for token in _BRACKETS.finditer(buffer, start, near):
        text = token.group()
        if text == b'"':
            break  # a string that is not closed here
        if text in (b"{", b"["):
            nested += 1
        elif text in (b"}", b"]"):
            nested -= 1
            if nested == 0:
                return token.end()
    if near < stop:
        opened = NestingTracker(depth)
        for at in range(start, stop, _PART_BYTES):
            end = opened.end_in(buffer[at : min(at + _PART_BYTES, stop)])
            if end is not None:
                return at + end
    return None


class NestingTracker:
    """Tracks the open brackets and the open string of a value, part by part.

    Args:
        depth: in how many brackets the first part begins; 0: it starts with the value's own.
        checked: see also whether the value is sound, but for what stands in its strings.

    Attributes:
        sound: nothing is wrong with it so far, as far as it is checked.
    """

    def __init__(self, depth: int = 0, *, checked: bool = False) -> None:
        self.sound = True
        self._depth = depth
        self._in_string = False
        self._escaped = False  # the next byte belongs to a backslash
        self._parser: Any = None
        if checked:
            import ijson  # noqa: PLC0415 - few files hold what is so large

            self._events = ijson.sendable_list()
            self._errors = (ijson.JSONError, ValueError)
            self._parser = ijson.basic_parse_coro(self._events)

    def end_in(self, part: bytes) -> int | None:
        """Process the next part.

        Returns:
            Where in this part the value ends; None: not here.
        """
        position = 0
        if self._in_string:
            position = self._string_end(part, int(self._escaped))
            self._in_string = part[position : position + 1] != b'"'
            self._escaped = self._in_string and position < len(part)
            if self._in_string:
                return None
            position += 1
        elif self._depth == 0:
            self._depth = position = 1
            self._check(part[:1])
        outside = _STRING.split(part[position:])
        if len(outside) > 1 and outside[-2] is not None:
            self._in_string = True
            self._escaped = bool(outside[-2])
        between = b'""'.join(outside[::2])
        end = self._count(part, position, between)
        if end is None:
            self._check(between)
        return end

    @staticmethod
    def _string_end(part: bytes, start: int) -> int:
        """Find the quote that ends the open string, or the backslash that ends the part."""
        quote = part.find(b'"', start)
        if part.find(b"\\", start, len(part) if quote < 0 else quote) < 0:
            return len(part) if quote < 0 else quote
        inside = _IN_STRING.match(part, start)
        return inside.end() if inside else start

    def _count(self, part: bytes, position: int, between: bytes) -> int | None:
        """Count the brackets of ``between``: the text outside strings after ``position``."""
        brackets = _unpaired(between)
        opening = brackets.lstrip(_CLOSING)
        closed = len(brackets) - len(opening)
        if closed >= self._depth:
            return find_closing(part, position, self._depth, len(part))
        depth = self._depth - closed
        if not opening.strip(_OPENING):
            self._depth = depth + len(opening)
            return None
        for bracket in opening:
            depth += 1 if bracket in _OPENING else -1
            if depth == 0:
                return find_closing(part, position, self._depth, len(part))
        self._depth = depth
        return None

    def _check(self, text: bytes) -> None:
        """Check the text between strings with a parser; the strings are empty there."""
        if self._parser is None or not self.sound:
            return
        try:
            self._parser.send(text)
        except self._errors:
            self.sound = False
        del self._events[:]


def _unpaired(text: bytes) -> bytes:
    """Return the brackets of ``text`` without those that close each other."""
    brackets = text.translate(None, _NO_BRACKETS)
    for _ in range(_MOST_ROUNDS):
        fewer = brackets.replace(b"{}", b"").replace(b"[]", b"")
        if len(fewer) == len(brackets):
            break
        brackets = fewer
    return brackets
