"""Constraints dropped and recreated: keys and indexes are built once, from all rows.

With its indexes in place, each row of a load is put into every one of them, at a place of its own:
that is much of what the server does. To sort all keys once and write the index from end to end is
faster, the more so the larger the table. Foreign keys likewise: one query over the whole table, in
place of a lookup for each row. All of it is in the transaction of the load, so a failure leaves the
tables as they were. The load is that of ``copy_binary``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from psycopg import sql

from harness.engines.shared.command import Files, main
from harness.engines.shared.database import connect, parents_first, set_sequences
from harness.engines.steps.copy_binary import copy_all

if TYPE_CHECKING:
    from harness.engines.shared.database import Connection

# Foreign keys are dropped first, as they need the keys that they refer to, and recreated last.
_CONSTRAINTS = """
    SELECT c.conrelid::regclass::text, c.conname, pg_catalog.pg_get_constraintdef(c.oid)
    FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_class t ON t.oid = c.conrelid
    WHERE t.relname = ANY(%s) AND pg_catalog.pg_table_is_visible(t.oid)
      AND c.contype IN ('f', 'p', 'u', 'x')
    ORDER BY c.contype <> 'f', c.conname
"""
_INDEXES = """
    SELECT i.indexrelid::regclass::text, pg_catalog.pg_get_indexdef(i.indexrelid)
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
    WHERE t.relname = ANY(%s) AND pg_catalog.pg_table_is_visible(t.oid)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint c WHERE c.conindid = i.indexrelid)
"""


def restore(dsn: str, files: Files, read: dict[str, int]) -> None:
    """Drop keys and indexes, copy all tables, and recreate them, in one transaction."""
    with connect(dsn) as connection:
        tables = parents_first(connection, files)
        recreate = drop(connection, tables)
        copy_all(connection, tables, files, read)
        for statement in recreate:
            connection.execute(statement)
        set_sequences(connection, tables)


def drop(connection: Connection, tables: list[str]) -> list[sql.Composed]:
    """Drop the tables' keys and indexes; return the statements that recreate them, in order."""
    recreate: list[sql.Composed] = []
    for table, name, definition in connection.execute(_CONSTRAINTS, [tables]).fetchall():
        altered = sql.SQL("ALTER TABLE {} ").format(sql.SQL(table))
        constraint = sql.Identifier(name)
        connection.execute(altered + sql.SQL("DROP CONSTRAINT {}").format(constraint))
        added = sql.SQL("ADD CONSTRAINT {} {}").format(constraint, sql.SQL(definition))
        recreate.append(altered + added)
    for name, definition in connection.execute(_INDEXES, [tables]).fetchall():
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.SQL(name)))
        recreate.append(sql.Composed([sql.SQL(definition)]))
    return recreate[::-1]


if __name__ == "__main__":
    sys.exit(main(restore, "step-constraints"))
