"""Loads all tables of a plan: an executor loads their shards, and each table is then finished.

A table is cut into shards only if the order in which rows arrive decides nothing: if nothing that
stands in the table meanwhile tells two rows apart. Otherwise one thread loads it, in the order of
its file. So what comes of a backup is the same for any number of threads.
"""

from __future__ import annotations

import contextlib
import threading
from functools import partial
from typing import TYPE_CHECKING

import psycopg

from restore.constraints.drop import drop_indexes, dropped_unique_keys, not_dropped_warning
from restore.constraints.duplicates import resolve_duplicates
from restore.constraints.finalize import TableFinalizer, finish
from restore.constraints.recreate import recreate_indexes
from restore.journal import store as journal
from restore.journal.dropped import JOURNAL
from restore.load.bulk_copy import BulkMode, may_load_in_any_order, tables_to_freeze
from restore.load.table_loader import TableLoader
from restore.rejects.limits import without_max_rejects
from restore.schedule.queue import Sharding, TaskQueue
from restore.schedule.table_state import remove
from restore.schedule.threads import ThreadExecutor
from restore.source.shards import whole_range_shard
from restore.target.catalog import read_tables
from restore.target.deletion import empty_own_rows
from restore.target.own_rows import JOURNALED
from restore.target.sqlstate import may_be_of_row, retry_transient
from restore.target.user_code import load_after_others

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from restore.constraints.duplicates import Outcome
    from restore.options import Options
    from restore.rejects.limits import RejectLimits
    from restore.schedule.executor import Executor, ExecutorFactory, TaskUpdate
    from restore.schedule.phases import Event
    from restore.schedule.progress import ProgressTracker
    from restore.schedule.table_state import TableState
    from restore.target.catalog import ForeignKey

# Below this size of a file, dropping and building indexes takes longer than keeping them: restoring
# one table with four of them took 1.5 times as long at 0.1 MiB, 1.2 times at 2 MiB, as long at 4.
_WORTH_BYTES = 1 << 22
# What building an index says of a row that is too large for it, also of one that is gone.
_TOO_LARGE = frozenset({"54000"})


class Scheduler:
    """Loads tables and finishes them.

    Args:
        conn: a connection that commits each statement.
        options: how to load.
        tables: the tables, parents first.
        in_place: foreign keys among them that hold meanwhile: parents are loaded first.
        limits: checked after each batch, by what loads it.
        progress: told of every update.
        may_alter: the role may drop what a table has.
        make_executor: makes what loads the tasks.

    Attributes:
        warnings: what a person should know of the load as a whole.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        options: Options,
        tables: Sequence[TableState],
        *,
        in_place: Collection[ForeignKey],
        limits: RejectLimits,
        progress: ProgressTracker,
        may_alter: bool,
        make_executor: ExecutorFactory = ThreadExecutor,
    ) -> None:
        self.warnings: list[str] = []
        self._make_executor = make_executor
        self._conn = conn
        self._options = options
        self._tables = {table.load.table.oid: table for table in tables}
        self._waits: dict[int, set[int]] = {}
        for key in in_place:
            if key.parent != key.table:
                self._waits.setdefault(key.table, set()).add(key.parent)
        self._parents_first = bool(self._waits) or options.append or options.dry_run
        if not self._waits:
            self._waits = load_after_others(conn, list(self._tables), triggers=options.triggers)
        self._limits = limits
        self._progress = progress
        self._may_alter = may_alter
        self._finisher: TableFinalizer | None = None
        self._finishing: list[tuple[TableState, Future[list[str]]]] = []
        # Held by whichever thread changes a table's state, the queue or the progress.
        self._lock = threading.Lock()
        self._loading = 0

    def run(self) -> None:
        """Load all tables, and wait until they are finished.

        Raises:
            RestoreError: the load stopped.
            psycopg.Error: the server refused what finishes a table.
        """
        tables = list(self._tables.values())
        if self._options.dry_run or self._options.atomic:
            self._run()
            for table in tables if self._options.atomic else ():
                table.report.warnings += finish(self._conn, table.load.table)
            return
        for table in tables:
            self._resume_phase(table)
            self._drop_indexes(table)
        self._find_modes()
        with TableFinalizer(self._options, self._conn) as self._finisher:
            self.warnings += self._finisher.warnings
            self._run()
        if left := [t.report.table for t in tables if t.phases.next_step != "nothing"]:
            raise AssertionError(f"not loaded: {', '.join(left)}")

    def _resume_phase(self, table: TableState) -> None:
        """Start over a table that cannot be resumed where an earlier process left it."""
        if table.phases.phase == "taken":
            self._start_over(table, "interrupted")
        elif not table.phases.boundaries_hold:
            self._start_over(table, "misread")
        if table.phases.phase == "ordered":
            self._build_indexes(table)

    def _find_modes(self) -> None:
        """Find the tables that may be loaded in one COPY, and how."""
        loading = [t for t in self._tables.values() if t.phases.phase == "loading"]
        large = [table for table in loading if table.load.file.disk_bytes >= _WORTH_BYTES]
        oids = [table.load.table.oid for table in large if not table.load.fixed]
        in_use = self._options.append or self._options.triggers
        fresh = set() if in_use else tables_to_freeze(self._conn, oids)
        for table in large:
            oid = table.load.table.oid
            # Shards that were cut at a wrong place are loaded again, after the table is emptied.
            any_order = not table.load.fixed and may_load_in_any_order(
                self._conn, oid, self._options
            )
            table.mode = BulkMode(freeze=oid in fresh, any_order=any_order)

    def _run(self) -> None:
        tables = self._in_order()
        sharding = Sharding(self._options, tables)
        self._queue = TaskQueue((t for t in tables if t.has_tasks), self._waits, sharding.cut)
        with self._executor(sharding.threads) as self._running:
            with self._lock:
                for table in self._tables.values():
                    self._advance(table)
            self._load_queued()
            if self._finisher is not None:
                self._finisher.loads_are_done()
            for table in [t for t in tables if t.phases.next_step == "reload"]:
                self._start_over(table, "misread")
                self._load_whole(table)
            while self._finishing:
                table, future = self._finishing.pop(0)
                if self._finisher is not None:
                    self._finisher.run_deferred()
                try:
                    table.report.warnings += future.result()
                except psycopg.Error as error:
                    if not (may_be_of_row(error) and table.phases.may("refused")):
                        raise
                    self._load_with_indexes(table)

    @contextlib.contextmanager
    def _executor(self, threads: int) -> Iterator[Executor]:
        executor = self._make_executor(
            self._conn, self._options, self._limits, threads=threads, on_update=self._on_update
        )
        try:
            yield executor
        finally:
            executor.stop()
            self.warnings += executor.warnings

    def _in_order(self) -> list[TableState]:
        """Return the tables: parents first, or, if no foreign key is in place, the largest first.

        Then what finishes a large table goes on beside the load of the others, and little is left
        to wait for at the end.
        """
        tables = list(self._tables.values())
        if self._parents_first:
            return tables
        return sorted(tables, key=lambda table: table.load.file.disk_bytes, reverse=True)

    def _load_queued(self) -> None:
        """Load all tasks of the queue, and those that come in meanwhile."""
        with self._lock:
            self._fill_slots()
        self._running.wait()

    def _fill_slots(self) -> None:
        while self._loading < self._running.slots and (task := self._queue.take()) is not None:
            self._loading += 1
            self._running.submit(task)

    def _on_update(self, update: TaskUpdate) -> None:
        """Note what is new of a task. Called by the executor's threads, of which one may at a time.

        Raises:
            RestoreError: a file cannot be read, or a reject file not written.
        """
        with self._lock:
            table = self._tables[update.task.load.table.oid]
            table.update(update)
            if not update.is_first:
                self._on_progress(table)
            if update.boundary_holds is not None:
                self._loading -= 1
                self._fill_slots()

    def _advance(self, table: TableState) -> None:
        """Take a table that needs no load to its next step."""
        step = table.phases.next_step
        if step == "load" and not table.has_tasks:
            table.mark_empty()
            self._on_progress(table)
        elif step in {"finish", "nothing"}:
            self._progress.done(table)
            self._queue.done(table.load.table.oid)
            if step == "finish":
                self._finish(table, [])

    def _on_progress(self, table: TableState) -> None:
        """Report progress of a table; once it is loaded, see to what comes next."""
        self._progress.update(table)
        if table.phases.next_step != "finish":
            return
        late = table.begin_late()
        if late is not None:
            self._queue.add(late)
            return
        with self._limits.lock:
            parts = table.merge_shards()
        table.report.note_change(table.load.file.change())
        self._progress.done(table)
        self._queue.done(table.load.table.oid)
        self._finish(table, parts)

    def _finish(self, table: TableState, parts: list[Path]) -> None:
        """Have a loaded table finished, and the files ``parts`` removed, which it needs no more."""
        if self._finisher is None:
            remove(parts)
            return
        future = self._finisher.submit(
            table.load.table,
            partial(self._isolate_duplicates, table),
            expect_duplicates=bool(table.report.rejected),
            before=partial(table.note_loaded, parts),
            after=partial(table.note, event="finished"),
        )
        self._finishing.append((table, future))

    def _load_whole(self, table: TableState) -> None:
        """Load a table from its start to its end, in one task."""
        task = table.task(whole_range_shard(table.load.file))
        table.begin(task, last=True)
        self._queue.add(task)
        self._load_queued()

    def _isolate_duplicates(
        self, table: TableState, conn: psycopg.Connection, build: Callable[[], None]
    ) -> Outcome:
        """Take duplicates out of a loaded table by sets; a session that finishes tables does it."""
        loader = TableLoader(
            conn, table.load, options=self._options, limits=without_max_rejects(self._options)
        )
        return resolve_duplicates(
            conn,
            table.kept(self._options),
            dropped_unique_keys(conn, table.load.table),
            build=build,
            reload=loader.ladder(table.report, table.rejects).reload_records,
            taken=partial(table.note, conn, "taken"),
            chunk_bytes=self._options.chunk_bytes,
            schema=JOURNAL,
        )

    def _load_with_indexes(self, table: TableState) -> None:
        """Load a table from the beginning, with its indexes in place.

        Some record holds what an index cannot (a text too long for it, say): an index that is there
        tells which one.
        """
        self._start_over(table, "refused")
        self._build_indexes(table)
        self._load_whole(table)

    def _build_indexes(self, table: TableState) -> None:
        build = partial(recreate_indexes, self._conn, table.load.table)
        retry_transient(build, states=_TOO_LARGE, attempts=10)

    def _start_over(self, table: TableState, event: Event) -> None:
        """Empty a table that holds this restore's rows alone, and forget what was loaded of it.

        Raises:
            LoadError: it holds rows of others.
        """
        phase = table.phases.after(event)
        with self._conn.transaction():
            empty_own_rows(self._conn, table.load.table, JOURNALED)
            journal.reset(self._conn, table.load.table.oid, phase)
        table.start_over(phase)

    def _drop_indexes(self, table: TableState) -> None:
        """Drop a table's indexes if that is faster and the role may."""
        keep = (
            table.load.fixed
            or self._options.append
            or self._options.keep_indexes
            or table.phases.phase != "loading"
        )
        if keep or table.load.file.disk_bytes < _WORTH_BYTES or not self._may_alter:
            return
        definition = table.load.table
        if table.resumed:  # of its indexes those that are in place, as they are now
            definition = read_tables(self._conn, [definition.oid])[definition.oid]
        try:
            # A trigger that fires may tell rows by a key of a table of the backup.
            drop_indexes(self._conn, definition, unique=not self._options.triggers)
        except psycopg.errors.InsufficientPrivilege as error:
            self._may_alter = False  # slower, but the same result
            self.warnings.append(not_dropped_warning(error))
