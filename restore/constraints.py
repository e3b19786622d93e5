"""Foreign keys among the backup's tables are put aside for the load, and come back after it.

Checked as one set afterwards they cost a fraction of what they cost row by row, and tables that
refer to each other in a cycle can be loaded at all. What is put aside is written down in the
database, in the same transaction that drops it: schema ``restore_journal``, gone again when all is
back. A restore that finds such notes of a killed one brings those keys back first. Rows that a key
forbids are taken out before it comes back; that may orphan further rows, so it goes on until there
are none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import psycopg
from psycopg import sql

from restore.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from restore.catalog import ForeignKey, Table

_MAKE_JOURNAL = """
    CREATE SCHEMA IF NOT EXISTS restore_journal;
    CREATE TABLE IF NOT EXISTS restore_journal.foreign_keys_aside (
        schema_name text NOT NULL, table_name text NOT NULL, name text NOT NULL,
        definition text NOT NULL, comment text, PRIMARY KEY (schema_name, table_name, name)
    )
"""
_NOTE = "INSERT INTO restore_journal.foreign_keys_aside VALUES (%s, %s, %s, %s, %s)"
_NOTED = """
    SELECT schema_name, table_name, name, definition, comment
    FROM restore_journal.foreign_keys_aside ORDER BY 1, 2, 3
"""
_DROP_JOURNAL = """
    DROP TABLE restore_journal.foreign_keys_aside;
    DROP SCHEMA restore_journal
"""
STILL_ASIDE = (
    "the backup's foreign keys are still aside, noted in restore_journal.foreign_keys_aside; the"
    " next restore of these tables with --clean brings them back"
)


class Aside(NamedTuple):
    """A foreign key that is put aside, as the journal notes it."""

    schema: str
    table: str
    name: str
    definition: str
    comment: str | None


def put_aside(
    conn: psycopg.Connection, tables: dict[int, Table], keys: Iterable[ForeignKey]
) -> None:
    """Drop foreign keys and note in the journal how to make them again, in one transaction.

    Raises:
        psycopg.errors.InsufficientPrivilege: the role may not change the tables, or may not make
            the journal's schema; nothing was changed.
    """
    with conn.transaction():
        conn.execute(_MAKE_JOURNAL)
        for key in keys:
            table = tables[key.table]
            note = Aside(table.schema, table.name, key.name, key.definition, key.comment)
            conn.execute(_NOTE, note)
            conn.execute(
                sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
                    table.identifier, sql.Identifier(key.name)
                )
            )


def noted(conn: psycopg.Connection) -> list[Aside]:
    """Return the keys that the journal says are aside; none where there is no journal."""
    journal = conn.execute("SELECT to_regclass('restore_journal.foreign_keys_aside')").fetchone()
    if journal is None or journal[0] is None:
        return []
    return [Aside(*row) for row in conn.execute(_NOTED).fetchall()]


def bring_back(conn: psycopg.Connection) -> None:
    """Make every key again that the journal notes, all or none, and drop the journal.

    Raises:
        psycopg.errors.ForeignKeyViolation: there are orphans; all keys are still aside.
        LoadError: a key could not be made again for another reason; all are still aside.
    """
    keys = noted(conn)
    if not keys:
        return
    at = keys[0]
    try:
        with conn.transaction():
            for at in keys:
                _make_again(conn, at)
            conn.execute(_DROP_JOURNAL)
    except psycopg.errors.ForeignKeyViolation:
        raise
    except psycopg.Error as error:
        raise LoadError(
            f"foreign key {at.name} of {at.table} could not be made again:"
            f" {error.diag.message_primary}; {STILL_ASIDE}"
        ) from error


def _make_again(conn: psycopg.Connection, key: Aside) -> None:
    table, name = sql.Identifier(key.schema, key.table), sql.Identifier(key.name)
    # The definition is pg_get_constraintdef's text, noted by us; the backup has no say in it.
    definition = sql.SQL(key.definition)
    conn.execute(sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(table, name, definition))
    if key.comment is not None:
        comment = sql.Literal(key.comment)
        conn.execute(sql.SQL("COMMENT ON CONSTRAINT {} ON {} IS {}").format(name, table, comment))


class Orphan(NamedTuple):
    """A row that was taken out: its values of the key's columns, and all of it as JSON."""

    key: ForeignKey
    values: tuple[object, ...]
    row: str


def take_out_orphans(
    conn: psycopg.Connection, tables: dict[int, Table], keys: Iterable[ForeignKey]
) -> Iterator[Orphan]:
    """Delete the rows that these keys forbid, again and again until there are none.

    Yields:
        Each row that was deleted.
    """
    waiting = list(keys)
    found = True
    while found:
        found = False
        for key in waiting:
            rows = conn.execute(_orphans(tables[key.table], tables[key.parent], key)).fetchall()
            found = found or bool(rows)
            for *values, row in rows:
                yield Orphan(key, tuple(values), row)


def _orphans(child: Table, parent: Table, key: ForeignKey) -> sql.Composed:
    """Return a DELETE of the child's rows whose key is whole (MATCH SIMPLE) and refers to none."""

    def column(alias: str, name: str) -> sql.Composed:
        return sql.SQL("{}.{}").format(sql.Identifier(alias), sql.Identifier(name))

    own = [column("c", name) for name in key.columns]
    others = [column("p", name) for name in key.parent_columns]
    matches = [
        sql.SQL("{} = {}").format(mine, theirs) for mine, theirs in zip(own, others, strict=True)
    ]
    present = [sql.SQL("{} IS NOT NULL").format(mine) for mine in own]
    return sql.SQL(
        "DELETE FROM {child} AS c WHERE {present}"
        " AND NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {matches})"
        " RETURNING {own}, row_to_json(c)::text"
    ).format(
        child=child.identifier,
        parent=parent.identifier,
        present=sql.SQL(" AND ").join(present),
        matches=sql.SQL(" AND ").join(matches),
        own=sql.SQL(", ").join(own),
    )
