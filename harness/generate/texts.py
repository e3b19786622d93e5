"""Kinds of columns with text: names, places, titles, sentences."""

from __future__ import annotations

import functools
import itertools
import json
from typing import TYPE_CHECKING, Annotated

import msgspec

from harness.generate.column import Block, Column, Values, pick, pooled, scalar, seeded
from harness.generate.words import WORDS, people

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence

#: Number of different texts of a length, and sentences of the longest; longer texts are combined
#: from these. Making each text separately would take most of a dataset's time.
TEXTS = 2048
PIECE = 4
IPS = tuple(
    f"{net}.{host}" for net in ("192.0.2", "198.51.100", "203.0.113") for host in range(256)
)


class TextColumn(Column, frozen=True, kw_only=True):
    """A column of text; PostgreSQL's text accepts every character except NUL."""

    damages = ("nul",)


class FirstName(TextColumn, frozen=True, kw_only=True, tag="first_name"):
    """Given names."""

    def values(self, block: Block, _rng: random.Random) -> Values:
        """Make the block's names."""
        names, picks = WORDS.first_names, people(block.population.seed, block.ordinals)
        return strings([names[first] for first, _ in picks])


class LastName(TextColumn, frozen=True, kw_only=True, tag="last_name"):
    """Family names."""

    def values(self, block: Block, _rng: random.Random) -> Values:
        """Make the block's names."""
        names, picks = WORDS.last_names, people(block.population.seed, block.ordinals)
        return strings([names[last] for _, last in picks])


class CompanyName(TextColumn, frozen=True, kw_only=True, tag="company_name"):
    """Names of companies, such as ``Kowalski Textiles Ltd``."""

    def values(self, block: Block, rng: random.Random) -> Values:
        """Make the block's names."""
        parts = (WORDS.last_names, WORDS.trades, WORDS.legal_forms)
        return strings([" ".join(words) for words in _one_of_each(parts, rng, block.count)])


class Title(TextColumn, frozen=True, kw_only=True, tag="title"):
    """Names of things, such as ``Quiet copper lantern``."""

    def values(self, block: Block, rng: random.Random) -> Values:
        """Make the block's names."""
        parts = (WORDS.adjectives, WORDS.materials, WORDS.nouns)
        names = _one_of_each(parts, rng, block.count)
        return strings([" ".join(name).capitalize() for name in names])


class Street(TextColumn, frozen=True, kw_only=True, tag="street"):
    """Streets with a number."""

    def values(self, block: Block, rng: random.Random) -> Values:
        """Make the block's streets."""
        numbers = tuple(map(str, range(1, 181)))
        streets = _one_of_each((WORDS.streets, numbers), rng, block.count)
        return strings([" ".join(street) for street in streets])


class City(TextColumn, frozen=True, kw_only=True, tag="city"):
    """Towns."""

    def values(self, block: Block, rng: random.Random) -> Values:
        """Make the block's towns."""
        return strings(pick(WORDS.cities, rng, block.count))


class Ip(TextColumn, frozen=True, kw_only=True, tag="ip"):
    """IP addresses of the networks reserved for documentation."""

    def values(self, block: Block, rng: random.Random) -> Values:
        """Make the block's addresses."""
        return strings(pick(IPS, rng, block.count))


class Text(TextColumn, frozen=True, kw_only=True, tag="text"):
    """One to ``sentences`` sentences, some with characters that JSON must escape."""

    sentences: Annotated[int, msgspec.Meta(ge=1)] = 1

    def values(self, block: Block, rng: random.Random) -> Values:
        """Make the block's texts."""
        pieces, pool = -(-self.sentences // PIECE), _texts(min(self.sentences, PIECE))
        if pieces == 1:
            return pooled(pool, rng, block.count)
        counts = [1 + (x * pieces >> 8) for x in rng.randbytes(block.count)]
        chosen = [pick(pool, rng, count) for count in counts]
        text = [" ".join([text for _, text in picks]) for picks in chosen]
        return scalar(
            [f'"{" ".join([json[1:-1] for json, _ in picks])}"' for picks in chosen], text
        )


def strings(text: list[str]) -> Values:
    """Return strings that need no escapes in JSON."""
    return scalar([f'"{one}"' for one in text], text)


def as_json(text: str) -> str:
    """Return a string as in ``JSON.stringify``, which is also how jsonb prints it."""
    return json.dumps(text, ensure_ascii=False)


@functools.cache
def _texts(most: int) -> list[tuple[str, str]]:
    """Return texts of up to ``most`` sentences, as JSON and as text."""
    rng = seeded("texts")
    counts = [1 + (x * most >> 8) for x in rng.randbytes(TEXTS)]
    parts = (WORDS.subjects, WORDS.verbs, WORDS.objects, WORDS.endings)
    drawn = _one_of_each(parts, rng, sum(counts))
    sentences = iter([f"{who} {does} {what}{ending}" for who, does, what, ending in drawn])
    texts = [" ".join(itertools.islice(sentences, count)) for count in counts]
    return [(as_json(text), text) for text in texts]


def _one_of_each(
    parts: tuple[Sequence[str], ...], rng: random.Random, count: int
) -> Iterable[tuple[str, ...]]:
    return zip(*[pick(part, rng, count) for part in parts], strict=True)
