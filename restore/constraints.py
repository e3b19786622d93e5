"""Foreign keys and indexes are put aside for the load, and come back after it.

Checked or built as one set they cost a fraction of what they cost row by row, and tables that refer
to each other in a cycle can be loaded at all. What is put aside is written down in the database, in
the same transaction that drops it: schema ``restore_journal``, gone again when all is back. A
restore that finds such notes of a killed one brings back what they say first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import psycopg
from psycopg import sql

from restore.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from restore.catalog import ForeignKey, Table

_MAKE_JOURNAL = """
    CREATE SCHEMA IF NOT EXISTS restore_journal;
    CREATE TABLE IF NOT EXISTS restore_journal.aside (
        kind text NOT NULL, schema_name text NOT NULL, table_name text NOT NULL,
        name text NOT NULL, statement text NOT NULL, comment_statement text NOT NULL,
        PRIMARY KEY (kind, schema_name, table_name, name)
    )
"""
_NOTE = "INSERT INTO restore_journal.aside VALUES (%s, %s, %s, %s, %s, %s)"
_NOTED = "SELECT * FROM restore_journal.aside WHERE kind = %s ORDER BY 2, 3, 4"
_UNNOTE = """
    DELETE FROM restore_journal.aside
    WHERE (kind, schema_name, table_name, name) = (%s, %s, %s, %s)
"""
_DROP_JOURNAL = "DROP TABLE restore_journal.aside; DROP SCHEMA restore_journal"
STILL_ASIDE = (
    "some of the tables' indexes or foreign keys are still aside, noted in restore_journal.aside;"
    " the next restore of these tables with --clean brings them back"
)

Kind = Literal["index", "foreign key"]


class Aside(NamedTuple):
    """Something that is put aside, as the journal notes it: what it is, and how to make it again.

    The statements are PostgreSQL's own (``pg_get_indexdef``, ``pg_get_constraintdef``) and quoted
    names; nothing of a backup goes into them.
    """

    kind: Kind
    schema: str
    table: str
    name: str
    statement: str
    comment_statement: str


def put_keys_aside(
    conn: psycopg.Connection, tables: dict[int, Table], keys: Iterable[ForeignKey]
) -> None:
    """Drop foreign keys, and note how to make them again, in one transaction.

    Raises:
        psycopg.errors.InsufficientPrivilege: the role may not change the tables, or may not make
            the journal's schema; nothing was changed.
    """
    with conn.transaction():
        conn.execute(_MAKE_JOURNAL)
        for key in keys:
            table, name = tables[key.table], sql.Identifier(key.name)
            add = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} ").format(table.identifier, name)
            comment = sql.SQL("COMMENT ON CONSTRAINT {} ON {} IS {}").format(
                name, table.identifier, sql.Literal(key.comment)
            )
            note = Aside(
                "foreign key",
                table.schema,
                table.name,
                key.name,
                add.as_string(conn) + key.definition,
                comment.as_string(conn),
            )
            conn.execute(_NOTE, note)
            conn.execute(
                sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(table.identifier, name)
            )


def put_indexes_aside(conn: psycopg.Connection, table: Table) -> None:
    """Drop the indexes of a table that are no keys, and note how to make them again, at once.

    Raises:
        psycopg.errors.InsufficientPrivilege: as for ``put_keys_aside``.
    """
    with conn.transaction():
        conn.execute(_MAKE_JOURNAL)
        for index in table.indexes:
            name = sql.Identifier(table.schema, index.name)
            comment = sql.SQL("COMMENT ON INDEX {} IS {}").format(name, sql.Literal(index.comment))
            note = Aside(
                "index",
                table.schema,
                table.name,
                index.name,
                index.definition,
                comment.as_string(conn),
            )
            conn.execute(_NOTE, note)
            conn.execute(sql.SQL("DROP INDEX {}").format(name))


def noted(conn: psycopg.Connection, kind: Kind) -> list[Aside]:
    """Return what the journal says is aside; nothing where there is no journal."""
    journal = conn.execute("SELECT to_regclass('restore_journal.aside')").fetchone()
    if journal is None or journal[0] is None:
        return []
    return [Aside(*row) for row in conn.execute(_NOTED, [kind]).fetchall()]


def bring_indexes_back(conn: psycopg.Connection, table: Table | None = None) -> None:
    """Build every index again that the journal notes, each in a transaction of its own.

    Args:
        conn: a connection to the target.
        table: the table whose indexes are meant; None: all.

    Raises:
        psycopg.Error: an index could not be built; it is still aside.
    """
    for index in noted(conn, "index"):
        if table is None or (table.schema, table.name) == (index.schema, index.table):
            with conn.transaction():
                _make_again(conn, index)


def bring_back(conn: psycopg.Connection) -> None:
    """Make all again that the journal notes, and drop the journal. Foreign keys: all or none.

    Raises:
        psycopg.errors.ForeignKeyViolation: there are orphans; all foreign keys are still aside.
        LoadError: something could not be made again for another reason; it is still aside.
    """
    try:
        bring_indexes_back(conn)
        with conn.transaction():
            for key in noted(conn, "foreign key"):
                _make_again(conn, key)
            if conn.execute("SELECT to_regclass('restore_journal.aside')").fetchone() != (None,):
                conn.execute(_DROP_JOURNAL)
    except psycopg.errors.ForeignKeyViolation:
        raise
    except psycopg.Error as error:
        raise LoadError(f"{error.diag.message_primary or error}; {STILL_ASIDE}") from error


def _make_again(conn: psycopg.Connection, aside: Aside) -> None:
    conn.execute(sql.SQL(aside.statement))
    conn.execute(sql.SQL(aside.comment_statement))
    conn.execute(_UNNOTE, aside[:4])
