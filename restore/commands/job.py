"""Runs the part of a restore that writes: drop, load, reject orphans, recreate."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psycopg
from psycopg.pq import TransactionStatus

from restore.commands.resume import result_options, resume_table
from restore.constraints.drop import (
    disable_triggers,
    disabled_triggers_warning,
    drop_foreign_keys,
    not_dropped_warning,
)
from restore.constraints.finalize import count_removed
from restore.constraints.orphans import Orphans
from restore.constraints.recreate import enable_triggers, recreate_all
from restore.errors import LoadError, RestoreError
from restore.journal.dropped import JOURNAL, dropped_objects
from restore.journal.store import can_journal, create_journal, drop_journal, has_progress
from restore.load.upsert import keys_to_drop
from restore.plan.dry_run import writable_session
from restore.plan.order import with_write_log
from restore.rejects.folder import file_names, rotate
from restore.rejects.limits import RejectLimits
from restore.rejects.writer import RejectFile
from restore.remote.path import to_path
from restore.report.events import Stage
from restore.report.model import TableReport
from restore.report.next_steps import still_dropped
from restore.schedule.phases import PhaseTracker
from restore.schedule.progress import ProgressTracker
from restore.schedule.scheduler import Scheduler
from restore.schedule.second_try import load_rejects
from restore.schedule.table_state import TableState, remove
from restore.schedule.threads import ThreadExecutor
from restore.target.catalog import read_tables
from restore.target.connection import connect, flush
from restore.target.deletion import delete_all_rows
from restore.target.own_rows import JOURNALED, temporary_write_log
from restore.target.sequences import set_sequences
from restore.target.sqlstate import is_lost
from restore.target.trust import unjournaled_warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from restore.commands.prepare import Prepared
    from restore.options import Options
    from restore.report.events import ProgressCallback
    from restore.report.model import Report
    from restore.schedule.executor import ExecutorFactory
    from restore.target.catalog import ForeignKey
    from restore.target.own_rows import WriteLog


class RestoreJob:
    """Executes a plan, and counts the outcome of each record in a report.

    Args:
        conn: a connection that commits each statement.
        options: the restore's options.
        prepared: the plan, and what was loaded before.
        report: receives a TableReport for each load.
        watch: receives progress.
        rejects_folder: the folder for reject files.
        make_executor: makes what loads.

    Attributes:
        resumable: the journal has what a resume needs.
        needs_repair: something is left dropped or disabled.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        options: Options,
        prepared: Prepared,
        report: Report,
        *,
        watch: ProgressCallback,
        rejects_folder: Path,
        make_executor: ExecutorFactory = ThreadExecutor,
    ) -> None:
        self._make_executor = make_executor
        self._conn = conn
        self._options = options
        self._unfinished = prepared.unfinished
        self._loaded = prepared.loaded
        self._rejects_folder = rejects_folder
        self._watch = watch
        self.needs_repair = False
        self._mode = mode = prepared.plan.mode
        self._may_alter = mode.may_alter
        self.resumable = mode.may_alter and (self._unfinished is not None or can_journal(conn))
        if mode.may_alter and not self.resumable:
            report.warnings.append(unjournaled_warning(conn))
        self._writes: WriteLog | None = JOURNALED if self.resumable else None
        if mode.is_atomic or (options.append and not mode.writes_target):
            with writable_session(conn):
                self._writes = temporary_write_log(conn)
        self._plan = with_write_log(prepared.plan, self._writes)
        self._works: dict[int, TableState] = {}
        tables = self._plan.tables
        if self._unfinished is not None or not mode.writes_target:
            # Tables may have other names by now. A dry run loads shadows; people know the tables.
            tables = read_tables(conn, tables)
        files = file_names(tables[load.table.oid].name for load in self._plan.loads)
        for load, file in zip(self._plan.loads, files, strict=True):
            oid = load.table.oid
            schema, name = tables[oid].schema, tables[oid].name
            counts = TableReport(schema=schema, table=name, file=load.file.name)
            rejects = RejectFile(rejects_folder, schema, name, file)
            phases = PhaseTracker(append=options.append, journaled=load.journaled)
            self._works[oid] = TableState(load, counts, rejects, rejects_folder, phases=phases)
        self._report = report
        report.tables += [work.report for work in self._works.values()]
        self._progress = ProgressTracker(list(self._works.values()), watch)
        self._limits = RejectLimits(options, self._progress.reports)

    @property
    def _fires_triggers(self) -> bool:
        return self._options.triggers and self._mode.writes_target

    def run(self) -> None:
        """Load every table, recreate what was dropped for that, and flush all of it to disk.

        Raises:
            RestoreError: the load stopped.
        """
        with contextlib.ExitStack() as stack:
            works = self._works.values()
            for work in works:
                stack.enter_context(work.rejects)
            try:
                self._open_journal()
                dropped = self._drop()
                self._empty()
                self._advance_sequences()
                self._load_all(dropped)
                if self._mode.writes_target:
                    load_rejects(self._conn, works, self._options, self._limits, self._watch)
                self._watch(Stage("foreign keys"))
                self._recreate(dropped)
                own = self._writes if self._options.append else None
                for work in works if self._fires_triggers else ():
                    count_removed(self._conn, work.load.table, work.report, own)
            except BaseException as error:
                self._recreate_after(error)
                raise
            finally:
                for work in works:
                    work.report.rejects = (
                        str(work.rejects.path) if work.rejects.has_rejects else None
                    )
        if self._mode.writes_target:
            flush(self._conn)
        if self.resumable or self._mode.is_atomic:
            drop_journal(self._conn)
        self.resumable = False
        self._limits.at_end()

    def _open_journal(self) -> None:
        """Create the journal, or continue from what it records."""
        if self._unfinished is None:
            for work in self._works.values():  # what is found there later is ours
                rotate(work.rejects.path)
        if not self.resumable:
            return
        if self._unfinished is not None:
            for oid, loaded in self._loaded.items():
                resume_table(self._conn, self._works[oid], loaded)
            return
        create_journal(
            self._conn,
            self._plan.loads,
            backup=str(to_path(self._report.backup).absolute()),
            rejects=str(self._rejects_folder.absolute()),
            options=result_options(self._options),
        )

    def _empty(self) -> None:
        """Empty the tables, if that is part of the transaction that loads them."""
        if not self._mode.is_atomic:
            return
        self._conn.execute("SET CONSTRAINTS ALL IMMEDIATE")  # to know which record it is
        if not self._options.append:
            delete_all_rows(self._conn, self._plan.tables.values())

    def _advance_sequences(self) -> None:
        """Set sequences beyond existing rows, so that no record gets the key of one."""
        if self._options.append:
            for table in self._plan.tables.values():
                set_sequences(self._conn, table)

    def _drop(self) -> tuple[ForeignKey, ...]:
        """Drop foreign keys and disable triggers; return the keys. A dry run's shadows have none.

        Raises:
            LoadError: some have to be, and the role may not.
            psycopg.errors.LockNotAvailable: another session uses a table.
        """
        if not self._mode.writes_target:
            return self._plan.keys
        keys = self._drop_keys()
        if not self._options.triggers:
            quiet = disable_triggers(self._conn, self._plan.tables)
            self._report.warnings += disabled_triggers_warning(quiet)
        return keys

    def _recreate(self, keys: tuple[ForeignKey, ...]) -> None:
        """Recreate everything; reject rows that violate a foreign key before."""
        if not self._mode.writes_target:
            with writable_session(self._conn):
                self._reject_orphans(keys, "pg_temp")
            return
        # If records are missing, others refer to them: to search first is faster than to fail
        # to recreate a key. No other step notices orphans of a key that was never validated.
        unchecked = any(not key.validated for key in keys)
        missing = any(work.report.rejected for work in self._works.values())
        if keys and (unchecked or missing or self._orphans(keys, JOURNAL).is_unfinished):
            self._reject_orphans(keys, JOURNAL)
        try:
            recreate_all(self._conn, self._options)
        except psycopg.errors.ForeignKeyViolation:
            self._reject_orphans(keys, JOURNAL)
            recreate_all(self._conn, self._options)

    def _drop_keys(self) -> tuple[ForeignKey, ...]:
        """Drop foreign keys: all if the tables are empty, else those that cannot hold.

        Raises:
            LoadError: some have to be, and the role may not.
        """
        keys = keys_to_drop(self._plan, self._options)
        try:
            if keys:
                drop_foreign_keys(self._conn, self._plan.tables, keys)
        except psycopg.errors.InsufficientPrivilege as error:
            self._may_alter = False
            if not self._plan.deferred_keys:
                if self.resumable:
                    self._report.warnings.append(not_dropped_warning(error))
                return ()  # slower, but parents are loaded before their children
            raise LoadError(
                f"{error.diag.message_primary}: foreign keys in a cycle are dropped for the load,"
                " for which the role must own the tables and may create a schema in the database"
            ) from error
        return keys

    def _load_all(self, dropped: Sequence[ForeignKey]) -> None:
        scheduler = Scheduler(
            self._conn,
            self._options,
            list(self._works.values()),
            in_place=set(self._plan.keys) - set(dropped),
            limits=self._limits,
            progress=self._progress,
            may_alter=self._may_alter and self.resumable,
            make_executor=self._make_executor,
        )
        try:
            scheduler.run()
        finally:
            self._report.warnings += scheduler.warnings
            for parts in [work.merge_shards() for work in self._works.values()]:
                if not self.resumable:
                    remove(parts)

    def _orphans(self, keys: Sequence[ForeignKey], schema: str) -> Orphans:
        tables = self._plan.tables | {table.oid: table for table in self._plan.external_parents}
        order = {oid: place for place, oid in enumerate(self._plan.tables)}
        keys = sorted((k for k in keys if k.enforced), key=lambda key: order[key.table])
        return Orphans(
            self._conn,
            tables,
            keys,
            chunk_bytes=self._options.chunk_bytes,
            jobs=self._options.processes,
            schema=schema,
            writes=self._writes,
            triggers=self._fires_triggers,
        )

    def _reject_orphans(self, keys: Sequence[ForeignKey], schema: str) -> None:
        kept = [work.kept(self._options) for work in self._works.values()]
        self._orphans(keys, schema).reject(kept, self._limits, self._save_counts)

    def _save_counts(self) -> None:
        """Save the tables' present counts and rejects in the journal."""
        for work in self._works.values():
            work.save(self._conn)

    def _recreate_after(self, error: BaseException) -> None:
        """Recreate what was dropped after a load that failed, unless it is to be resumed."""
        if not self._mode.may_alter:
            return
        if self.resumable and is_lost(error) and self._options.retry_for_s:
            self._conn.close()
            self._leave_dropped(error)
            return
        try:
            with self._usable_connection() as conn:
                is_begun = self.resumable and has_progress(conn)
                if is_begun and isinstance(error, KeyboardInterrupt):
                    # A resumed restore would drop again what was recreated here.
                    self.needs_repair = bool(dropped_objects(conn))
                    return
                enable_triggers(conn)
                recreate_all(conn, self._options)
                if self.resumable and not is_begun:
                    self.resumable = False
                    drop_journal(conn)
        except (psycopg.Error, RestoreError):
            self._leave_dropped(error)

    @contextlib.contextmanager
    def _usable_connection(self) -> Iterator[psycopg.Connection]:
        if self._conn.info.transaction_status is TransactionStatus.IDLE:
            yield self._conn
            return
        self._conn.close()  # lost, or interrupted in the middle of a COPY
        with connect(self._options.dsn) as fresh:
            yield fresh

    def _leave_dropped(self, error: BaseException) -> None:
        self.needs_repair = True
        error.add_note(still_dropped())
