"""Records dropped objects in the database, in the transactions that drop them.

The list is in schema ``restore_journal``, beside the restore's progress (``store``). It holds all
that is needed to recreate them, so that a crash at any point leaves nothing that cannot be
repaired. Its statements are executed with the role's rights, if ``target.trust`` allows that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import psycopg
from psycopg import sql

from restore.target.trust import check_journal_trusted, revoke_default_grants, writer_of_all

if TYPE_CHECKING:
    from collections.abc import Iterable

    from restore.target.catalog import Table

# Also holds rows that were deleted, until their records are decided.
JOURNAL = "restore_journal"
_MAKE_JOURNAL = """
    CREATE SCHEMA IF NOT EXISTS restore_journal;
    CREATE TABLE IF NOT EXISTS restore_journal.aside (
        kind text NOT NULL, schema_name text NOT NULL, table_name text NOT NULL,
        name text NOT NULL, place bigint NOT NULL, statements text[] NOT NULL, check_statement text,
        PRIMARY KEY (kind, schema_name, table_name, name)
    )
"""
_JOURNAL = "SELECT to_regclass('restore_journal.aside') IS NOT NULL"
_RECORD = """
    INSERT INTO restore_journal.aside VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_DROPPED = """
    SELECT kind, schema_name, table_name, name, place, statements, check_statement
    FROM restore_journal.aside
    WHERE kind = ANY(%s)
    ORDER BY schema_name, table_name, place, name
"""
# By the primary key: each table with dropped objects asks.
_DROPPED_OF_TABLE = """
    SELECT kind, schema_name, table_name, name, place, statements, check_statement
    FROM restore_journal.aside
    WHERE kind = ANY(%s) AND schema_name = %s AND table_name = %s
    ORDER BY place, name
"""
_FORGET = """
    DELETE FROM restore_journal.aside
    WHERE (kind, schema_name, table_name, name) = (%s, %s, %s, %s)
"""

Kind = Literal["index", "key", "foreign key", "trigger"]
"""``key``: the index of a primary key or of a unique constraint."""
INDEXES: tuple[Kind, ...] = ("index", "key")


class DroppedObject(NamedTuple):
    """A dropped index or key, or a disabled trigger, with the statements that recreate it.

    The statements are PostgreSQL's own (``pg_get_indexdef``, ``pg_get_constraintdef``) and quoted
    names; nothing of a backup goes into them.

    Attributes:
        place: those of one table are recreated in this order.
        statements: recreate it, in one transaction.
        check: a slow statement that is executed later: a foreign key's validation.
    """

    kind: Kind
    schema: str
    table: str
    name: str
    place: int
    statements: list[str]
    check: str | None = None

    @property
    def identifier(self) -> sql.Identifier:
        """The qualified name of its table, in SQL."""
        return sql.Identifier(self.schema, self.table)

    @property
    def display_name(self) -> str:
        """Its kind, name and table, in words."""
        return f"{self.kind} {self.name} of {self.table}"


def record_dropped(conn: psycopg.Connection, objects: Iterable[DroppedObject]) -> None:
    """Record what this transaction drops.

    Raises:
        psycopg.errors.InsufficientPrivilege: the role may not create the journal, or another
            role may write to every table.
        LoadError: another role may write to the journal.
    """
    check_journal_trusted(conn)
    if conn.execute(_JOURNAL).fetchone() != (True,):
        writer = writer_of_all(conn)
        if writer is not None:
            raise psycopg.errors.InsufficientPrivilege(f"role {writer} may write to every table")
        conn.execute(_MAKE_JOURNAL)
        revoke_default_grants(conn)
        check_journal_trusted(conn)
    for each in objects:
        conn.execute(_RECORD, each)


def dropped_objects(
    conn: psycopg.Connection, *kinds: Kind, table: Table | None = None
) -> list[DroppedObject]:
    """Return the dropped objects in the journal; none if there is no journal.

    Args:
        conn: a connection to the target.
        kinds: the kinds of objects; none: all.
        table: the table that it belongs to; None: any.

    Raises:
        LoadError: another role may write to the journal.
    """
    check_journal_trusted(conn)
    if conn.execute(_JOURNAL).fetchone() != (True,):
        return []
    wanted = list(kinds or get_args(Kind))
    if table is None:
        rows = conn.execute(_DROPPED, [wanted]).fetchall()
    else:
        rows = conn.execute(_DROPPED_OF_TABLE, [wanted, table.schema, table.name]).fetchall()
    return [DroppedObject(*row) for row in rows]


def forget_dropped(conn: psycopg.Connection, objects: Iterable[DroppedObject]) -> None:
    """Remove objects from the journal that were recreated."""
    for each in objects:
        conn.execute(_FORGET, each[:4])
