"""The part of a restore that writes: tables, one after the other, then what they refer to."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from restore.constraints import (
    STILL_ASIDE,
    bring_back,
    bring_indexes_back,
    put_indexes_aside,
    put_keys_aside,
)
from restore.errors import LoadError, RestoreError
from restore.finish import Finisher, finish
from restore.ladder import is_data_error
from restore.limits import Limits
from restore.load import TableLoad, Tally, size_bytes
from restore.orphans import Kept, Orphans
from restore.rejects import RejectFile
from restore.report import TableReport
from restore.session import flush

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from restore.catalog import ForeignKey
    from restore.options import Options
    from restore.plan import Load, Plan
    from restore.progress import Watcher
    from restore.report import Report

# Below this size of a file, dropping and building indexes takes longer than keeping them.
_WORTH_BYTES = 1 << 20


class Job:
    """Loads what a plan says, and counts what becomes of it in a report.

    Args:
        conn: a connection that commits each statement.
        options: the bounds.
        plan: what is loaded.
        report: takes a TableReport for each load.
        watch: is told of progress.
        rejects_folder: where records go that cannot be restored.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        options: Options,
        plan: Plan,
        report: Report,
        *,
        watch: Watcher,
        rejects_folder: Path,
    ) -> None:
        self._conn = conn
        self._options = options
        self._plan = plan
        self._watch = watch
        self._may_alter = True
        self._loads: dict[int, TableLoad] = {}
        self._reports = {
            load.table.oid: TableReport(
                table=load.table.name, schema=load.table.schema, file=load.file.path.name
            )
            for load in plan.loads
        }
        self._rejects = {
            load.table.oid: RejectFile(rejects_folder, load.table.schema, load.table.name)
            for load in plan.loads
        }
        report.tables += self._reports.values()
        self._limits = Limits(options, report.tables)
        self._tally = Tally(len(self._reports), sum(map(size_bytes, plan.loads)))

    def run(self) -> None:
        """Load every table, bring back what was put aside, and see that all of it is on disk.

        Raises:
            RestoreError: the load stopped.
        """
        aside = self._put_keys_aside()
        with contextlib.ExitStack() as stack:
            for rejects in self._rejects.values():
                stack.enter_context(rejects)
            try:
                self._load_all()
            except BaseException as error:
                self._bring_back_after(error)
                raise
            try:
                bring_back(self._conn)
            except psycopg.errors.ForeignKeyViolation:
                self._reject_orphans(aside, "restore_journal")
                bring_back(self._conn)
        flush(self._conn)

    def _put_keys_aside(self) -> tuple[ForeignKey, ...]:
        """Put foreign keys aside: all where the tables are empty, else those that must be.

        Raises:
            LoadError: the role may not, and some must be.
        """
        tables = {load.table.oid: load.table for load in self._plan.loads}
        keys = self._plan.cyclic if self._options.append else self._plan.keys
        try:
            if keys:
                put_keys_aside(self._conn, tables, keys)
        except psycopg.errors.InsufficientPrivilege as error:
            self._may_alter = False
            if not self._plan.cyclic:
                return ()  # slower, but parents are loaded before their children
            raise LoadError(
                f"{error.diag.message_primary}: tables that refer to each other in a cycle need"
                " their owner, with the right to create a schema in the database"
            ) from error
        return keys

    def _load_all(self) -> None:
        finished: list[tuple[Load, Future[None]]] = []
        with Finisher(self._options.dsn) as finisher:
            loads = self._order()
            for load in loads:
                self._put_indexes_aside(load)
                self._load(load)
                future = finisher.submit(load.table, beside_load=load is not loads[-1])
                finished.append((load, future))
            for load, future in finished:
                try:
                    future.result()
                except psycopg.Error as error:
                    if not is_data_error(error):
                        raise
                    self._load_again(load)

    def _order(self) -> list[Load]:
        """Return the loads: parents first, or, where no foreign key minds, the largest first.

        Then what finishes a large table goes on beside the load of the others, and little is left
        to wait for at the end.
        """
        if self._options.append or not self._may_alter:
            return list(self._plan.loads)
        return sorted(self._plan.loads, key=size_bytes, reverse=True)

    def _reject_orphans(self, keys: Sequence[ForeignKey], schema: str) -> None:
        tables = {load.table.oid: load.table for load in self._plan.loads}
        orphans = Orphans(
            self._conn, tables, keys, chunk_bytes=self._options.chunk_bytes, schema=schema
        )
        kept = [
            Kept(done.load, self._reports[oid], self._rejects[oid], done.converter)
            for oid, done in self._loads.items()
        ]
        orphans.reject(kept, self._limits)

    def _load_again(self, load: Load) -> None:
        """Load a table once more, with its indexes in place.

        Some record holds what an index cannot (a text too long for it, say): an index that is there
        tells which one.
        """
        self._conn.execute(sql.SQL("DELETE FROM {}").format(load.table.identifier))
        bring_indexes_back(self._conn, load.table)
        self._rejects[load.table.oid].forget()
        self._reports[load.table.oid].forget()
        self._load(load)
        finish(self._conn, load.table)

    def _put_indexes_aside(self, load: Load) -> None:
        small = size_bytes(load) < _WORTH_BYTES
        if self._options.append or small or not (load.table.indexes and self._may_alter):
            return
        try:
            put_indexes_aside(self._conn, load.table)
        except psycopg.errors.InsufficientPrivilege:
            self._may_alter = False  # slower, but the same result

    def _bring_back_after(self, error: BaseException) -> None:
        """Bring back what is aside after a load that failed, if that can be."""
        try:
            if self._conn.info.transaction_status is not TransactionStatus.IDLE:
                raise LoadError(
                    "the connection is lost, or was interrupted in the middle of a COPY"
                )
            bring_back(self._conn)
        except (psycopg.Error, RestoreError):
            error.add_note(STILL_ASIDE)

    def _load(self, load: Load) -> None:
        oid = load.table.oid
        self._loads[oid] = TableLoad(
            self._conn,
            load,
            options=self._options,
            rejects=self._rejects[oid],
            report=self._reports[oid],
            limits=self._limits,
            tally=self._tally,
            watch=self._watch,
        )
        self._loads[oid].run()
