"""Foreign keys, indexes and triggers are put aside for the load, and come back after it.

Checked or built as one set they cost a fraction of what they cost row by row, and tables that refer
to each other in a cycle can be loaded at all. A user's triggers would do once more what was done
when the rows were made: they are disabled. What is put aside is written down in the database, in
the same transaction that drops it: schema ``restore_journal``, gone again when all is back. A
restore that finds such notes of a killed one brings back what they say first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

import psycopg
from psycopg import sql

from restore.errors import LoadError
from restore.relations import with_partitions
from restore.transient import LOCKED, retrying

if TYPE_CHECKING:
    from collections.abc import Iterable

    from restore.catalog import ForeignKey, Table
    from restore.indexes import UniqueAside

_MAKE_JOURNAL = """
    CREATE SCHEMA IF NOT EXISTS restore_journal;
    CREATE TABLE IF NOT EXISTS restore_journal.aside (
        kind text NOT NULL, schema_name text NOT NULL, table_name text NOT NULL,
        name text NOT NULL, statement text NOT NULL, comment_statement text NOT NULL,
        PRIMARY KEY (kind, schema_name, table_name, name)
    )
"""
_NOTE = "INSERT INTO restore_journal.aside VALUES (%s, %s, %s, %s, %s, %s)"
_NOTED = """
    SELECT * FROM restore_journal.aside WHERE kind = COALESCE(%s, kind) ORDER BY 2, 3, 4
"""
_UNNOTE = """
    DELETE FROM restore_journal.aside
    WHERE (kind, schema_name, table_name, name) = (%s, %s, %s, %s)
"""
# With all that a killed restore may have kept there.
_DROP_JOURNAL = "DROP SCHEMA restore_journal CASCADE"
STILL_ASIDE = (
    "some of the tables' indexes, foreign keys or triggers are still aside, noted in"
    " restore_journal.aside; the next restore of these tables with --clean brings them back"
)

# Triggers that are the user's own, in tables and their partitions, and that would fire in this
# session. Those that come from a partitioned table's own have it as their parent; in servers before
# 15 these count as internal.
_TRIGGERS = """
    SELECT n.nspname, c.relname, t.tgname, t.tgenabled, pg_has_role(c.relowner, 'USAGE')
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE t.tgrelid = ANY(%s) AND (NOT t.tgisinternal OR t.tgparentid <> 0)
      AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.oid = t.tgconstraint AND k.contype <> 't')
      AND t.tgenabled = ANY(CASE current_setting('session_replication_role')
                            WHEN 'replica' THEN '{A,R}'::"char"[] ELSE '{A,O}'::"char"[] END)
    ORDER BY 1, 2, 3
"""
_ENABLE = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}

Kind = Literal["index", "foreign key", "trigger"]


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


@dataclass(frozen=True, slots=True)
class Trigger:
    """A user's trigger; ``enabled`` is pg_trigger's tgenabled; ``owner``: the role may alter it."""

    schema: str
    table: str
    name: str
    enabled: str
    owner: bool

    def alter(self, action: str) -> sql.Composed:
        """Return what enables or disables it, in this table alone and none of its partitions."""
        return sql.SQL("ALTER TABLE ONLY {} {} TRIGGER {}").format(
            sql.Identifier(self.schema, self.table), sql.SQL(action), sql.Identifier(self.name)
        )


def read_triggers(conn: psycopg.Connection, oids: Iterable[int]) -> list[Trigger]:
    """Return the users' triggers of these tables and their partitions that would fire now."""
    rows = conn.execute(_TRIGGERS, [with_partitions(conn, oids)]).fetchall()
    return [Trigger(*row) for row in rows]


def put_triggers_aside(conn: psycopg.Connection, oids: Iterable[int]) -> list[Trigger]:
    """Disable the users' triggers of tables and their partitions, and note it, in one transaction.

    Returns:
        Those that were disabled.

    Raises:
        psycopg.errors.InsufficientPrivilege: as for ``put_keys_aside``.
    """
    triggers = read_triggers(conn, oids)
    if not triggers:
        return []
    with conn.transaction():
        conn.execute(_MAKE_JOURNAL)
        for trigger in triggers:
            back = trigger.alter(_ENABLE[trigger.enabled]).as_string(conn)
            note = Aside("trigger", trigger.schema, trigger.table, trigger.name, back, "")
            conn.execute(_NOTE, note)
            conn.execute(trigger.alter("DISABLE"))
    return triggers


def quiet_warning(triggers: list[Trigger]) -> list[str]:
    """Return a line that names the triggers that did not fire for the restored rows; none, none."""
    if not triggers:
        return []
    names = ", ".join(f"{trigger.name} of {trigger.table}" for trigger in triggers)
    return [f"triggers did not fire for the restored rows ({names}); --triggers lets them"]


def noted(conn: psycopg.Connection, kind: Kind | None = None) -> list[Aside]:
    """Return what the journal says is aside; nothing where there is no journal.

    Raises:
        psycopg.errors.InsufficientPrivilege: the role may not read the journal.
    """
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
            retrying(partial(_make_again, conn, [index]), states=LOCKED)


def bring_triggers_back(conn: psycopg.Connection) -> None:
    """Enable all triggers again that the journal notes, as they were.

    Raises:
        psycopg.Error: none of them is enabled; they are still aside.
    """
    retrying(partial(_make_again, conn, noted(conn, "trigger")), states=LOCKED)


def bring_back(conn: psycopg.Connection) -> None:
    """Make all again that the journal notes, and drop the journal. Foreign keys: all or none.

    Triggers come last, so that they do not fire for rows that foreign keys take out. A lock that is
    not to be had is waited for again and again, within bounds.

    Raises:
        psycopg.errors.ForeignKeyViolation: there are orphans; all foreign keys are still aside.
        LoadError: something could not be made again for another reason; it is still aside.
    """
    try:
        bring_indexes_back(conn)
        retrying(partial(_make_again, conn, noted(conn, "foreign key")), states=LOCKED)
        bring_triggers_back(conn)
        if conn.execute("SELECT to_regclass('restore_journal.aside')").fetchone() != (None,):
            conn.execute(_DROP_JOURNAL)
    except psycopg.errors.ForeignKeyViolation:
        raise
    except psycopg.Error as error:
        raise LoadError(f"{error.diag.message_primary or error}; {STILL_ASIDE}") from error


def _make_again(conn: psycopg.Connection, asides: list[Aside]) -> None:
    """Make things again and strike their notes, in one transaction.

    Where the table is gone since, only the note goes.
    """
    with conn.transaction():
        for aside in asides:
            name = sql.Identifier(aside.schema, aside.table).as_string(conn)
            if conn.execute("SELECT to_regclass(%s)", [name]).fetchone() != (None,):
                conn.execute(sql.SQL(aside.statement))
                if aside.comment_statement:
                    conn.execute(sql.SQL(aside.comment_statement))
            conn.execute(_UNNOTE, aside[:4])


def unique_aside(conn: psycopg.Connection, table: Table) -> list[UniqueAside]:
    """Return a table's unique keys that are aside, in the order in which PostgreSQL checks them.

    A row that violates several is reported for the first of them; they come back in this order.
    """
    names = {note.name for note in noted(conn, "index") if note[1:3] == (table.schema, table.name)}
    return [i.unique for i in table.indexes if i.unique is not None and i.name in names]
