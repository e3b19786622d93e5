"""Loads all tables of a plan: a crew takes their shards, and each table is finished when it is in.

A table is cut into shards only where the order in which rows arrive decides nothing: where nothing
that stands in the table meanwhile tells two rows apart. Elsewhere one process loads it, in the
order of its file. So what comes of a backup is the same for any number of processes.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

import psycopg

from restore.constraints.drop import put_indexes_aside, unique_aside
from restore.constraints.duplicates import reload_duplicates
from restore.constraints.finalize import Finisher, finish
from restore.constraints.recreate import bring_indexes_back
from restore.journal import store as journal
from restore.journal.dropped import JOURNAL
from restore.load.bulk_copy import Manner, is_orderless, may_be_fresh
from restore.load.table_loader import TableLoad
from restore.schedule.crew import Crew
from restore.schedule.queue import Tasks
from restore.schedule.sharing import Shares
from restore.schedule.table_work import remove
from restore.source.shards import whole_range_shard
from restore.target.catalog import read_tables
from restore.target.deletion import empty_own_rows
from restore.target.own_rows import JOURNALED
from restore.target.sqlstate import may_be_of_row, retry_transient
from restore.target.user_code import load_after_others

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from restore.constraints.duplicates import Outcome
    from restore.options import Options
    from restore.rejects.limits import RejectLimits
    from restore.schedule.progress import Tally
    from restore.schedule.table_state import Event
    from restore.schedule.table_work import TableWork
    from restore.target.catalog import ForeignKey

# Below this size of a file, dropping and building indexes takes longer than keeping them: restoring
# one table with four of them took 1.5 times as long at 0.1 MiB, 1.2 times at 2 MiB, as long at 4.
_WORTH_BYTES = 1 << 22
# What building an index says of a row that is too large for it, also of one that is gone.
_TOO_LARGE = frozenset({"54000"})


class Loading:
    """Loads tables and finishes them.

    Args:
        conn: a connection that commits each statement.
        options: how.
        works: the tables, parents first.
        in_place: foreign keys among them that hold meanwhile: parents are loaded first.
        limits: say when there are too many rejects.
        tally: is told of progress.
        may_alter: the role may drop what a table has.

    Attributes:
        workers_peak_bytes: the peak memory of the processes beside this one.
        warnings: what a person should know of the load as a whole.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        options: Options,
        works: Sequence[TableWork],
        *,
        in_place: Collection[ForeignKey],
        limits: RejectLimits,
        tally: Tally,
        may_alter: bool,
    ) -> None:
        self.workers_peak_bytes = 0
        self.warnings: list[str] = []
        self._conn = conn
        self._options = options
        self._works = list(works)
        self._waits: dict[int, set[int]] = {}
        for key in in_place:
            if key.parent != key.table:
                self._waits.setdefault(key.table, set()).add(key.parent)
        self._parents_first = bool(self._waits) or options.append or options.dry_run
        if not self._waits:
            tables = [work.load.table.oid for work in works]
            self._waits = load_after_others(conn, tables, triggers=options.triggers)
        self._limits = limits
        self._tally = tally
        self._may_alter = may_alter
        self._shares = Shares(options, works)
        self._finisher: Finisher | None = None
        self._finishing: list[tuple[TableWork, Future[list[str]]]] = []

    def run(self) -> None:
        """Load all tables, and wait until they are finished.

        Raises:
            RestoreError: the load stopped.
            psycopg.Error: the server refused what finishes a table.
        """
        if self._options.dry_run or self._options.atomic:
            self._run()
            for work in self._works if self._options.atomic else ():
                work.report.warnings += finish(self._conn, work.load.table)
            return
        for work in self._works:
            self._go_back(work)
            self._put_indexes_aside(work)
        self._find_manners()
        with Finisher(self._options, self._conn) as self._finisher:
            self.warnings += self._finisher.warnings
            self._run()
        if left := [work.report.table for work in self._works if work.state.next_step != "nothing"]:
            raise AssertionError(f"not loaded: {', '.join(left)}")

    def _go_back(self, work: TableWork) -> None:
        """Start over where a killed process left a table that cannot go on from there."""
        if work.state.phase == "taken":
            self._start_over(work, "interrupted")
        elif not work.state.boundaries_hold:
            self._start_over(work, "misread")
        if work.state.phase == "ordered":
            self._build_indexes(work)

    def _find_manners(self) -> None:
        """Find the tables that may be filled in one COPY, and how."""
        loading = [work for work in self._works if work.state.phase == "loading"]
        large = [work for work in loading if work.load.file.disk_bytes >= _WORTH_BYTES]
        alone = self._options.append or self._options.triggers
        oids = [work.load.table.oid for work in large]
        fresh = set() if alone else may_be_fresh(self._conn, oids)
        for work in large:
            oid = work.load.table.oid
            work.manner = Manner(
                fresh=oid in fresh, orderless=is_orderless(self._conn, oid, self._options)
            )

    def _run(self) -> None:
        workers = self._shares.processes - 1
        self._tasks = Tasks(
            (w for w in self._order() if w.has_tasks), self._waits, self._shares.cut
        )
        with contextlib.closing(
            Crew(self._conn, self._options, self._limits, workers=workers, tell=self._heard)
        ) as crew:
            for work in self._works:
                self._go_on(work)
            crew.run(self._tasks)
            if self._finisher is not None:
                self._finisher.loads_are_done()
            self.workers_peak_bytes = crew.peak_bytes
            self.warnings += crew.warnings
            for work in [work for work in self._works if work.state.next_step == "reload"]:
                self._start_over(work, "misread")
                self._load_whole(crew, work)
            while self._finishing:
                work, future = self._finishing.pop(0)
                if self._finisher is not None:
                    self._finisher.run_deferred()
                try:
                    work.report.warnings += future.result()
                except psycopg.Error as error:
                    if not (may_be_of_row(error) and work.state.may("refused")):
                        raise
                    self._load_with_indexes(crew, work)

    def _go_on(self, work: TableWork) -> None:
        """Finish a table of which nothing is left to load."""
        step = work.state.next_step
        if step == "load" and not work.has_tasks:
            work.begin_nothing()
            self._heard(work)
        elif step in {"finish", "nothing"}:
            self._tally.done(work)
            self._tasks.done(work.load.table.oid)
            if step == "finish":
                self._finish(work, [])

    def _order(self) -> list[TableWork]:
        """Return the tables: parents first, or, where no foreign key minds, the largest first.

        Then what finishes a large table goes on beside the load of the others, and little is left
        to wait for at the end.
        """
        if self._parents_first:
            return self._works
        return sorted(self._works, key=lambda work: work.load.file.disk_bytes, reverse=True)

    def _heard(self, work: TableWork) -> None:
        """Take note that something new is known of a table, maybe that it is loaded."""
        self._tally.tell(work)
        if work.state.next_step != "finish":
            return
        late = work.begin_late()
        if late is not None:
            self._tasks.add(work, late)
            return
        parts = work.gather()
        work.report.note_change(work.load.file.change())
        self._tally.done(work)
        self._tasks.done(work.load.table.oid)
        self._finish(work, parts)

    def _finish(self, work: TableWork, parts: list[Path]) -> None:
        """Have a table finished that is loaded; ``parts`` are files that nobody needs then."""
        if self._finisher is None:
            remove(parts)
            return
        future = self._finisher.submit(
            work.load.table,
            partial(self._isolate_duplicates, work),
            suspect=bool(work.report.rejected),
            before=partial(work.note_loaded, parts),
            after=partial(work.note, event="finished"),
        )
        self._finishing.append((work, future))

    def _load_whole(self, crew: Crew, work: TableWork) -> None:
        task = work.task(whole_range_shard(work.load.file))
        work.begin(task, last=True)
        crew.load(work, task)
        while (left := self._tasks.take(wait=False)) is not None:
            crew.load(*left)

    def _isolate_duplicates(
        self, work: TableWork, conn: psycopg.Connection, build: Callable[[], None]
    ) -> Outcome:
        """Take duplicates out of a loaded table by sets; a session that finishes tables does it."""
        table = TableLoad(conn, work.load, options=self._options, limits=self._limits)
        return reload_duplicates(
            conn,
            work.kept(self._options),
            unique_aside(conn, work.load.table),
            build=build,
            reload=table.ladder(work.report, work.rejects).load_again,
            taken=partial(work.note, conn, "taken"),
            chunk_bytes=self._options.chunk_bytes,
            schema=JOURNAL,
        )

    def _load_with_indexes(self, crew: Crew, work: TableWork) -> None:
        """Load a table from the beginning, with its indexes in place.

        Some record holds what an index cannot (a text too long for it, say): an index that is there
        tells which one.
        """
        self._start_over(work, "refused")
        self._build_indexes(work)
        self._load_whole(crew, work)

    def _build_indexes(self, work: TableWork) -> None:
        build = partial(bring_indexes_back, self._conn, work.load.table)
        retry_transient(build, states=_TOO_LARGE, attempts=10)

    def _start_over(self, work: TableWork, event: Event) -> None:
        """Empty a table that holds this restore's rows alone, and forget what was loaded of it.

        Raises:
            LoadError: it holds rows of others.
        """
        phase = work.state.after(event)
        table = work.load.table
        with self._conn.transaction():
            empty_own_rows(self._conn, table, JOURNALED)
            journal.reset(self._conn, table.oid, phase)
        work.start_over(phase)

    def _put_indexes_aside(self, work: TableWork) -> None:
        keep = (
            work.load.fixed
            or self._options.append
            or self._options.keep_indexes
            or work.state.phase != "loading"
        )
        if keep or work.load.file.disk_bytes < _WORTH_BYTES or not self._may_alter:
            return
        table = work.load.table
        if work.resumed:  # of its indexes those that are in place, as they are now
            table = read_tables(self._conn, [table.oid])[table.oid]
        try:
            # A trigger that fires may tell rows by a key of a table of the backup.
            put_indexes_aside(self._conn, table, unique=not self._options.triggers)
        except psycopg.errors.InsufficientPrivilege:
            self._may_alter = False  # slower, but the same result
