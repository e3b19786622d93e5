"""Recreates what an unfinished restore dropped, as far as the tables' rows allow."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from restore.commands.unfinished import find_unfinished
from restore.constraints.recreate import bring_keys_back, make_again
from restore.errors import LoadError
from restore.journal import store as journal
from restore.journal.dropped import INDEXES, dropped_objects
from restore.plan.preflight import read_server
from restore.report.next_steps import repair_command
from restore.target.connection import acquire_restore_lock, connect
from restore.target.pool import set_maintenance_memory
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

    What can be brought back is, whatever becomes of the rest, and this can be done again.

    Args:
        options: where, and how: ``dsn``, ``lock_timeout_s`` and ``jobs`` are looked at.
        say: is told, line by line, what is done.
        empty: empty the tables whose indexes or keys are aside first, and no others.

    Raises:
        RestoreError: something is still aside; the line says why, and what to do.
    """
    with connect(options.dsn, lock_timeout_s=options.lock_timeout_s) as conn:
        try:
            read_server(conn)
            acquire_restore_lock(conn)
            asides = dropped_objects(conn)
            unfinished = find_unfinished(conn)
            if not asides and unfinished is None:
                say("nothing is aside: there is nothing to repair")
            if empty:
                _empty(conn, [aside for aside in asides if aside.kind != "trigger"], say)
            _Repair(conn, options, say).run(asides)
            if unfinished is not None:
                say(f"gave up {unfinished}: its tables hold a part of the backup")
        except psycopg.Error as error:
            raise LoadError(describe(error)) from error


def _empty(conn: psycopg.Connection, asides: Iterable[DroppedObject], say: Say) -> None:
    """Truncate the tables of these objects in one statement.

    Raises:
        psycopg.Error: the server refused, for tables that refer to them, say.
    """
    names = {aside.identifier.as_string(conn): aside for aside in asides}
    tables = []
    for name, aside in names.items():
        row = conn.execute(_TABLES, [name]).fetchone()
        if row is not None:  # else it is gone since
            tables.append(sql.SQL("{}" if row[0] else "ONLY {}").format(aside.identifier))
    if tables:
        conn.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(tables)))
        say(f"emptied {', '.join(aside.table for aside in names.values())}")


class _Repair:
    """Recreates one object after another, and collects those that cannot be."""

    def __init__(self, conn: psycopg.Connection, options: Options, say: Say) -> None:
        self._conn = conn
        self._options = options
        self._say = say
        self._problems: list[str] = []

    def run(self, asides: list[DroppedObject]) -> None:
        """Recreate all objects, then drop the journal.

        Raises:
            LoadError: rows are in the way.
            psycopg.Error: the server refused.
        """
        set_maintenance_memory(self._conn, 1)
        for index in [aside for aside in asides if aside.kind in INDEXES]:
            self._try(partial(make_again, self._conn, [index]), [index])
        keys = [aside for aside in asides if aside.kind == "foreign key"]
        if keys and not self._problems:
            self._try(partial(bring_keys_back, self._conn, self._options), keys)
        for trigger in [aside for aside in asides if aside.kind == "trigger"]:
            self._try(partial(make_again, self._conn, [trigger]), [trigger])
        if self._problems:
            again = repair_command(self._options, empty=True)
            raise LoadError(
                f"{'; '.join(self._problems)}. Take such rows out and repair again, or empty the"
                f" tables with `{again}` and restore again"
            )
        journal.drop_journal(self._conn)

    def _try(self, bring: Callable[[], None], asides: list[DroppedObject]) -> None:
        try:
            bring()
        except psycopg.Error as error:
            if not may_be_of_row(error):
                raise
            name = error.diag.constraint_name
            of = [aside for aside in asides if aside.name == name] or asides
            why = error.diag.message_detail or error.diag.message_primary or str(error)
            self._problems.append(f"{of[0].display_name} cannot come back: {why.rstrip('.')}")
        else:
            for aside in asides:
                self._say(f"brought back {aside.display_name}")
