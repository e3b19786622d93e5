"""Writes an inferred schema in SQL, with the evidence as comments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from restore.text import escape_controls, first_few, pluralize, shell_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.infer.schema import InferredKey, InferredTable, Schema, TableName

_MOST_NAMED = 5
_KEY_SUFFIX = "_pkey"


def script(schema: Schema, backup: str) -> str:
    """Write a schema as a script for psql.

    Args:
        schema: the schema.
        backup: the name of the backup, for the first line.
    """
    lines = [_comment(f"Schema inferred from {backup}"), "SET client_encoding = 'UTF8';", ""]
    if schema.map_column:
        options = [shell_option("--map-column", f"{f}={c}") for f, c in schema.map_column.items()]
        lines += [_comment(f"Restore with {' '.join(options)}"), ""]
    return "\n".join(lines) + "\n" + "\n\n".join(statements(schema)) + "\n"


def statements(schema: Schema) -> Iterator[str]:
    """Yield the statements that create a schema, each with its comments.

    Foreign keys come last. A table with the name that PostgreSQL gives to another's primary key
    comes before that.
    """
    for table in sorted(schema.tables, key=lambda each: not each.name.name.endswith(_KEY_SUFFIX)):
        yield "\n".join(_table(table))
    for table in schema.tables:
        for key in table.foreign_keys:
            yield "\n".join(_foreign_key(table.name, key))


def _table(table: InferredTable) -> Iterator[str]:
    yield _comment(f"{first_few(table.files, _MOST_NAMED)}: {pluralize(table.records, 'record')}")
    yield from map(_comment, table.notes)
    yield f"CREATE TABLE {_identifier(table.name)} ("
    parts = [
        (f"{_quoted(each.name)} {each.type}{' NOT NULL' if each.not_null else ''}", each.why)
        for each in table.columns
    ]
    if table.key is not None:
        parts.append((f"PRIMARY KEY ({_quoted(table.key)})", table.key_why))
    for number, (part, why) in enumerate(parts, 1):
        yield f"    {part}{',' if number < len(parts) else ''} {_comment(why)}"
    yield ");"


def _foreign_key(name: TableName, key: InferredKey) -> Iterator[str]:
    yield _comment(f"{name.name}.{key.column}: {key.why}")
    yield (
        f"ALTER TABLE {_identifier(name)} ADD FOREIGN KEY ({_quoted(key.column)})"
        f" REFERENCES {_identifier(key.parent)} ({_quoted(key.parent_column)});"
    )


def _identifier(name: TableName) -> str:
    return sql.Identifier(*filter(None, name)).as_string()


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string()


def _comment(text: str) -> str:
    """Return a comment on one line, with line ends in names escaped."""
    return f"-- {escape_controls(text)}"
