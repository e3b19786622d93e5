"""Kinds of columns with one number, time, boolean, choice or binary value."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import struct
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import msgspec

from harness.generate.column import (
    Block,
    Column,
    Values,
    draw16,
    draw32,
    pooled,
    quoted,
    scalar,
    seeded,
)
from harness.model.manifest import Form  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    import random


DAY_MS = 86_400_000
MINUTE_MS = 60_000
EPOCH_DAY = dt.date(1970, 1, 1).toordinal()
#: Number of different floating point numbers of a column.
DOUBLES = 2048
CENTS = tuple(f".{cent:02d}" for cent in range(100))
SHORT_CENTS = tuple(cents.rstrip("0").rstrip(".") for cents in CENTS)


class Integer(Column, frozen=True, kw_only=True, tag="integer"):
    """Integers between two bounds, inclusive."""

    least: int = 0
    most: int
    json: Literal["number", "string"] = "number"
    damages = ("wrong_type", "number_as_string")

    def values(self, block: Block, rng: random.Random) -> Values:
        """Make the block's integers."""
        least, span = self.least, self.most - self.least + 1
        text = [str(least + (x * span >> 32)) for x in draw32(rng, block.count)]
        return scalar(text, text) if self.json == "number" else quoted(text)


class Money(Column, frozen=True, kw_only=True, tag="money"):
    """Amounts with two decimals, small ones more often: ``numeric(n,2)``.

    As JSON numbers they have no trailing zeros, as in JavaScript; as strings they keep them.
    """

    most: int
    json: Literal["number", "string"] = "string"
    damages = ("wrong_type",)

    def values(self, block: Block, rng: random.Random) -> Values:
        """Make the block's amounts."""
        cents, draws = self.most * 100, [draw16(rng, block.count) for _ in range(3)]
        amounts = [cents * x * y * z >> 48 for x, y, z in zip(*draws, strict=True)]
        text = [f"{amount // 100}{CENTS[amount % 100]}" for amount in amounts]
        if self.json == "string":
            return quoted(text)
        return scalar([f"{amount // 100}{SHORT_CENTS[amount % 100]}" for amount in amounts], text)


class Double(Column, frozen=True, kw_only=True, tag="double"):
    """Floating point numbers, rounded to a few digits like measured values.

    At most four digits: below 0.0001, Python and JavaScript write exponents differently.
    """

    least: int = 0
    most: int
    digits: Annotated[int, msgspec.Meta(ge=1, le=4)] = 4
    form = "float8"
    damages = ("wrong_type",)

    def values(self, block: Block, rng: random.Random) -> Values:
        """Make the block's numbers."""
        return pooled(_doubles(self.least, self.most, self.digits), rng, block.count)


class Boolean(Column, frozen=True, kw_only=True, tag="boolean"):
    """Booleans with a share of true ones, to the nearest 256th."""

    true: float = 0.5
    damages = ("wrong_type",)

    def values(self, block: Block, rng: random.Random) -> Values:
        """Make the block's booleans."""
        limit = round(self.true * 256)
        text = ["true" if x < limit else "false" for x in rng.randbytes(block.count)]
        return scalar(text, text)


class Choice(Column, frozen=True, kw_only=True, tag="choice"):
    """One of a few words, such as an enum or a currency. ``weights`` are small integers."""

    values_: tuple[str, ...] = msgspec.field(name="values")
    weights: tuple[int, ...] = ()

    def values(self, block: Block, rng: random.Random) -> Values:
        """Make the block's words."""
        weights = self.weights or (1,) * len(self.values_)
        pairs = zip(self.values_, weights, strict=True)
        pool = [(f'"{word}"', word) for word, weight in pairs for _ in range(weight)]
        return pooled(pool, rng, block.count)


class Instant(Column, frozen=True, kw_only=True, tag="instant"):
    """Timestamps with time zone in a window of days before the scenario's epoch, as in Prisma.

    Attributes:
        first: Start of the window, in days before the epoch.
        last: Its end.
        rising: Whether they increase from record to record, as in a log.
    """

    first: int = 1000
    last: int = 0
    rising: bool = False
    form: ClassVar[Form] = "timestamptz"
    damages: ClassVar[tuple[str, ...]] = ("bad_date", "date_spelling")

    def values(self, block: Block, rng: random.Random) -> Values:
        """Make the block's instants."""
        instants = self._instants(block, rng)
        days, minutes, millis = _days, _minutes, _millis
        json = [
            f'"{days[ms // DAY_MS]}{minutes[ms // MINUTE_MS % 1440]}{millis[ms % MINUTE_MS]}"'
            for ms in instants
        ]
        return scalar(json, [f"{ms}000" for ms in instants])

    def _instants(self, block: Block, rng: random.Random) -> list[int]:
        """Return milliseconds since 1970."""
        begin = block.population.epoch_s * 1000 - self.first * DAY_MS
        span = (self.first - self.last) * DAY_MS
        if not self.rising:
            return [begin + (x * span >> 32) for x in draw32(rng, block.count)]
        step = span // block.population.records[block.table]
        draws = zip(block.ordinals, draw16(rng, block.count), strict=True)
        return [begin + ordinal * step + (x * step >> 16) for ordinal, x in draws]


class Timestamp(Instant, frozen=True, kw_only=True, tag="timestamp"):
    """Timestamps without time zone, for which other spellings would be ambiguous."""

    form = "timestamp"
    damages = ("bad_date",)


class Date(Column, frozen=True, kw_only=True, tag="date"):
    """Dates in a window of days before the epoch, at midnight UTC as in Prisma."""

    first: int = 1000
    last: int = 0
    damages = ("bad_date",)

    def values(self, block: Block, rng: random.Random) -> Values:
        """Make the block's dates."""
        begin, span = block.population.epoch_s // 86_400 - self.first, self.first - self.last
        text = [_days[begin + (x * span >> 16)] for x in draw16(rng, block.count)]
        return scalar([f'"{day}T00:00:00.000Z"' for day in text], text)


class Bytes(Column, frozen=True, kw_only=True, tag="bytes"):
    """Binary data with a size between two bounds, as base64."""

    least: int
    most: int
    form = "bytea"

    def values(self, block: Block, rng: random.Random) -> Values:
        """Make the block's data."""
        least, span = self.least, self.most - self.least + 1
        sizes = [least + (x * span >> 16) for x in draw16(rng, block.count)]
        data = [rng.randbytes(size) for size in sizes]
        encode = base64.b64encode
        json = [f'"{encode(one).decode()}"' for one in data]
        return scalar(json, [one.hex() for one in data])


@functools.cache
def _doubles(least: int, most: int, digits: int) -> list[tuple[str, str]]:
    """Return numbers between two bounds, as in JSON.stringify and as their eight bytes."""
    parts, pack = 10**digits, struct.Struct(">d").pack
    draws = draw32(seeded(f"doubles/{least}/{most}"), DOUBLES)
    numbers = [(least * parts + (x * (most - least) * parts >> 32)) / parts for x in draws]
    return [(repr(number).removesuffix(".0"), pack(number).hex()) for number in numbers]


class _Days(dict[int, str]):
    """A cache of days since 1970 in ISO 8601."""

    def __missing__(self, day: int) -> str:
        self[day] = dt.date.fromordinal(EPOCH_DAY + day).isoformat()
        return self[day]


class _Millis(dict[int, str]):
    """A cache of the milliseconds of a minute, as the end of a timestamp."""

    def __missing__(self, ms: int) -> str:
        self[ms] = f"{ms // 1000:02d}.{ms % 1000:03d}Z"
        return self[ms]


_days = _Days()
_millis = _Millis()
_minutes = tuple(f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440))
