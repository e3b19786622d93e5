"""Kinds of columns that hold several values: arrays, and documents for jsonb."""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import msgspec

from harness.generate import keys, plain, texts
from harness.generate.column import Block, Column, Values, pick, seeded
from harness.generate.words import WORDS

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable


#: What PostgreSQL quotes in an element of an array's text.
SPECIAL = re.compile(r'[{}",\\ \t\n\r\v\f]')
#: Number of different arrays of a length.
ARRAYS = 1024
#: Number of different documents of a column. Making each one separately, as with floating point
#: numbers, would take 40 % more time.
DOCUMENTS = 1024


class Words(Column, frozen=True, kw_only=True, tag="words"):
    """Arrays of words, some empty: ``text[]``."""

    most: Annotated[int, msgspec.Meta(ge=0)] = 4
    nested = True

    def values(self, block: Block, rng: random.Random) -> Values:
        """Make the block's arrays."""
        picks = pick(_arrays(self.most), rng, block.count)
        json, text = [json for json, _, _ in picks], [text for _, text, _ in picks]
        return Values(json, text, [jsonb for _, _, jsonb in picks])


class Document(Column, frozen=True, kw_only=True, tag="document"):
    """JSON objects with equal fields: ``jsonb``, which sorts the keys when printed."""

    fields: tuple[AnyField, ...]
    nested = True

    def values(self, block: Block, rng: random.Random) -> Values:
        """Make the block's documents."""
        picks = pick(_documents(self, replace(block, start=0, count=DOCUMENTS)), rng, block.count)
        jsonb = [printed for _, printed in picks]
        return Values([json for json, _ in picks], jsonb, jsonb)


AnyField = (
    plain.Integer
    | plain.Money
    | plain.Double
    | plain.Boolean
    | plain.Choice
    | plain.Instant
    | plain.Timestamp
    | plain.Date
    | plain.Bytes
    | texts.FirstName
    | texts.LastName
    | texts.CompanyName
    | texts.Title
    | texts.Street
    | texts.City
    | texts.Ip
    | texts.Text
    | Words
    | Document
)
AnyColumn = AnyField | keys.Serial | keys.Uuid | keys.Email | keys.Code | keys.Slug | keys.Reference


@functools.cache
def _arrays(most: int) -> list[tuple[str, str, str]]:
    """Return arrays of at most ``most`` words: as JSON, as PostgreSQL prints them, as jsonb."""
    rng, made = seeded("arrays"), []
    for x in rng.randbytes(ARRAYS):
        tags = pick(WORDS.tags, rng, x * (most + 1) >> 8)
        json = [texts.as_json(tag) for tag in tags]
        text = "{" + ",".join(map(array_element, tags)) + "}"
        made.append((f"[{','.join(json)}]", text, f"[{', '.join(json)}]"))
    return made


def array_element(text: str) -> str:
    """Return an element of an array as PostgreSQL prints it."""
    if text and text.upper() != "NULL" and not SPECIAL.search(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@functools.lru_cache(maxsize=64)
def _documents(column: Document, block: Block) -> list[tuple[str, str]]:
    """Return documents as JSON and as jsonb prints them: keys by length, then by bytes."""
    inside = block.within(column.name)
    made = {field.name: field.make(inside) for field in column.fields}
    jsonb_order = sorted(made, key=lambda name: (len(name.encode()), name.encode()))
    json = template(made, colon=":", comma=",")
    jsonb = template(jsonb_order, colon=": ", comma=", ")
    rows = zip(*[values.json for values in made.values()], strict=True)
    printed = zip(*[made[name].jsonb for name in jsonb_order], strict=True)
    return [(json % row, jsonb % sorted_row) for row, sorted_row in zip(rows, printed, strict=True)]


def template(
    names: Iterable[str], *, colon: str, comma: str, indent: str = "", end: str = ""
) -> str:
    """Make a ``%`` template for objects with these fields."""
    fields = [indent + texts.as_json(name).replace("%", "%%") + colon + "%s" for name in names]
    return "{" + comma.join(fields) + end + "}"
