"""What was put aside comes back: indexes and unique keys, foreign keys, triggers.

Each step is a transaction that strikes its note as well, or that may be done once more: whatever
ends the process, what is left can be brought back by the notes.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from restore.errors import LoadError
from restore.journal.dropped import INDEXES, dropped_objects, forget_dropped
from restore.target.locks import in_portions
from restore.target.pool import ConnectionPool, set_maintenance_memory
from restore.target.sqlstate import LOCK_ERRORS, retry_transient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restore.journal.dropped import DroppedObject
    from restore.options import Options
    from restore.target.catalog import Table

_TABLE = "SELECT to_regclass(%s) IS NOT NULL"
_IS_THERE = {
    "index": "SELECT EXISTS (SELECT FROM pg_index WHERE indrelid = to_regclass(%(table)s)"
    " AND indexrelid = to_regclass(%(relation)s))",
    "foreign key": "SELECT EXISTS (SELECT FROM pg_constraint"
    " WHERE contype = 'f' AND conrelid = to_regclass(%(table)s) AND conname = %(name)s)",
    "trigger": "SELECT false",  # to enable one twice does no harm
}
_IS_THERE["key"] = _IS_THERE["index"]
_SIZE = "SELECT COALESCE(pg_relation_size(to_regclass(%s)), 0)"


def recreate_indexes(conn: psycopg.Connection, table: Table | None = None) -> None:
    """Build every index again that the journal notes, each in a transaction of its own.

    Those of one table come in the order in which they were first made: in that order PostgreSQL
    checks a row, so that what it says of one that violates several does not change.

    Args:
        conn: a connection to the target.
        table: the table whose indexes are meant; None: all.

    Raises:
        psycopg.Error: an index could not be built; it is still aside, and so are those after it.
    """
    for index in dropped_objects(conn, *INDEXES, table=table):
        recreate(conn, [index])


def enable_triggers(conn: psycopg.Connection) -> None:
    """Enable all triggers again that the journal notes, as they were.

    Raises:
        psycopg.Error: some are not enabled, and still aside.
    """
    for portion in in_portions(dropped_objects(conn, "trigger")):
        recreate(conn, portion)


def recreate_foreign_keys(conn: psycopg.Connection, options: Options) -> None:
    """Add all foreign keys again that the journal notes, and validate them side by side.

    Their notes are struck when all of them hold. Until then they can be dropped again, or be
    validated by whoever finds the notes.

    Args:
        conn: a connection to the target.
        options: the target, and how many sessions may work.

    Raises:
        psycopg.errors.ForeignKeyViolation: there are orphans; all keys are aside again, so that
            none of them acts when rows are taken out.
        psycopg.Error: something else was in the way; some keys may hold, and all are noted.
    """
    keys = dropped_objects(conn, "foreign key")
    if not keys:
        return
    try:
        for portion in in_portions(keys):
            retry_transient(partial(_add, conn, portion), states=LOCK_ERRORS)
        _validate(conn, [key for key in keys if key.check is not None], options)
    except psycopg.errors.ForeignKeyViolation:
        for portion in in_portions(keys):
            retry_transient(partial(_drop_again, conn, portion), states=LOCK_ERRORS)
        raise
    with conn.transaction():
        forget_dropped(conn, keys)


def recreate_all(conn: psycopg.Connection, options: Options) -> None:
    """Make all again that the journal notes. Foreign keys: all or none.

    Triggers come last, so that they do not fire for rows that foreign keys take out. A lock that is
    not to be had is waited for again and again, within bounds.

    Args:
        conn: a connection to the target.
        options: the target, and how many sessions may work.

    Raises:
        psycopg.errors.ForeignKeyViolation: there are orphans; all foreign keys are still aside.
        LoadError: something could not be made again for another reason; it is still aside.
    """
    try:
        recreate_indexes(conn)
        recreate_foreign_keys(conn, options)
        enable_triggers(conn)
    except psycopg.errors.ForeignKeyViolation:
        raise
    except psycopg.Error as error:
        raise LoadError(str(error.diag.message_primary or error)) from error


def recreate(conn: psycopg.Connection, asides: Sequence[DroppedObject]) -> None:
    """Make things again and strike their notes, in one transaction.

    Where the table is gone since, or somebody has made one again, only the note goes.

    Raises:
        psycopg.Error: none of them is made; they are still aside.
    """

    def make() -> None:
        with conn.transaction():
            for aside in asides:
                _make(conn, aside)
            forget_dropped(conn, asides)

    retry_transient(make, states=LOCK_ERRORS)


def _make(conn: psycopg.Connection, aside: DroppedObject) -> None:
    table = aside.identifier.as_string(conn)
    if conn.execute(_TABLE, [table]).fetchone() != (True,):
        return
    relation = sql.Identifier(aside.schema, aside.name).as_string(conn)
    names = {"table": table, "relation": relation, "name": aside.name}
    if conn.execute(_IS_THERE[aside.kind], names).fetchone() == (True,):
        return
    for statement in aside.statements:
        conn.execute(sql.SQL(statement))


def _add(conn: psycopg.Connection, keys: Sequence[DroppedObject]) -> None:
    """Add foreign keys, all or none; what is there already stays."""
    with conn.transaction():
        for key in keys:
            _make(conn, key)


def _drop_again(conn: psycopg.Connection, keys: Sequence[DroppedObject]) -> None:
    with conn.transaction():
        for key in keys:
            conn.execute(
                sql.SQL("ALTER TABLE IF EXISTS {} DROP CONSTRAINT IF EXISTS {}").format(
                    key.identifier, sql.Identifier(key.name)
                )
            )


def _validate(conn: psycopg.Connection, keys: Sequence[DroppedObject], options: Options) -> None:
    """Validate foreign keys: those of one table after one another, which their lock asks for.

    Raises:
        psycopg.Error: the first that was met; others may be valid, or not yet.
    """
    tables: dict[str, list[DroppedObject]] = defaultdict(list)
    for key in keys:
        tables[key.identifier.as_string(conn)].append(key)
    sizes = {name: conn.execute(_SIZE, [name]).fetchall()[0][0] for name in tables}
    # The largest first, so that little is left to wait for at the end.
    work = [tables[name] for name in sorted(sizes, key=lambda name: -sizes[name])]
    sessions = min(options.processes, len(work))
    if sessions <= 1:
        set_maintenance_memory(conn, 1)
        for group in work:
            _validate_table(group, conn)
        return
    with ConnectionPool(options, sessions, conn) as open_sessions:
        futures = [open_sessions.submit(partial(_validate_table, group)) for group in work]
        open_sessions.run_deferred()
        for future in futures:
            future.result()


def _validate_table(keys: Sequence[DroppedObject], conn: psycopg.Connection) -> None:
    table = keys[0].identifier.as_string(conn)
    if conn.execute(_TABLE, [table]).fetchone() != (True,):
        return
    for key in keys:
        if key.check is not None:
            retry_transient(partial(conn.execute, sql.SQL(key.check)), states=LOCK_ERRORS)
