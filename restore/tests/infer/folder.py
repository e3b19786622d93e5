"""A backup to infer a schema from, without a database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from restore import Options
from restore.infer.schema import Schema, infer_schema
from restore.source.discovery import find_backup

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, **tables: Any) -> Path:
    """Write a file for each table; a text is written as it is."""
    for table, records in tables.items():
        text = records if isinstance(records, str) else json.dumps(records)
        (folder / f"{table}.json").write_text(text, encoding="utf-8")
    return folder


def inferred(folder: Path, sample: int | None = None, **options: Any) -> Schema:
    """Infer the schema of a folder or a file."""
    given = Options(backup=folder, **options)
    return infer_schema(find_backup(folder), given, lambda _: None, sample)


def columns(schema: Schema, table: str) -> dict[str, str]:
    """Return the types of a table's columns, with NOT NULL."""
    [found] = [each for each in schema.tables if each.name.name == table]
    return {c.name: c.type + (" NOT NULL" if c.not_null else "") for c in found.columns}


def keys(schema: Schema) -> list[str]:
    """Return the primary and foreign keys."""
    return [f"{t.name.name}.{t.key}" for t in schema.tables if t.key] + [
        f"{t.name.name}.{key.column} -> {key.parent.name}.{key.parent_column}"
        for t in schema.tables
        for key in t.foreign_keys
    ]
