"""What engines in Python ask the database: the tables' order, their columns, their sequences."""

from __future__ import annotations

import graphlib
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterable

Connection = psycopg.Connection[Any]
_CONNECT_TIMEOUT_S = 10

# A deferred foreign key is checked when the transaction commits, so it asks for no order.
_PARENTS = """
    SELECT child.relname, parent.relname FROM pg_catalog.pg_constraint c
    JOIN pg_catalog.pg_class child ON child.oid = c.conrelid
    JOIN pg_catalog.pg_class parent ON parent.oid = c.confrelid
    WHERE c.contype = 'f' AND NOT c.condeferred AND c.conrelid <> c.confrelid
"""
# The labels of an enum are sent as text.
_COLUMNS = """
    SELECT a.attname, CASE t.typtype WHEN 'e' THEN 'text' ELSE t.typname END
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""
_SEQUENCE = "SELECT pg_catalog.pg_get_serial_sequence(%s, %s)"
_SET = "SELECT pg_catalog.setval(%s::regclass, pg_catalog.max({})) FROM {}"


def connect(dsn: str) -> Connection:
    """Connect to the target, times without a zone being UTC."""
    options = {"connect_timeout": _CONNECT_TIMEOUT_S, "options": "-c TimeZone=UTC"}
    return psycopg.connect(dsn, **options)  # type: ignore[arg-type]


def parents_first(connection: Connection, tables: Iterable[str]) -> list[str]:
    """Sort tables so that each comes after those that it refers to."""
    wanted = set(tables)
    order = graphlib.TopologicalSorter({table: set[str]() for table in sorted(wanted)})
    for child, parent in connection.execute(_PARENTS).fetchall():
        if {child, parent} <= wanted:
            order.add(child, parent)
    return list(order.static_order())


def columns_of(connection: Connection, table: str) -> dict[str, str]:
    """Return the types of a table's columns, by name.

    Raises:
        psycopg.Error: there is no such table.
    """
    name = sql.Identifier(table).as_string(connection)
    return dict(connection.execute(_COLUMNS, [name]).fetchall())


def copy_statement(table: str, columns: Iterable[str], *, binary: bool = False) -> sql.Composed:
    """Return the COPY into a table."""
    return sql.SQL("COPY {} ({}) FROM STDIN{}").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(" (FORMAT binary)" if binary else ""),
    )


def set_sequences(connection: Connection, tables: Iterable[str]) -> None:
    """Set each sequence of the tables to the largest number that was loaded."""
    for table in tables:
        name = sql.Identifier(table)
        for column in columns_of(connection, table):
            found = connection.execute(_SEQUENCE, [name.as_string(connection), column]).fetchone()
            if found is not None and found[0] is not None:
                statement = sql.SQL(_SET).format(sql.Identifier(column), name)
                connection.execute(statement, [found[0]])
