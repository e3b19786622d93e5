"""Names of columns, and what they say of keys: ``author_id`` identifies an author."""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

# NAMEDATALEN - 1 in PostgreSQL's pg_config_manual.h.
LONGEST_NAME_BYTES = 63
# Each table has these columns already.
_SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})

# Between words: what is no letter, and a capital after a small letter, or before one.
_BETWEEN = re.compile(
    r"[\W_]+|(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=\D)(?=\d)|(?<=\d)(?=\D)"
)
_IDENTIFIERS = ("id", "uuid", "guid", "pk")
_OWN = frozenset({"parent", "root", "previous", "next", "original"})
_IRREGULAR = {"people": "person", "children": "child", "men": "man", "women": "woman"}


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name in snake_case, camelCase or any other, in lower case."""
    return tuple(word.lower() for word in _BETWEEN.split(name) if word)


def _singulars(word: str) -> frozenset[str]:
    """Return the English singulars that a noun may have, itself among them."""
    found = {word, _IRREGULAR.get(word, word)}
    for ending, instead in (("s", ""), ("es", ""), ("ies", "y")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            found.add(word[: -len(ending)] + instead)
    return frozenset(found)


def _is_noun(words: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Tell if two names are the same noun, in the singular or the plural."""
    if not words or words[:-1] != other[:-1]:
        return False
    return not _singulars(words[-1]).isdisjoint(_singulars(other[-1]))


def is_key_name(field: str, table: str) -> bool:
    """Tell if a field may identify the records of its table."""
    return key_rank(field, table) is not None


def key_rank(field: str, table: str) -> int | None:
    """Return how soon a field is chosen as primary key, from 0; None: its name is no key's."""
    words = words_of(field)
    if len(words) == 1 and words[0] in _IDENTIFIERS:
        return _IDENTIFIERS.index(words[0])
    if len(words) > 1 and words[-1] in _IDENTIFIERS and _is_noun(words[:-1], words_of(table)):
        return len(_IDENTIFIERS)
    return None


def may_refer(field: str) -> bool:
    """Tell if a field may hold keys of another table."""
    words = words_of(field)
    return len(words) > 1 and words[-1] in _IDENTIFIERS


def referred_tables(field: str, own: str, tables: Collection[str]) -> list[str]:
    """Return the tables whose records a field may name, the most likely first.

    ``billing_address_id`` may mean ``billing_addresses``, ``shop_billing_addresses``, or else
    ``addresses``; ``parent_id`` the field's own table.
    """
    words = words_of(field)[:-1]
    names = {table: words_of(table) for table in tables}
    found = []
    for start in range(len(words)):
        wanted = words[start:]
        found += [table for table, noun in names.items() if _is_noun(wanted, noun)]
        found += [table for table, noun in names.items() if _is_noun(wanted, noun[-len(wanted) :])]
    if own in tables and _OWN & set(words):
        found.append(own)
    return list(dict.fromkeys(found))


def is_name(name: str) -> bool:
    """Tell if PostgreSQL takes a name as it is."""
    return 0 < len(name.encode()) <= LONGEST_NAME_BYTES and "\0" not in name


def name_columns(
    fields: Iterable[str], table: str, map_column: Mapping[str, str]
) -> dict[str, str]:
    """Return the name of the column for each field: the field's own, if a column can have it.

    Args:
        fields: the fields of a table's records.
        table: the table.
        map_column: columns by ``TABLE.FIELD``, as the user named them.
    """
    given = {field: map_column.get(f"{table}.{field}", field) for field in fields}
    names = {f: name for f, name in given.items() if is_name(name) and name not in _SYSTEM_COLUMNS}
    taken = set(names.values())
    for field, name in given.items():
        if field not in names:
            names[field] = next(each for each in _similar(name) if each not in taken)
            taken.add(names[field])
    return names


def _similar(name: str) -> Iterator[str]:
    """Yield names that a column can have, and that are like one that it cannot."""
    start = name.replace("\0", "") or "field"
    for number in count(1):
        suffix = "_" if number == 1 else f"_{number}"
        kept = start.encode()[: LONGEST_NAME_BYTES - len(suffix)].decode(errors="ignore")
        yield kept + suffix
