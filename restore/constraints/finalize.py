"""Finalizes loaded tables: indexes, sequences, statistics.

That is the server's work, so it goes on in sessions of their own while other tables are loaded.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Self

import psycopg
from psycopg import sql

from restore.constraints.recreate import recreate
from restore.journal.dropped import INDEXES, dropped_objects
from restore.report.reasons import Reason
from restore.target.connection import users_search_path
from restore.target.pool import ConnectionPool, set_maintenance_workers
from restore.target.sequences import set_sequences
from restore.target.sqlstate import is_lost
from restore.text import pluralize

if TYPE_CHECKING:
    from concurrent.futures import Future
    from types import TracebackType

    from restore.constraints.duplicates import Outcome
    from restore.journal.dropped import DroppedObject
    from restore.options import Options
    from restore.report.model import TableReport
    from restore.target.catalog import Table
    from restore.target.own_rows import WriteLog

Isolate = Callable[["psycopg.Connection", Callable[[], None]], "Outcome"]
"""Takes duplicates out of a table, on this connection; the second argument builds its keys."""
Note = Callable[["psycopg.Connection"], None]

_NOT_COMPARED = frozenset({"json", "jsonb", "bytea", "xml"})
# A column takes 10 ms: with 1,590 of them, ANALYZE took four times as long as the load.
_MOST_ANALYZED = 100
_KEY_COLUMNS = """
    SELECT attname FROM pg_attribute WHERE attrelid = %s AND (
        attnum = ANY (SELECT unnest(indkey) FROM pg_index WHERE indrelid = attrelid)
        OR attnum = ANY (SELECT unnest(conkey) FROM pg_constraint
                         WHERE conrelid = attrelid AND contype = 'f'))
"""


class TableFinalizer:
    """Finishes tables in the background, with as many sessions as there are jobs.

    One session builds the keys and unique indexes of a table, one after the other; free sessions
    share its other indexes.

    Args:
        options: the target, how its sessions are set up, and how many there may be.
        own: the session that loads; it finishes tables itself if no other can be had.
    """

    def __init__(self, options: Options, own: psycopg.Connection) -> None:
        self._jobs = options.processes
        self._sessions = ConnectionPool(options, options.processes, own)
        self._loading = True
        self._building = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._sessions.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sessions.__exit__(kind, error, trace)

    @property
    def warnings(self) -> list[str]:
        """Why tables are finished one after the other, if there are not enough sessions."""
        return [self._sessions.warning] if self._sessions.warning else []

    def run_deferred(self) -> None:
        """Finish tables on the idle session that loads, if there is no other."""
        self._sessions.run_deferred()

    def loads_are_done(self) -> None:
        """Note that the processors are free: an index that is built alone may have all of them."""
        self._loading = False

    def submit(
        self,
        table: Table,
        isolate: Isolate | None = None,
        *,
        expect_duplicates: bool = False,
        before: Note = lambda _: None,
        after: Note = lambda _: None,
    ) -> Future[list[str]]:
        """Finish a loaded table in a session that is free.

        Args:
            table: the table.
            isolate: resolves its duplicates.
            expect_duplicates: search for duplicates before building a key that they may break.
            before: records that the table is loaded.
            after: records that it is finished.

        Returns:
            A future of warnings. It raises psycopg.Error if the server refuses, UniqueViolation if
            duplicates remain. After a data error, a row does not fit an index; that index, and
            maybe others of the table, are still dropped.
        """

        def work(conn: psycopg.Connection) -> list[str]:
            before(conn)
            warnings = self._finish(table, isolate, expect_duplicates, conn)
            after(conn)
            return warnings

        return self._sessions.submit(work)

    def _finish(
        self,
        table: Table,
        isolate: Isolate | None,
        expect_duplicates: bool,  # noqa: FBT001 - a thread's call
        conn: psycopg.Connection,
    ) -> list[str]:
        names = {index.name for index in table.indexes if index.unique is not None}
        dropped = dropped_objects(conn, *INDEXES, table=table)
        unique = [each for each in dropped if each.name in names]

        def build_unique() -> None:
            self._build(deque(unique), conn)

        found: Outcome = "unchanged"
        if isolate is not None and expect_duplicates and unique:
            found = isolate(conn, build_unique)
        if found == "unchanged":
            try:
                build_unique()
            except psycopg.errors.UniqueViolation:
                if (
                    isolate is None
                    or expect_duplicates
                    or isolate(conn, build_unique) != "resolved"
                ):
                    raise
        elif found == "reload_table":
            raise psycopg.errors.UniqueViolation("duplicates that are not found in the file")
        self._build_others(deque(each for each in dropped if each.name not in names), conn)
        return finish(conn, table)

    def _build_others(self, others: deque[DroppedObject], conn: psycopg.Connection) -> None:
        """Build the remaining indexes, shared with the sessions that are free."""
        helpers = [
            self._sessions.submit_if_free(partial(self._build, others))
            for _ in range(len(others) - 1)
        ]
        try:
            self._build(others, conn)
        finally:
            # Those that have not started find nothing to do; none runs after the table is finished.
            errors = [each.exception() for each in helpers if not each.cancel()]
        for error in errors:
            if error is not None:
                raise error

    def _build(self, indexes: deque[DroppedObject], conn: psycopg.Connection) -> None:
        """Build indexes until none is left; other sessions may take from the queue too."""
        while indexes:
            try:
                index = indexes.popleft()
            except IndexError:
                return
            with self._lock:
                self._building += 1
                alone = not self._loading and self._building == 1
            try:
                set_maintenance_workers(conn, self._jobs if alone else 0)
                recreate(conn, [index])
            finally:
                with self._lock:
                    self._building -= 1


def finish(conn: psycopg.Connection, table: Table) -> list[str]:
    """Set a table's sequences and gather its statistics, once its indexes are in place.

    Returns:
        Warnings about sequences that cannot continue after the table's values.

    Raises:
        psycopg.Error: the server refused.
    """
    warnings = set_sequences(conn, table)
    statement = _analyze_statement(conn, table)
    try:
        with conn.transaction(), users_search_path(conn):
            conn.execute(statement)
    except psycopg.Error as error:
        if is_lost(error):
            raise
        # An expression with extended statistics may fail for some row.
        why = " ".join((error.diag.message_primary or str(error)).split())
        warnings.append(f"no statistics were gathered ({why}): ANALYZE the table yourself")
    return warnings


def _analyze_statement(conn: psycopg.Connection, table: Table) -> sql.Composed:
    """Return an ANALYZE of the columns that queries compare.

    Documents and bytes are the most expensive to sort and rarely compared as a whole. Autovacuum
    still analyzes the whole table later.
    """
    names = [column.name for column in table.columns if column.type.name not in _NOT_COMPARED]
    if len(names) > _MOST_ANALYZED:
        keys = {name for (name,) in conn.execute(_KEY_COLUMNS, [table.oid])}.intersection(names)
        names = sorted(names, key=lambda name: name not in keys)[: max(_MOST_ANALYZED, len(keys))]
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    return sql.SQL("ANALYZE {} ({})" if names else "ANALYZE {}").format(table.identifier, columns)


def count_removed(
    conn: psycopg.Connection, table: Table, report: TableReport, writes: WriteLog | None
) -> None:
    """Count loaded rows that triggers removed again as rejected.

    Args:
        conn: a connection to the target.
        table: the table.
        report: its counts.
        writes: identifies rows that this restore wrote; None: all rows are.
    """
    ours = sql.SQL("true") if writes is None else writes.is_ours(table.oid, "restore_row")
    query = sql.SQL("SELECT count(*) FROM {} AS restore_row WHERE {}").format(table.sql_only, ours)
    [(there,)] = conn.execute(query).fetchall()
    removed = report.loaded - int(there)
    if removed <= 0:
        return
    report.count_taken_out(removed)
    for _ in range(removed):
        report.count_reason(_REMOVED, None, None)
    report.warnings.append(
        f"{pluralize(removed, 'row')} that went in cannot be found in the table: a trigger removed"
        " or changed them; their records are not in the rejects"
    )


_REMOVED = Reason(level="constraint", message="a trigger removed the row after it was loaded")
