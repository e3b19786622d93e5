"""Keys and indexes of the target: dropped before a load, and recreated after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

if TYPE_CHECKING:
    from harness.engines.shared.database import Connection

# Foreign keys are dropped first, as they need the keys that they refer to, and recreated last.
_CONSTRAINTS = """
    SELECT c.conrelid::regclass::text, c.conname, pg_catalog.pg_get_constraintdef(c.oid)
    FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_class t ON t.oid = c.conrelid
    WHERE t.relname = ANY(%s) AND pg_catalog.pg_table_is_visible(t.oid)
      AND c.contype::text = ANY(%s)
    ORDER BY c.contype <> 'f', c.conname
"""
_INDEXES = """
    SELECT i.indexrelid::regclass::text, pg_catalog.pg_get_indexdef(i.indexrelid)
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
    WHERE t.relname = ANY(%s) AND pg_catalog.pg_table_is_visible(t.oid)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint c WHERE c.conindid = i.indexrelid)
"""


def drop(connection: Connection, tables: list[str]) -> list[sql.Composed]:
    """Drop the tables' keys and indexes; return the statements that recreate them, in order."""
    recreate = _drop_constraints(connection, tables, ["f", "p", "u", "x"])
    for name, definition in connection.execute(_INDEXES, [tables]).fetchall():
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.SQL(name)))
        recreate.append(sql.Composed([sql.SQL(definition)]))
    return recreate[::-1]


def drop_foreign_keys(connection: Connection, tables: list[str]) -> list[sql.Composed]:
    """Drop the tables' foreign keys; return the statements that recreate them."""
    return _drop_constraints(connection, tables, ["f"])


def _drop_constraints(
    connection: Connection, tables: list[str], kinds: list[str]
) -> list[sql.Composed]:
    recreate: list[sql.Composed] = []
    for table, name, definition in connection.execute(_CONSTRAINTS, [tables, kinds]).fetchall():
        altered = sql.SQL("ALTER TABLE {} ").format(sql.SQL(table))
        constraint = sql.Identifier(name)
        connection.execute(altered + sql.SQL("DROP CONSTRAINT {}").format(constraint))
        added = sql.SQL("ADD CONSTRAINT {} {}").format(constraint, sql.SQL(definition))
        recreate.append(altered + added)
    return recreate
