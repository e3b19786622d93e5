"""Recreates what an unfinished restore dropped, as far as the tables' rows allow."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from restore.commands.unfinished import find_unfinished
from restore.constraints.recreate import recreate, recreate_foreign_keys
from restore.errors import LoadError
from restore.journal import store as journal
from restore.journal.dropped import INDEXES, dropped_objects
from restore.report.next_steps import repair_command
from restore.target.connection import connect
from restore.target.pool import set_maintenance_memory
from restore.target.session_locks import acquire_restore_lock
from restore.target.sqlstate import describe, may_be_of_row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from restore.journal.dropped import DroppedObject
    from restore.options import Options

Say = Callable[[str], None]
_TABLES = """
    SELECT c.relkind = 'p' FROM pg_class c
    WHERE c.oid = to_regclass(%s) AND c.relkind IN ('r', 'p')
"""


def repair(options: Options, say: Say, *, empty: bool = False) -> None:
    """Recreate the indexes, keys and triggers that the journal lists as dropped or disabled.

    Each is recreated even if another cannot be; a later repair recreates the rest.

    Args:
        options: the target: ``dsn``, ``lock_timeout_s`` and ``jobs`` are used.
        say: receives a line for each step.
        empty: first empty the tables of dropped indexes and keys, and no others.

    Raises:
        RestoreError: some objects were not recreated; the line says why, and the next step.
    """
    with connect(options.dsn, lock_timeout_s=options.lock_timeout_s) as conn:
        try:
            acquire_restore_lock(conn)
            dropped = dropped_objects(conn)
            unfinished = find_unfinished(conn)
            if not dropped and unfinished is None:
                say("nothing to repair: no index, key or trigger is dropped or disabled")
            if empty:
                _empty(conn, [each for each in dropped if each.kind != "trigger"], say)
            _recreate(conn, dropped, options, say)
            journal.drop_journal(conn)
            if unfinished is not None:
                say(f"gave up {unfinished}: its tables hold a part of the backup")
        except psycopg.Error as error:
            raise LoadError(describe(error)) from error


def _empty(conn: psycopg.Connection, dropped: Iterable[DroppedObject], say: Say) -> None:
    """Truncate the tables of these objects in one statement.

    Raises:
        psycopg.Error: the server refused, for example because of tables that refer to them.
    """
    names = {each.identifier.as_string(conn): each for each in dropped}
    tables = []
    for name, each in names.items():
        row = conn.execute(_TABLES, [name]).fetchone()
        if row is not None:  # else it was dropped since
            tables.append(sql.SQL("{}" if row[0] else "ONLY {}").format(each.identifier))
    if tables:
        conn.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(tables)))
        say(f"emptied {', '.join(each.table for each in names.values())}")


def _recreate(
    conn: psycopg.Connection, dropped: list[DroppedObject], options: Options, say: Say
) -> None:
    """Recreate indexes, then foreign keys if all indexes are there, then enable triggers.

    Raises:
        LoadError: rows violate some of them.
        psycopg.Error: the server refused.
    """
    problems: list[str] = []

    def attempt(step: Callable[[], None], objects: list[DroppedObject]) -> None:
        try:
            step()
        except psycopg.Error as error:
            if not may_be_of_row(error):
                raise
            name = error.diag.constraint_name
            failed = next((each for each in objects if each.name == name), objects[0])
            why = error.diag.message_detail or error.diag.message_primary or str(error)
            problems.append(f"{failed.display_name} cannot be recreated: {why.rstrip('.')}")
        else:
            for each in objects:
                verb = "enabled" if each.kind == "trigger" else "recreated"
                say(f"{verb} {each.display_name}")

    set_maintenance_memory(conn, 1)
    for index in [each for each in dropped if each.kind in INDEXES]:
        attempt(partial(recreate, conn, [index]), [index])
    keys = [each for each in dropped if each.kind == "foreign key"]
    if keys and not problems:
        attempt(partial(recreate_foreign_keys, conn, options), keys)
    for trigger in [each for each in dropped if each.kind == "trigger"]:
        attempt(partial(recreate, conn, [trigger]), [trigger])
    if problems:
        again = repair_command(options, empty=True)
        raise LoadError(
            f"{'; '.join(problems)}; delete such rows and repair again, or empty the tables with"
            f" `{again}` and restore again"
        )
