"""Names that mean the same: by case, snake_case and plural, and without what tools add to them."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from restore.target.relations import Relation

_BETWEEN_WORDS = re.compile(r"(?<!^)(?<!_)[_\-\s]+(?=[^_\-\s])")
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_IRREGULAR = {
    "child": "children",
    "criterion": "criteria",
    "datum": "data",
    "foot": "feet",
    "goose": "geese",
    "index": "indices",
    "man": "men",
    "matrix": "matrices",
    "medium": "media",
    "mouse": "mice",
    "person": "people",
    "quiz": "quizzes",
    "tooth": "teeth",
    "vertex": "vertices",
}
_TAKES_ES = ("s", "x", "z", "ch", "sh", "o")

_QUOTES = re.compile(r"[\"'`\[\]\u2018-\u201d]")
_DATE = r"(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])"
_TIME = r"(?:[-_.T ]?[0-2]\d[-_.:h]?[0-5]\d(?:[-_.:]?[0-5]\d(?:[.,]?\d+)?)?Z?)?"
_STAMP = rf"(?:{_DATE}{_TIME}|1\d{{9}}|1\d{{12}})"
_ADDED = r"(?:backup|bak|bkp|copy|dump|export|exported|rows|data|table)"
# What tools and people add to a table's name, each with the part that is the name.
_AFFIXES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(.+?)[-_. ]+{_STAMP}",
        rf"{_STAMP}[-_. ]+(.+)",
        r"(.+?) ?\(\d+\)",
        r"(.+?)(?: -)? copy(?: \d+)?",
        rf"(.+?)[-_. ]+{_ADDED}",
        rf"{_ADDED}[-_. ]+(.+)",
        r"tbl_?(.+)",
    )
)
# DataGrip names a file after the database, the schema and the table.
_SCHEMA = re.compile(r"(?:\w+_)?(?:public|dbo)_(.+)", re.IGNORECASE)
_MOST_AFFIXES = 4


def squash(name: str) -> str:
    """Return a name without regard to case and to how its words are joined.

    Underscores at its start count: ``_id`` is not ``id``.
    """
    return _BETWEEN_WORDS.sub("", name).lower()


def plurals(name: str) -> set[str]:
    """Return what may be the plural of a squashed name."""
    found = {f"{name}s"}
    if name.endswith(_TAKES_ES):
        found.add(f"{name}es")
    if name.endswith("y"):
        found.add(f"{name[:-1]}ies")
    if name.endswith(("f", "fe")):
        found.add(f"{name.removesuffix('e')[:-1]}ves")
    for one, many in _IRREGULAR.items():
        if name.endswith(one):
            found.add(name[: -len(one)] + many)
    return found


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[_\-\s]+", _WORD_START.sub("_", name)) if word]


def _capitalized(words: Iterable[str]) -> str:
    return "".join(word.capitalize() for word in words)


STYLES: tuple[Callable[[str], str], ...] = (
    lambda name: "".join(_words(name)[:1]).lower() + _capitalized(_words(name)[1:]),
    lambda name: _capitalized(_words(name)),
    lambda name: "_".join(_words(name)).lower(),
    lambda name: "_".join(_words(name)).upper(),
    lambda name: "-".join(_words(name)).lower(),
    str.upper,
    str.lower,
)
"""Ways to write a column's name as that of a field: camelCase, PascalCase, snake_case, ..."""


def without_affixes(name: str) -> Iterator[set[str]]:
    """Yield what may be left of a name without what tools add, after one step, two, ..."""
    names = {name}
    for _ in range(_MOST_AFFIXES):
        names = {shorter for each in names for shorter in _shortened(each)} - {""}
        if not names:
            return
        yield names


def _shortened(name: str) -> Iterator[str]:
    bare = _QUOTES.sub("", name)
    if bare != name:
        yield bare
        return
    for affix in _AFFIXES:
        if match := affix.fullmatch(name):
            yield match[1]


class TableNames(Struct, frozen=True):
    """Tables by the names that may mean them.

    ``exact`` also has qualified names; ``lowered`` is without regard to case, ``squashed`` as
    ``squash`` does, ``plural`` by plurals of squashed names; the last two of tables with rows of
    their own that their bare names mean. ``schemas`` hold tables whose names are to be qualified.
    """

    exact: dict[str, Relation]
    lowered: dict[str, list[Relation]]
    squashed: dict[str, list[Relation]]
    plural: dict[str, list[Relation]]
    schemas: frozenset[str]

    @classmethod
    def of(cls, relations: list[Relation]) -> TableNames:
        """Return the names of a target's relations."""
        visible = [relation for relation in relations if relation.visible]
        exact = {relation.qualified: relation for relation in relations}
        exact |= {relation.name: relation for relation in visible}
        tables = [relation for relation in visible if not relation.unsupported_kind]
        return cls(
            exact,
            _grouped((name.lower(), relation) for name, relation in exact.items()),
            _grouped((squash(each.name), each) for each in tables),
            _grouped((name, each) for each in tables for name in plurals(squash(each.name))),
            frozenset(each.schema.lower() for each in relations if not each.visible),
        )

    def find(self, name: str) -> list[Relation]:
        """Return the relation of exactly this name."""
        return [self.exact[name]] if name in self.exact else []

    def find_similar(self, name: str) -> list[Relation]:
        """Return the relations that a name means if its case does not count."""
        return self.find(name) or self.lowered.get(name.lower(), [])

    def find_loosely(self, name: str) -> list[Relation]:
        """Return all tables that a name may mean; the closest ones alone."""
        for names in chain([{name}], without_affixes(name)):
            found = _distinct(table for each in names for table in self._find_bare(each))
            if found:
                return found
        return []

    def _find_bare(self, name: str) -> list[Relation]:
        """Return the tables that a name may mean without its schema, or database, too."""
        before, _, bare = name.rpartition(".")
        if before:
            outside = self.schemas.isdisjoint(before.lower().split("."))
            return self.find_similar(name) or (self._find(bare) if outside else [])
        match = _SCHEMA.fullmatch(name)
        return self._find(name) or (self._find(match[1]) if match else [])

    def _find(self, name: str) -> list[Relation]:
        found = self.find_similar(name)
        if found:
            return found
        key = squash(name)
        if key in self.squashed:
            return self.squashed[key]
        singular = (t for many in sorted(plurals(key)) for t in self.squashed.get(many, ()))
        return _distinct([*self.plural.get(key, ()), *singular])


def _grouped(pairs: Iterable[tuple[str, Relation]]) -> dict[str, list[Relation]]:
    groups: dict[str, list[Relation]] = {}
    for name, relation in pairs:
        groups.setdefault(name, []).append(relation)
    return groups


def _distinct(relations: Iterable[Relation]) -> list[Relation]:
    return list({relation.oid: relation for relation in relations}.values())
