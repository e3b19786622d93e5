"""Read on through one record that is larger than a chunk: each byte of it is looked at once."""

from __future__ import annotations

import re

from restore.tokens import TEXT, closing

# These bound what is held in memory. A record that is still unfinished at this size is damage; and
# damage that has no end by then is told in parts. A reject needs several times its size.
LARGEST_RECORD_BYTES, LARGEST_DAMAGE_BYTES = 1 << 28, 1 << 25

# A string; one that does not end here matches to the end, with a last backslash as the group.
_STRING = re.compile(rb'"' + TEXT + rb'(?:"|(\\?)\Z)', re.DOTALL)
_IN_STRING = re.compile(TEXT, re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_OPENING = b"{["
# Pairs are taken out this many levels deep; what is nested deeper is counted one by one.
_MOST_ROUNDS = 32


class OpenRecord:
    """The brackets and the string of a record that are still open, after each part of its bytes."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False  # the next byte belongs to a backslash

    def end_in(self, part: bytes) -> int | None:
        """Go on over the next part; the first one starts with the record's opening bracket.

        Returns:
            Where in this part the record ends; None: not here.
        """
        position = 0
        if self._in_string:
            inside = _IN_STRING.match(part, int(self._escaped))
            position = inside.end() if inside else 0
            self._in_string = part[position : position + 1] != b'"'
            self._escaped = self._in_string and position < len(part)
            if self._in_string:
                return None
            position += 1
        elif self._depth == 0:
            self._depth = position = 1
        outside = _STRING.split(part[position:])
        if len(outside) > 1 and outside[-2] is not None:
            self._in_string = True
            self._escaped = bool(outside[-2])
        depth = self._depth
        for bracket in _unpaired(b"".join(outside[::2])):
            depth += 1 if bracket in _OPENING else -1
            if depth == 0:
                return closing(part, position, self._depth, len(part))
        self._depth = depth
        return None


def _unpaired(text: bytes) -> bytes:
    """Return the brackets of ``text`` without those that close each other."""
    brackets = text.translate(None, _NO_BRACKETS)
    for _ in range(_MOST_ROUNDS):
        fewer = brackets.replace(b"{}", b"").replace(b"[]", b"")
        if len(fewer) == len(brackets):
            break
        brackets = fewer
    return brackets
