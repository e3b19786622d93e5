"""A staging schema: tools that make tables of their own load there, and SQL moves the rows on."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from psycopg import sql

from harness.engines.shared.database import connect, parents_first, set_sequences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from harness.engines.shared.database import Connection

    Recreate = Callable[[Connection, list[str]], list[sql.Composed]]

SCHEMA = "staging"
# A type as an expression is cast to it, and its name alone.
_TYPES = """
    SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), t.typname
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""


@contextlib.contextmanager
def dropped_afterwards(dsn: str) -> Iterator[None]:
    """Drop the staging schema at the end, also after an error."""
    try:
        yield
    finally:
        with connect(dsn) as connection:
            connection.execute("SET client_min_messages = warning")
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def move(
    dsn: str,
    tables: Iterable[str],
    values: Mapping[str, str],
    drop: Recreate | None = None,
) -> None:
    """Move the rows of the staging tables to the tables of the same names, in one transaction.

    Args:
        dsn: the target.
        tables: their names.
        values: an expression of the staging column ``{0}``, by the name of the target's type, where
            it cannot be cast as it is.
        drop: drops keys and indexes of the tables, and returns what recreates them afterwards.
    """
    with connect(dsn) as connection:
        ordered = parents_first(connection, tables)
        recreate = drop(connection, ordered) if drop else []
        for table in ordered:
            connection.execute(_insert(connection, table, values))
        for statement in recreate:
            connection.execute(statement)
        set_sequences(connection, ordered)


def _insert(connection: Connection, table: str, values: Mapping[str, str]) -> sql.Composed:
    name = sql.Identifier(table)
    found = connection.execute(_TYPES, [name.as_string(connection)]).fetchall()
    expressions = [
        sql.SQL(f"{values.get(kind, '{0}')}::{cast}").format(sql.Identifier(column))
        for column, cast, kind in found
    ]
    return sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(
        name,
        sql.SQL(", ").join(sql.Identifier(column) for column, _, _ in found),
        sql.SQL(", ").join(expressions),
        sql.Identifier(SCHEMA, table),
    )
