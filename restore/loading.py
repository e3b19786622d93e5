"""Loads all tables of a plan: a crew takes their shards, and each table is finished when it is in.

A table is cut into shards only where the order in which rows arrive decides nothing: where nothing
that stands in the table meanwhile tells two rows apart. Elsewhere one process loads it, in the
order of its file. So what comes of a backup is the same for any number of processes.
"""

from __future__ import annotations

import contextlib
import os
from functools import partial
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from restore.aside import put_indexes_aside, read_triggers, unique_aside
from restore.back import bring_indexes_back
from restore.crew import Crew
from restore.duplicates import reload_duplicates
from restore.filling import Manner, may_be_fresh
from restore.finish import Finisher
from restore.load import TableLoad
from restore.notes import JOURNAL
from restore.origins import Kept
from restore.relations import with_partitions
from restore.shards import Shard, cut
from restore.tasks import Tasks
from restore.transient import is_data_error, retrying
from restore.values import Converter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from restore.catalog import ForeignKey
    from restore.duplicates import Outcome
    from restore.limits import Limits
    from restore.options import Options
    from restore.plan import Load
    from restore.tally import Tally
    from restore.tasks import TableWork

# Below this size of a file, dropping and building indexes takes longer than keeping them: restoring
# one table with four of them took 1.5 times as long at 0.1 MiB, 1.2 times at 2 MiB, as long at 4.
_WORTH_BYTES = 1 << 22
# What building an index says of a row that is too large for it, also of one that is gone.
_TOO_LARGE = frozenset({"54000"})
# A worker takes a quarter of a second of processor time to start: as long as so much takes to load.
_WORTH_A_WORKER_BYTES = 16 << 20
# A shard is a share of the backup, so that no process waits long for the others at the end, but
# not so small that its beginning and end tell, nor so large that a lost one does.
_SHARE_OF_A_WORKER = 16
_SMALLEST_SHARD_BYTES = 4 << 20
# A table is cut that is more than one in so many of a process's share of the backup.
_LARGE_SHARE = 2
_LARGEST_SHARD_BYTES = 64 << 20
# Shards of what only one process can read are held in memory, twice for a moment.
_HELD_SHARD_BYTES = 4 << 20

_TELLS_ROWS_APART = """
    SELECT EXISTS (
        SELECT FROM pg_index WHERE indrelid = ANY(%s) AND (indisunique OR indisexclusion))
"""


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
        in_place: Sequence[ForeignKey],
        limits: Limits,
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
        self._limits = limits
        self._tally = tally
        self._may_alter = may_alter
        total = sum(work.load.file.disk_bytes for work in works)
        few = options.dry_run or os.name != "posix"
        wanted = 1 if few else min(options.processes, 1 + total // _WORTH_A_WORKER_BYTES)
        self._processes = wanted
        self._bytes = total
        self._shard_bytes = total // (wanted * _SHARE_OF_A_WORKER)
        self._tasks = Tasks(self._order(), self._waits, self._cut)
        self._finisher: Finisher | None = None
        self._finishing: list[tuple[TableWork, Future[list[str]]]] = []
        self._uncut: list[TableWork] = []  # of which a seam did not hold
        self._again: set[int] = set()

    def run(self) -> None:
        """Load all tables, and wait until they are finished.

        Raises:
            RestoreError: the load stopped.
            psycopg.Error: the server refused what finishes a table.
        """
        if self._options.dry_run:
            self._run()
            return
        for work in self._works:
            self._put_indexes_aside(work.load)
        self._find_manners()
        with Finisher(self._options) as self._finisher:
            self._run()

    def _find_manners(self) -> None:
        """Find the tables that may be filled in one COPY, and how."""
        large = [w for w in self._works if w.load.file.disk_bytes >= _WORTH_BYTES]
        alone = self._options.append or self._options.triggers
        oids = [work.load.table.oid for work in large]
        fresh = set() if alone else may_be_fresh(self._conn, oids)
        for work in large:
            oid = work.load.table.oid
            work.manner = Manner(fresh=oid in fresh, orderless=self._is_orderless(work.load))

    def _run(self) -> None:
        workers = self._processes - 1
        with contextlib.closing(
            Crew(self._conn, self._options, self._limits, workers=workers, tell=self._heard)
        ) as crew:
            crew.run(self._tasks)
            if self._finisher is not None:
                self._finisher.loads_are_done()
            self.workers_peak_bytes = crew.peak_bytes
            self.warnings += crew.warnings
            while self._uncut:
                work = self._uncut.pop()
                self._empty(work.load)
                self._load_whole(crew, work)
            while self._finishing:
                work, future = self._finishing.pop(0)
                try:
                    work.report.warnings += future.result()
                except psycopg.Error as error:
                    if not is_data_error(error) or work.load.table.oid in self._again:
                        raise
                    self._load_again(crew, work)

    def _order(self) -> list[TableWork]:
        """Return the tables: parents first, or, where no foreign key minds, the largest first.

        Then what finishes a large table goes on beside the load of the others, and little is left
        to wait for at the end.
        """
        if self._options.append or self._waits or self._options.dry_run:
            return self._works
        return sorted(self._works, key=lambda work: work.load.file.disk_bytes, reverse=True)

    def _cut(self, work: TableWork) -> Iterator[Shard]:
        """Cut a table's file into shards, if it may be and there is someone to take them."""
        load = work.load
        whole = Shard(disk_bytes=load.file.disk_bytes)
        if self._processes == 1 or not (work.manner.orderless and self._gains(load)):
            return iter((whole,))
        size = min(max(self._shard_bytes, _SMALLEST_SHARD_BYTES), _LARGEST_SHARD_BYTES)
        if load.file.compression:
            size = _HELD_SHARD_BYTES
        # A value that a sequence gives depends on who asks first.
        drawn = frozenset(sequence.column for sequence in load.table.sequences)
        return cut(load.file, size, needs=drawn)

    def _gains(self, load: Load) -> bool:
        """Tell whether a table had better be cut.

        Whole, it comes in one COPY, and maybe without log. But one that is much of the backup keeps
        one process busy for long, and what finishes it waits.
        """
        return load.file.disk_bytes * self._processes * _LARGE_SHARE > self._bytes

    def _is_orderless(self, load: Load) -> bool:
        """Tell whether the order in which a table's rows arrive decides nothing."""
        # To stop at the first reject, it has to be known which one is the first.
        if self._options.append or self._options.on_error == "stop":
            return False
        oids = with_partitions(self._conn, [load.table.oid])
        if self._conn.execute(_TELLS_ROWS_APART, [oids]).fetchone() == (True,):
            return False
        return not (self._options.triggers and read_triggers(self._conn, oids))

    def _heard(self, work: TableWork) -> None:
        """Take note that something new is known of a table, maybe that it is loaded."""
        self._tally.tell()
        if not work.is_done:
            return
        if not work.seams_hold:
            work.drop()
            self._uncut.append(work)
            return
        work.gather()
        self._tally.done(work)
        self._tasks.done(work.load.table.oid)
        if self._finisher is not None:
            isolate = partial(self._isolate_duplicates, work)
            suspect = bool(work.report.rejected)
            future = self._finisher.submit(work.load.table, isolate, suspect=suspect)
            self._finishing.append((work, future))

    def _load_whole(self, crew: Crew, work: TableWork) -> None:
        task = work.task(Shard(disk_bytes=work.load.file.disk_bytes))
        work.begin(task)
        crew.load(work, task)

    def _isolate_duplicates(
        self, work: TableWork, conn: psycopg.Connection, build: Callable[[], None]
    ) -> Outcome:
        """Take duplicates out of a loaded table by sets; a session that finishes tables does it."""
        table = TableLoad(conn, work.load, options=self._options, limits=self._limits)
        return reload_duplicates(
            conn,
            Kept(work.load, work.report, work.rejects, Converter(self._options.timezone)),
            unique_aside(conn, work.load.table),
            build=build,
            reload=table.ladder(work.report, work.rejects).load_again,
            chunk_bytes=self._options.chunk_bytes,
            schema=JOURNAL,
        )

    def _load_again(self, crew: Crew, work: TableWork) -> None:
        """Load a table once more, with its indexes in place.

        Some record holds what an index cannot (a text too long for it, say): an index that is there
        tells which one.
        """
        self._again.add(work.load.table.oid)
        self._empty(work.load)
        build = partial(bring_indexes_back, self._conn, work.load.table)
        retrying(build, states=_TOO_LARGE, attempts=10)
        work.drop()
        self._load_whole(crew, work)

    def _empty(self, load: Load) -> None:
        # Not a DELETE, if it can be: an index is also built over rows that went a moment ago.
        try:
            self._conn.execute(sql.SQL("TRUNCATE {}").format(load.table.only))
        except psycopg.errors.FeatureNotSupported:  # tables outside the backup refer to it
            self._conn.execute(sql.SQL("DELETE FROM {}").format(load.table.only))

    def _put_indexes_aside(self, load: Load) -> None:
        keep = self._options.append or self._options.keep_indexes
        if keep or load.file.disk_bytes < _WORTH_BYTES or not self._may_alter:
            return
        try:
            # A trigger that fires may tell rows by a key of a table of the backup.
            put_indexes_aside(self._conn, load.table, unique=not self._options.triggers)
        except psycopg.errors.InsufficientPrivilege:
            self._may_alter = False  # slower, but the same result
