"""What is aside is written down in the database, in the same transaction that drops it.

The notes are in schema ``restore_journal``, beside those of how far the restore is (``journal``).
They hold all that it takes, so that a crash at any point leaves nothing that cannot be repaired.
What is in them is executed with the role's rights: they are trusted only where nobody can have
written them who could not do the same by himself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from psycopg import sql

from restore.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

    from restore.catalog import Table

# Where they are, and what rows are taken out is kept in for a moment.
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
_NOTE = """
    INSERT INTO restore_journal.aside VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_NOTED = """
    SELECT kind, schema_name, table_name, name, place, statements, check_statement
    FROM restore_journal.aside
    WHERE kind = ANY(%s) AND schema_name = COALESCE(%s, schema_name)
      AND table_name = COALESCE(%s, table_name)
    ORDER BY schema_name, table_name, place, name
"""
_STRIKE = """
    DELETE FROM restore_journal.aside
    WHERE (kind, schema_name, table_name, name) = (%s, %s, %s, %s)
"""

# Who owns the schema, or anything in it, with fewer rights than the role has: a superuser trusts
# superusers alone; any other also the roles of which it has all rights. Then who owns it where it
# may not be read: a superuser, say. It is asked before each look at the notes, so in one query.
_DISTRUSTED = """
    (SELECT o.rolname, 'whose SQL in it would run with your rights' FROM pg_catalog.pg_namespace n
    LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid
    JOIN pg_catalog.pg_roles o ON o.oid IN (n.nspowner, c.relowner)
    JOIN pg_catalog.pg_roles r ON r.rolname = current_user
    WHERE n.nspname = 'restore_journal' AND o.oid <> r.oid AND NOT o.rolsuper
      AND (r.rolsuper OR NOT pg_catalog.pg_has_role(o.oid, 'USAGE'))
    LIMIT 1)
    UNION ALL
    (SELECT pg_catalog.pg_get_userbyid(n.nspowner), 'which keeps yours out of it'
    FROM pg_catalog.pg_namespace n
    WHERE n.nspname = 'restore_journal' AND (
        NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')
        OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid
                   AND c.relkind = 'r' AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT'))))
"""

Kind = Literal["index", "key", "foreign key", "trigger"]
"""``key``: the index of a primary key or of a unique constraint."""
INDEXES: tuple[Kind, ...] = ("index", "key")


class Aside(NamedTuple):
    """Something that is put aside, as the journal notes it: what it is, and how to make it again.

    The statements are PostgreSQL's own (``pg_get_indexdef``, ``pg_get_constraintdef``) and quoted
    names; nothing of a backup goes into them.

    Attributes:
        place: those of one table come back in this order.
        statements: make it again, in one transaction.
        check: what is to be done later where it takes long: a foreign key's validation.
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
        """The qualified name of its table, for use in SQL."""
        return sql.Identifier(self.schema, self.table)

    @property
    def shown(self) -> str:
        """What it is, in words."""
        return f"{self.kind} {self.name} of {self.table}"


def see_trusted(conn: psycopg.Connection) -> None:
    """See that no other role can have put SQL of its own where the notes are, and read them.

    Raises:
        LoadError: one can, or they may not be read.
    """
    row = conn.execute(_DISTRUSTED).fetchone()
    if row is not None:
        role, why = row
        raise LoadError(
            f"schema restore_journal belongs to role {role}, {why}: if a restore of that role was"
            f" stopped, --resume or repair it as {role}; else drop the schema"
        )


def note(conn: psycopg.Connection, asides: Iterable[Aside]) -> None:
    """Note what is put aside in this transaction.

    Raises:
        psycopg.errors.InsufficientPrivilege: the role may not make the journal's schema.
        LoadError: it is another role's.
    """
    conn.execute(_MAKE_JOURNAL)
    see_trusted(conn)
    for aside in asides:
        conn.execute(_NOTE, aside)


def noted(conn: psycopg.Connection, *kinds: Kind, table: Table | None = None) -> list[Aside]:
    """Return what the journal says is aside; nothing where there is no journal.

    Args:
        conn: a connection to the target.
        kinds: what of it; none: all.
        table: the table that it belongs to; None: any.

    Raises:
        LoadError: the journal is another role's.
    """
    see_trusted(conn)
    if conn.execute(_JOURNAL).fetchone() != (True,):
        return []
    schema, name = (table.schema, table.name) if table is not None else (None, None)
    wanted = [list(kinds or get_args(Kind)), schema, name]
    return [Aside(*row) for row in conn.execute(_NOTED, wanted).fetchall()]


def strike(conn: psycopg.Connection, asides: Iterable[Aside]) -> None:
    """Strike the notes of what is back."""
    for aside in asides:
        conn.execute(_STRIKE, aside[:4])
