"""Finds the table of a list of records and the column of a field (``docs/restore.md``, Names)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.model.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.adopt.reader import Source
    from harness.trial.row_hash import TableName


def table_of(source: Source, tables: Sequence[TableName], path: Sequence[str]) -> TableName:
    """Return the table of a list's name, or of the one that is written alike.

    Args:
        source: the list of records.
        tables: all tables.
        path: the schemas in which a table is found without naming its schema.

    Raises:
        InputError: there is none, or there are several.
    """
    schema, _, name = source.name.rpartition(".")
    here = [table for table in tables if (table[0] == schema if schema else table[0] in path)]
    for alike in (
        [table for table in here if table[1] == name],
        [table for table in here if _key(table[1]) == _key(name)],
        [table for table in here if _singular(_key(table[1])) == _singular(_key(name))],
    ):
        nearest = min((path.index(table[0]) for table in alike if table[0] in path), default=None)
        match [table for table in alike if schema or path.index(table[0]) == nearest]:
            case [table]:
                return table
            case [_, *_]:
                names = ", ".join(".".join(table) for table in alike)
                raise InputError(f"{source.name} may be {names}; rename it to schema.table")
    raise InputError(
        f"{source.path}: there is no table for {source.name} in {', '.join(path) or 'any schema'}; "
        "rename the file as its table, with the schema before a dot if it is another, or leave it "
        "out of the backup"
    )


def columns_of(fields: Iterable[str], columns: Sequence[str], table: str) -> dict[str, str]:
    """Return the column of each field that has one.

    Raises:
        InputError: a field may be several columns, or two fields one.
    """
    found = {field: field for field in fields if field in columns}
    for field in fields:
        left = [column for column in columns if column not in found.values()]
        alike = [column for column in left if _key(column) == _key(field)]
        if field in found or not alike:
            continue
        if len(alike) > 1:
            raise InputError(f"{table}: the field {field} may be {' or '.join(alike)}")
        found[field] = alike[0]
    if "_id" in fields and "id" in columns and "id" not in found.values():
        found["_id"] = "id"
    if not found:
        raise InputError(f"{table}: no field of its records is one of its columns")
    return found


def _key(name: str) -> str:
    """Return what names have in common that differ in case and in how words are joined."""
    start = len(name) - len(name.lstrip("_"))
    return name[:start] + re.sub(r"[\W_]+", "", name[start:]).lower()


def _singular(key: str) -> str:
    if key.endswith("ies"):
        return key[:-3] + "y"
    return re.sub(r"(?<=[sxz])es$|(?<=ch)es$|(?<=sh)es$|s$", "", key)
