"""The part of a restore that writes: tables, one after the other, then what they refer to."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from restore.aside import put_indexes_aside, put_keys_aside, put_triggers_aside, quiet_warning
from restore.back import STILL_ASIDE, bring_back, bring_indexes_back, bring_triggers_back
from restore.destination import key_to_replace_by
from restore.dry_run import may_write
from restore.errors import LoadError, RestoreError
from restore.finish import Finisher, finish
from restore.limits import Limits
from restore.load import TableLoad, Tally
from restore.origins import Kept
from restore.orphans import Orphans
from restore.progress import Stage
from restore.rejects import RejectFile
from restore.report import TableReport
from restore.session import connect, current_transaction, flush
from restore.transient import is_data_error, retrying

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from restore.catalog import ForeignKey
    from restore.options import Options
    from restore.plan import Load, Plan
    from restore.progress import Watcher
    from restore.report import Report

# Below this size of a file, dropping and building indexes takes longer than keeping them: restoring
# one table with four of them took 1.5 times as long at 0.1 MiB, 1.2 times at 2 MiB, as long at 4.
_WORTH_BYTES = 1 << 22
# What building an index says of a row that is too large for it, also of one that is gone.
_TOO_LARGE = frozenset({"54000"})


class Job:
    """Loads what a plan says, and counts what becomes of it in a report.

    Args:
        conn: a connection that commits each statement.
        options: the bounds.
        plan: what is loaded.
        report: takes a TableReport for each load.
        watch: is told of progress.
        rejects_folder: where records go that cannot be restored.
        names: schema and name of each table, by oid, as the user knows it.
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
        names: dict[int, tuple[str, str]],
    ) -> None:
        self._conn = conn
        self._options = options
        self._plan = plan
        self._watch = watch
        self._may_alter = True
        self._since: str | None = None  # where rows were there before: what tells ours from them
        self._loads: dict[int, TableLoad] = {}
        self._reports = {
            load.table.oid: TableReport(
                schema=names[load.table.oid][0],
                table=names[load.table.oid][1],
                file=load.file.name,
            )
            for load in plan.loads
        }
        self._rejects = {oid: RejectFile(rejects_folder, *names[oid]) for oid in self._reports}
        self._report = report
        report.tables += self._reports.values()
        self._limits = Limits(options, report.tables)
        self._tally = Tally(len(self._reports), sum(load.file.disk_bytes for load in plan.loads))

    def run(self) -> None:
        """Load every table, bring back what was put aside, and see that all of it is on disk.

        Raises:
            RestoreError: the load stopped.
        """
        with contextlib.ExitStack() as stack:
            for rejects in self._rejects.values():
                stack.enter_context(rejects)
            try:
                if self._options.append:
                    self._since = current_transaction(self._conn)
                aside = self._put_aside()
                self._load_all()
                self._watch(Stage("foreign keys"))
                self._bring_back(aside)
            except BaseException as error:
                self._bring_back_after(error)
                raise
            finally:
                for oid, kept in self._rejects.items():
                    self._reports[oid].rejects = str(kept.path) if kept.used else None
        if not self._options.dry_run:
            flush(self._conn)

    def _put_aside(self) -> tuple[ForeignKey, ...]:
        """Put foreign keys and triggers aside; return the keys. A dry run's shadows have none.

        Raises:
            LoadError: the role may not, and some must be.
            psycopg.errors.LockNotAvailable: another session uses a table.
        """
        if self._options.dry_run:
            self._may_alter = False
            return self._plan.keys
        keys = self._put_keys_aside()
        if not self._options.triggers:
            quiet = put_triggers_aside(self._conn, self._plan.tables)
            self._report.warnings += quiet_warning(quiet)
        return keys

    def _bring_back(self, keys: tuple[ForeignKey, ...]) -> None:
        """Bring everything back; rows that a foreign key forbids are taken out for that."""
        if self._options.dry_run:
            with may_write(self._conn):
                self._reject_orphans(keys, "pg_temp")
            return
        # Where records are missing, others will refer to them: that is found sooner than it is
        # found out by a key that does not come back.
        # A key that was never validated does not come back validated: nobody else would find out.
        unchecked = any(not key.validated for key in keys)
        if keys and (unchecked or any(report.rejected for report in self._reports.values())):
            self._reject_orphans(keys, "restore_journal")
        try:
            bring_back(self._conn, self._options)
        except psycopg.errors.ForeignKeyViolation:
            self._reject_orphans(keys, "restore_journal")
            bring_back(self._conn, self._options)

    def _put_keys_aside(self) -> tuple[ForeignKey, ...]:
        """Put foreign keys aside: all where the tables are empty, else those that must be.

        Raises:
            LoadError: the role may not, and some must be.
        """
        keys = self._keys_to_put_aside()
        try:
            if keys:
                put_keys_aside(self._conn, self._plan.tables, keys)
        except psycopg.errors.InsufficientPrivilege as error:
            self._may_alter = False
            if not self._plan.cyclic:
                return ()  # slower, but parents are loaded before their children
            raise LoadError(
                f"{error.diag.message_primary}: tables that refer to each other in a cycle need"
                " their owner, with the right to create a schema in the database"
            ) from error
        return keys

    def _keys_to_put_aside(self) -> tuple[ForeignKey, ...]:
        """Return all keys where the tables are empty, else those that cannot hold meanwhile.

        A row that is replaced keeps the key by which it is told, and may lose another that older
        rows refer to: such a key has to hold all the time.
        """
        if not self._options.append:
            return self._plan.keys
        if self._options.on_conflict != "replace":
            return self._plan.cyclic
        told_by = {oid: key_to_replace_by(table) for oid, table in self._plan.tables.items()}
        return tuple(k for k in self._plan.cyclic if k.parent_columns == told_by[k.parent])

    def _load_all(self) -> None:
        if self._options.dry_run:
            for load in self._plan.loads:
                self._load(load)
            return
        finished: list[tuple[Load, Future[list[str]]]] = []
        with Finisher(self._options) as finisher:
            loads = self._order()
            for load in loads:
                self._put_indexes_aside(load)
                self._load(load)
                future = finisher.submit(load.table, beside_load=load is not loads[-1])
                finished.append((load, future))
            for load, future in finished:
                try:
                    self._reports[load.table.oid].warnings += future.result()
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
        return sorted(self._plan.loads, key=lambda load: load.file.disk_bytes, reverse=True)

    def _reject_orphans(self, keys: Sequence[ForeignKey], schema: str) -> None:
        tables = self._plan.tables | {table.oid: table for table in self._plan.outside}
        order = list(self._plan.tables)
        enforced = [key for key in keys if key.enforced]
        keys = sorted(enforced, key=lambda key: order.index(key.table))
        orphans = Orphans(
            self._conn,
            tables,
            keys,
            chunk_bytes=self._options.chunk_bytes,
            schema=schema,
            since=self._since,
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
        # Not a DELETE, if it can be: an index is also built over rows that went a moment ago.
        try:
            self._conn.execute(sql.SQL("TRUNCATE {}").format(load.table.only))
        except psycopg.errors.FeatureNotSupported:  # tables outside the backup refer to it
            self._conn.execute(sql.SQL("DELETE FROM {}").format(load.table.only))
        build = partial(bring_indexes_back, self._conn, load.table)
        retrying(build, states=_TOO_LARGE, attempts=10)
        self._rejects[load.table.oid].forget()
        self._reports[load.table.oid].forget()
        self._load(load)
        self._reports[load.table.oid].warnings += finish(self._conn, load.table)

    def _put_indexes_aside(self, load: Load) -> None:
        keep = self._options.append or self._options.keep_indexes
        if keep or load.file.disk_bytes < _WORTH_BYTES or not self._may_alter:
            return
        try:
            # A trigger that fires may tell rows by a key of a table of the backup.
            put_indexes_aside(self._conn, load.table, unique=not self._options.triggers)
        except psycopg.errors.InsufficientPrivilege:
            self._may_alter = False  # slower, but the same result

    def _bring_back_after(self, error: BaseException) -> None:
        """Bring back what is aside after a load that failed, if that can be."""
        if self._options.dry_run:
            return
        try:
            if self._conn.info.transaction_status is TransactionStatus.IDLE:
                bring_triggers_back(self._conn)
                bring_back(self._conn, self._options)
                return
            # The connection is lost, or was interrupted in the middle of a COPY.
            self._conn.close()
            with connect(self._options.dsn) as fresh:
                bring_triggers_back(fresh)
                bring_back(fresh, self._options)
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
