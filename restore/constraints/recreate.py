"""Recreates dropped indexes, unique keys and foreign keys, and enables triggers.

Each step is a transaction that removes its objects from the journal as well, or that can be
repeated: if the process ends at any point, the journal lists what is still to be recreated.
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
    """Recreate every index in the journal, each in a transaction of its own.

    Those of one table come in the order of their first creation: PostgreSQL checks a row in that
    order, so that its error for a row that violates several does not change.

    Args:
        conn: a connection to the target.
        table: the table whose indexes are recreated; None: all tables.

    Raises:
        psycopg.Error: an index could not be built; it and those after it are still dropped.
    """
    for index in dropped_objects(conn, *INDEXES, table=table):
        recreate(conn, [index])


def enable_triggers(conn: psycopg.Connection) -> None:
    """Enable all triggers in the journal, as they were enabled before.

    Raises:
        psycopg.Error: some are still disabled.
    """
    for portion in in_portions(dropped_objects(conn, "trigger")):
        recreate(conn, portion)


def recreate_foreign_keys(conn: psycopg.Connection, options: Options) -> None:
    """Add all foreign keys in the journal, and validate them in parallel.

    They are removed from the journal once all of them are valid. Until then a resumed restore or a
    repair can drop them again, or validate them.

    Args:
        conn: a connection to the target.
        options: the target, and how many sessions may work.

    Raises:
        psycopg.errors.ForeignKeyViolation: there are orphans; all keys are dropped again, so that
            none of them acts when rows are deleted.
        psycopg.Error: another failure; some keys may be valid, and all are in the journal.
    """
    # A partitioned table's come first: it would take over equal ones of its partitions.
    keys = sorted(dropped_objects(conn, "foreign key"), key=lambda key: key.place)
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
    """Recreate everything in the journal; of the foreign keys all or none.

    Triggers come last, so that they do not fire for orphans that are deleted. Locks that are not
    available are requested again, a bounded number of times.

    Args:
        conn: a connection to the target.
        options: the target, and how many sessions may work.

    Raises:
        psycopg.errors.ForeignKeyViolation: there are orphans; all foreign keys are still dropped.
        LoadError: something could not be recreated for another reason; it is still dropped.
    """
    try:
        recreate_indexes(conn)
        recreate_foreign_keys(conn, options)
        enable_triggers(conn)
    except psycopg.errors.ForeignKeyViolation:
        raise
    except psycopg.Error as error:
        raise LoadError(str(error.diag.message_primary or error)) from error


def recreate(conn: psycopg.Connection, objects: Sequence[DroppedObject]) -> None:
    """Recreate objects and remove them from the journal, in one transaction.

    If an object's table was dropped since, or the object exists, it is only removed.

    Raises:
        psycopg.Error: none of them is recreated.
    """

    def run() -> None:
        with conn.transaction():
            for each in objects:
                _create(conn, each)
            forget_dropped(conn, objects)

    retry_transient(run, states=LOCK_ERRORS)


def _create(conn: psycopg.Connection, dropped: DroppedObject) -> None:
    table = dropped.identifier.as_string(conn)
    if conn.execute(_TABLE, [table]).fetchone() != (True,):
        return
    relation = sql.Identifier(dropped.schema, dropped.name).as_string(conn)
    names = {"table": table, "relation": relation, "name": dropped.name}
    if conn.execute(_IS_THERE[dropped.kind], names).fetchone() == (True,):
        return
    for statement in dropped.statements:
        conn.execute(sql.SQL(statement))


def _add(conn: psycopg.Connection, keys: Sequence[DroppedObject]) -> None:
    """Add foreign keys, all or none; those that exist stay."""
    with conn.transaction():
        for key in keys:
            _create(conn, key)


def _drop_again(conn: psycopg.Connection, keys: Sequence[DroppedObject]) -> None:
    with conn.transaction():
        for key in keys:
            conn.execute(
                sql.SQL("ALTER TABLE IF EXISTS {} DROP CONSTRAINT IF EXISTS {}").format(
                    key.identifier, sql.Identifier(key.name)
                )
            )


def _validate(conn: psycopg.Connection, keys: Sequence[DroppedObject], options: Options) -> None:
    """Validate foreign keys; those of one table one after the other, since they lock it.

    Raises:
        psycopg.Error: the first failure; other keys may be valid or not.
    """
    tables: dict[str, list[DroppedObject]] = defaultdict(list)
    for key in keys:
        tables[key.identifier.as_string(conn)].append(key)
    sizes = {name: conn.execute(_SIZE, [name]).fetchall()[0][0] for name in tables}
    # The largest table first, so that little remains for one session at the end.
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
