"""Kinds of columns that identify a record, and references to other records."""

from __future__ import annotations

import functools
import zlib
from typing import TYPE_CHECKING, Literal

from harness.generate.column import (
    Block,
    Column,
    Population,
    UniqueColumn,
    Values,
    draw32,
    quoted,
    scalar,
    seeded,
    with_nulls,
)
from harness.generate.words import WORDS, people, spread

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

#: Odd, so that multiplication is invertible; 2**48 over the golden ratio, so that it spreads.
UUID_FACTOR = 0x9E37_79B9_7F4B
UUID_MASK = 0xFFFF_FFFF_FFFF


class Serial(UniqueColumn, frozen=True, kw_only=True, tag="serial"):
    """Consecutive integers, as an identity column gives them; bigints often travel as strings."""

    start: int = 1
    json: Literal["number", "string"] = "number"
    damages = ("wrong_type", "number_as_string")

    def of(self, _population: Population, _table: str, ordinals: Sequence[int]) -> Values:
        """Return the integers of these records."""
        start = self.start
        text = [str(start + ordinal) for ordinal in ordinals]
        return scalar(text, text) if self.json == "number" else quoted(text)


class Uuid(UniqueColumn, frozen=True, kw_only=True, tag="uuid"):
    """UUIDs that look like version 4, derived from seed, table and ordinal."""

    def of(self, population: Population, table: str, ordinals: Sequence[int]) -> Values:
        """Return the UUIDs of these records.

        The last 48 bits are the ordinal, mixed invertibly, so no two are equal; they also select
        the first parts. Hashing each ordinal would take twice the time.
        """
        start = zlib.crc32(f"{population.seed}/{table}".encode())
        heads, middles = _uuid_parts()
        mixed = [(start + ordinal) * UUID_FACTOR & UUID_MASK for ordinal in ordinals]
        return quoted(
            [f"{heads[x & 4095]}{middles[x >> 16 & 4095]}{x ^ x >> 20:012x}" for x in mixed]
        )


class Email(UniqueColumn, frozen=True, kw_only=True, tag="email"):
    """E-mail addresses that match the names of ``first_name`` and ``last_name``."""

    damages = ("nul",)

    def of(self, population: Population, _table: str, ordinals: Sequence[int]) -> Values:
        """Return the addresses of these records."""
        first, last, domains = WORDS.first_logins, WORDS.last_logins, WORDS.domains
        picks = people(population.seed, ordinals)
        return quoted(
            [
                f"{first[a]}.{last[b]}{ordinal}@{domains[(a + b) % len(domains)]}"
                for ordinal, (a, b) in zip(ordinals, picks, strict=True)
            ]
        )


class Code(UniqueColumn, frozen=True, kw_only=True, tag="code"):
    """Business numbers by a pattern with one ``%d``, such as ``INV-%08d``."""

    pattern: str
    damages = ("nul",)

    def of(self, _population: Population, _table: str, ordinals: Sequence[int]) -> Values:
        """Return the numbers of these records."""
        pattern = self.pattern
        return quoted([pattern % (ordinal + 1) for ordinal in ordinals])


class Slug(UniqueColumn, frozen=True, kw_only=True, tag="slug"):
    """Slugs for URLs, such as ``brisk-harbour-17``."""

    damages = ("nul",)

    def of(self, population: Population, table: str, ordinals: Sequence[int]) -> Values:
        """Return the slugs of these records."""
        heads, tails = WORDS.adjectives, WORDS.nouns
        picks = spread(f"{population.seed}/{table}", ordinals)
        return quoted(
            [
                f"{heads[x % len(heads)]}-{tails[x // 256 % len(tails)]}-{ordinal + 1}"
                for ordinal, x in zip(ordinals, picks, strict=True)
            ]
        )


class Reference(Column, frozen=True, kw_only=True, tag="reference"):
    """The key of another record that can be restored.

    Attributes:
        to: The referenced table.
        pick: ``any`` record; ``follow``: children are in the order of their parents, such as items
            of orders; ``earlier``: an earlier record of the same table.
        skewed: Whether the first records are referenced more often than the last.
        enforced: Whether the schema has a foreign key for it.
    """

    to: str
    pick: Literal["any", "follow", "earlier"] = "any"
    skewed: bool = False
    enforced: bool = True
    damages = ("orphan",)

    def values(self, block: Block, rng: random.Random) -> Values:
        """Make the block's references; null if there is nothing to refer to."""
        population, to = block.population, self.to
        if population.records[to] == 0:
            return _no_values(block.count, rng)
        ordinals = self._ordinals(block, rng)
        if population.unrestorable.get(to):
            ordinals = [_nearest_restorable(population, to, ordinal) for ordinal in ordinals]
        values = population.keys[to].of(population, to, ordinals)
        if self.pick == "earlier" and block.start == 0:
            values = _first_null(values)
        return values

    def _ordinals(self, block: Block, rng: random.Random) -> list[int]:
        parents = block.population.records[self.to]
        if self.pick == "follow":
            children = block.population.records[block.table]
            return [ordinal * parents // children for ordinal in block.ordinals]
        draws = draw32(rng, block.count)
        if self.pick == "earlier":
            pairs = zip(block.ordinals, draws, strict=True)
            return [ordinal * x >> 32 for ordinal, x in pairs]
        if self.skewed:
            return [parents * x * x >> 64 for x in draws]
        return [parents * x >> 32 for x in draws]


@functools.cache
def _uuid_parts() -> tuple[list[str], list[str]]:
    """Return first and middle parts of UUIDs of version 4."""
    rng = seeded("uuid")
    bits = rng.getrandbits
    heads = [f"{bits(32):08x}-{bits(16):04x}-" for _ in range(4096)]
    return heads, [f"4{bits(12):03x}-a{bits(12):03x}-" for _ in range(4096)]


def _nearest_restorable(population: Population, table: str, ordinal: int) -> int:
    """Return the nearest earlier restorable record; the first of a table always is one."""
    while not population.restorable(table, ordinal):
        ordinal -= 1
    return ordinal


def _no_values(count: int, rng: random.Random) -> Values:
    return with_nulls(quoted([""] * count), 1.0, rng)


def _first_null(values: Values) -> Values:
    return scalar(["null", *values.json[1:]], [None, *values.text[1:]])
