"""The vocabulary of generated values, and the mapping from an ordinal to a person."""

from __future__ import annotations

import tomllib
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

Words = tuple[str, ...]


class Vocabulary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The lists of ``words.toml``."""

    first_names: Words
    first_logins: Words
    last_names: Words
    last_logins: Words
    domains: Words
    adjectives: Words
    nouns: Words
    materials: Words
    trades: Words
    legal_forms: Words
    streets: Words
    cities: Words
    subjects: Words
    verbs: Words
    objects: Words
    endings: Words
    tags: Words


def _read() -> Vocabulary:
    text = Path(__file__).with_suffix(".toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Vocabulary)


WORDS = _read()

#: 2**32 over the golden ratio: it spreads consecutive numbers, and is odd, so that none are equal.
FACTOR = 2_654_435_761
MASK = 0xFFFF_FFFF


def spread(salt: str, ordinals: Sequence[int]) -> list[int]:
    """Map ordinals to 24 bits without a visible pattern."""
    start = zlib.crc32(salt.encode())
    return [((start + ordinal) * FACTOR & MASK) >> 8 for ordinal in ordinals]


def people(seed: int, ordinals: Sequence[int]) -> list[tuple[int, int]]:
    """Return the indexes of the first and last names of these records."""
    first, last = len(WORDS.first_names), len(WORDS.last_names)
    return [(x % first, x // 1024 % last) for x in spread(f"person/{seed}", ordinals)]
