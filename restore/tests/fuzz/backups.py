"""Files of records with damage between them, for fuzzing: which records are in them is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from hypothesis import strategies as st

from restore.tests.source.test_backup import ENCODERS

if TYPE_CHECKING:
    from collections.abc import Callable

# What a torn file consists of; the first record's opening is not among it, so that no damage
# makes a record of its own.
TOKENS = (
    *(b"{", b"}", b"[", b"]", b'"', b":", b",", b" ", b"\\", b"\\u", b"-", b"1", b"1e5", b"null"),
    *(b"NaN", b"x", b"\x00", b"\x01", b"\xff", b'"a"', b'"a":', b'{"a":1}', b'{"q":'),
)
_TEXTS = ("", "x", "}],[{", "\\", '"', ',{"sound":', "},\n{")
_TORN = b'{"sound":-7,"t":"x","in":[{"x":1}]}'


class Sound(NamedTuple):
    """A record that has to be delivered."""

    raw: bytes


class File(NamedTuple):
    """A file's bytes, and the sound records in it, in order."""

    data: bytes
    sound: list[bytes]


def _record(number: int, text: str, inner: int) -> Sound:
    inside = {"in": [{"x": n} for n in range(inner)]} if inner else {}
    return Sound(msgspec.json.encode({"sound": number, "t": text, **inside}))


sound = st.builds(_record, st.integers(100, 999), st.sampled_from(_TEXTS), st.integers(0, 3))
_cut = st.integers(1, len(_TORN) - 1)
damage = (
    st.lists(st.sampled_from(TOKENS), min_size=1, max_size=5).map(b"".join)
    | _cut.map(lambda at: _TORN[:at])
    | _cut.map(lambda at: _TORN[:at] + _TORN[at + 1 :])
    | st.builds(lambda at, token: _TORN[:at] + token + _TORN[at:], _cut, st.sampled_from(TOKENS))
)


def _lines(items: list[bytes]) -> bytes:
    return b"[\n" + b",\n".join(items) + b"\n]\n"


def _compact(items: list[bytes]) -> bytes:
    return b"[" + b",".join(items) + b"]"


def _json_lines(items: list[bytes]) -> bytes:
    return b"\n".join(items) + b"\n"


STYLES: tuple[Callable[[list[bytes]], bytes], ...] = (_lines, _compact, _json_lines)


def _file(first: Sound, items: list[Any], style: Callable[[list[bytes]], bytes]) -> File:
    pieces = [first, *items]
    texts = [piece.raw if isinstance(piece, Sound) else piece for piece in pieces]
    return File(style(texts), [piece.raw for piece in pieces if isinstance(piece, Sound)])


def files(most: int = 8) -> st.SearchStrategy[File]:
    """Files that begin with a sound record, which tells how the others are set."""
    return st.builds(_file, sound, st.lists(sound | damage, max_size=most), st.sampled_from(STYLES))


def packed_by(compression: str | None, data: bytes) -> bytes:
    """Compress a file's bytes, if it is to be compressed."""
    return bytes(ENCODERS[f".{compression}" if compression else ""](data))
