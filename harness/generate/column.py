"""The base of all kinds of columns: a Struct that makes the values of a block at once.

Values are made column by column, because a list comprehension over a block costs a fraction of a
call per value, and in blocks whose random numbers are seeded by position, so that any number of
processes makes the same bytes.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeVar

import msgspec

from harness.model.manifest import Form  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


T = TypeVar("T")


class Values(NamedTuple):
    """A column's values in a block: as JSON, as text for the ground truth, as jsonb prints them.

    A text is None for NULL; ``truth.cell`` says how those of other forms than text are written.
    """

    json: list[str]
    text: Sequence[str | None]
    jsonb: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """The records of all tables, for references: counts, restorable ones, and keys."""

    seed: int
    epoch_s: int
    records: Mapping[str, int]
    keys: Mapping[str, UniqueColumn]
    unrestorable: Mapping[str, frozenset[int]] = field(default_factory=dict)

    def restorable(self, table: str, ordinal: int) -> bool:
        """Return whether a record can be restored, so that others may refer to it."""
        return ordinal not in self.unrestorable.get(table, ())


@dataclass(frozen=True, slots=True)
class Block:
    """A run of consecutive records of one table."""

    population: Population
    table: str
    start: int
    count: int
    path: str = ""

    @property
    def ordinals(self) -> range:
        """Return the ordinals of this block's records in the file."""
        return range(self.start, self.start + self.count)

    def within(self, name: str) -> Block:
        """Return the same block for the fields of a document in column ``name``."""
        return replace(self, path=f"{self.path}{name}.")

    def random(self, name: str) -> random.Random:
        """Return random numbers that depend only on the seed and the position, not the process."""
        return seeded(f"{self.population.seed}/{self.table}/{self.path}{name}/{self.start}")


class Column(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True
):
    """One column of a scenario.

    Attributes:
        name: The column's name, which is the field's name in the JSON too.
        nulls: The share of values that are null; None if the column is NOT NULL.
        default: The text of the column's constant default, if it has one.
        form: The type that it is hashed as (docs/interfaces.md).
        damages: The kinds of damage that apply to such a value (see ``damage.py``).
    """

    name: str
    nulls: float | None = None
    default: str | None = None
    form: ClassVar[Form] = "text"
    nested: ClassVar[bool] = False
    damages: ClassVar[tuple[str, ...]] = ()

    def values(self, block: Block, rng: random.Random) -> Values:
        """Make the block's values, none of them null."""
        raise NotImplementedError

    def make(self, block: Block) -> Values:
        """Make the block's values, including nulls."""
        rng = block.random(self.name)
        values = self.values(block, rng)
        return with_nulls(values, self.nulls, rng) if self.nulls else values


class UniqueColumn(Column, frozen=True, kw_only=True):
    """A column whose value is derived from the ordinal, so that others can refer to it."""

    def of(self, population: Population, table: str, ordinals: Sequence[int]) -> Values:
        """Return the values of the records at these ordinals."""
        raise NotImplementedError

    def values(self, block: Block, _rng: random.Random) -> Values:
        """Make the block's values."""
        return self.of(block.population, block.table, block.ordinals)


def seeded(place: str) -> random.Random:
    """Return random numbers that are the same on every machine.

    Only whole numbers may be made of them: ``getrandbits`` and ``randbytes`` are the same in every
    Python, and arithmetic with whole numbers is the same on every processor.
    """
    return random.Random(place)  # noqa: S311 - made-up values, no secrets


def scalar(json: list[str], text: Sequence[str | None]) -> Values:
    """Return values whose JSON is unchanged in jsonb."""
    return Values(json, text, json)


def quoted(text: list[str]) -> Values:
    """Return strings that need no escapes in JSON."""
    return scalar([f'"{one}"' for one in text], text)


def with_nulls(values: Values, share: float, rng: random.Random) -> Values:
    """Replace a share of the values by nulls, to the nearest 256th."""
    limit, draw = round(share * 256), rng.randbytes(len(values.json))
    json = [one if x >= limit else "null" for one, x in zip(values.json, draw, strict=True)]
    text = [one if x >= limit else None for one, x in zip(values.text, draw, strict=True)]
    if values.jsonb is values.json:
        return scalar(json, text)
    jsonb = [one if x >= limit else "null" for one, x in zip(values.jsonb, draw, strict=True)]
    return Values(json, text, jsonb)


def below(bound: int, rng: random.Random) -> int:
    """Draw one number below a bound."""
    return rng.getrandbits(64) * bound >> 64


def draw16(rng: random.Random, count: int) -> tuple[int, ...]:
    """Draw numbers below 2**16; drawn at once, they cost a third of single ones."""
    return struct.unpack(f"<{count}H", rng.randbytes(2 * count))


def draw32(rng: random.Random, count: int) -> tuple[int, ...]:
    """Draw numbers below 2**32."""
    return struct.unpack(f"<{count}I", rng.randbytes(4 * count))


def pick(pool: Sequence[T], rng: random.Random, count: int) -> list[T]:
    """Pick ``count`` elements of a pool of at most 2**16."""
    size = len(pool)
    return [pool[x * size >> 16] for x in draw16(rng, count)]


def pooled(pool: Sequence[tuple[str, str]], rng: random.Random, count: int) -> Values:
    """Return values picked from a pool of pairs of JSON and text."""
    picked = pick(pool, rng, count)
    return scalar([json for json, _ in picked], [text for _, text in picked])
