"""State of one table's load: its shards as tasks, how far each is, and their merged result."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from restore.constraints.lookup import LoadedFile
from restore.decode import packer
from restore.decode.convert import Converter
from restore.journal.journaled_rejects import fetch_table_rejects
from restore.journal.store import set_phase
from restore.load.bulk_copy import BulkMode
from restore.load.shard_context import ShardCounts
from restore.rejects.writer import RejectFile
from restore.schedule.executor import Task
from restore.schedule.phases import PhaseTracker
from restore.source.shards import LATE, WHOLE, Shard

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import psycopg

    from restore.journal.store import Phase
    from restore.options import Options
    from restore.plan.order import Load
    from restore.report.model import TableReport
    from restore.schedule.executor import TaskUpdate
    from restore.schedule.phases import Event
    from restore.source.shards import UnloadedRange


class TableState(Struct):
    """The state of one table's load: its counts and rejects, and how far its shards are.

    Args:
        load: the file and the table.
        report: the table's counts: those of whole shards, as soon as all are there.
        rejects: the table's reject file.
        folder: where that is.
        mode: how it may be loaded in one COPY; a shard that is not all of it is never fresh.
        phases: the phase of the load, and the steps that lead from it.
        gaps: the stretches of the file that are to be loaded.
        resumed: part of it was loaded by an earlier process.
        started: when its first task was, by the monotonic clock; None: none is under way.
    """

    load: Load
    report: TableReport
    rejects: RejectFile
    folder: Path
    mode: BulkMode = field(default_factory=BulkMode)
    phases: PhaseTracker = field(default_factory=PhaseTracker)
    gaps: list[UnloadedRange] = field(default_factory=lambda: [WHOLE])
    resumed: bool = False
    started: float | None = None
    _counts: dict[int, ShardCounts] = field(default_factory=dict)
    _tasks: dict[int, Task] = field(default_factory=dict)
    _late: Task | None = None

    def task(self, shard: Shard) -> Task:
        """Return the task of a shard."""
        names = (self.report.schema, self.report.table)
        freeze = self.mode.freeze and shard.is_whole and not self.resumed
        mode = replace(self.mode, freeze=freeze)
        if shard.late:
            mode = BulkMode(in_order=mode.any_order and not shard.decided)
        ours = 0 if self.resumed else None
        part = self.part(shard.key)
        return Task(self.load, shard, *names, self.folder, part, mode, rejects_bytes=ours)

    def kept(self, options: Options) -> LoadedFile:
        """Return what it takes to find the records of the table's rows again."""
        policies, native = self.load.policies, packer.IS_BUILT
        converter = Converter(options.timezone, policies)
        # What is found in C does not know empty strings that are NULL.
        native = native and policies.empty_string == "reject"
        return LoadedFile(self.load, self.report, self.rejects, converter, native=native)

    def part(self, start: int | str) -> str:
        """Return the name of the reject file of the shard that begins there."""
        return f"{self.rejects.path.name}.shard{start}"

    def fetch_rejects(self, conn: psycopg.Connection) -> None:
        """Move rejects that other machines left in the journal to the reject files of their shards.

        Raises:
            LoadError: a reject file cannot be written.
        """
        names = {"schema": self.report.schema, "table": self.report.table}
        fetch_table_rejects(conn, self.load.table.oid, self.folder, self.part(""), **names)

    def resume(self, shard: Shard, report: TableReport, rejects_bytes: int, *, holds: bool) -> None:
        """Restore the state of a shard that an earlier process loaded.

        Raises:
            LoadError: rejects of the shard are gone.
        """
        counts = msgspec.json.encode(report)
        task = replace(self.task(shard), counts=counts, rejects_bytes=rejects_bytes)
        task.rejects().close()  # cuts off what the journal does not know of
        self._tasks[shard.key] = task
        self._counts[shard.key] = ShardCounts(report)
        self.phases.take(shard.key, last=False)
        self.phases.end(shard.key, holds=holds or shard.end is None)

    @property
    def has_tasks(self) -> bool:
        """Tell whether anything is left to load."""
        return self.phases.next_step == "load" and bool(self.gaps)

    def begin_late(self) -> Task | None:
        """Begin the task of the records that were left for later; None: there are none."""
        if LATE in self._tasks or not any(counts.report.late for counts in self._counts.values()):
            return None
        task = self._late or self.task(Shard(disk_bytes=self.load.file.disk_bytes, late=True))
        self.begin(task, last=True)
        return task

    def resume_late(self, report: TableReport, rejects_bytes: int, decided: int) -> None:
        """Restore the state of the records left for later, some of which were loaded.

        Raises:
            LoadError: rejects of these records are gone.
        """
        shard = Shard(disk_bytes=self.load.file.disk_bytes, late=True, decided=decided)
        counts = msgspec.json.encode(report)
        self._late = replace(self.task(shard), counts=counts, rejects_bytes=rejects_bytes)
        self._late.rejects().close()  # as above

    def begin(self, task: Task, *, last: bool) -> None:
        """Note that a task is handed out; ``last``: it is the table's last."""
        if self.started is None:
            self.started = time.monotonic()
        # The bytes of a compressed file's shard are kept no longer than they are loaded.
        self._tasks[task.shard.key] = replace(task, shard=replace(task.shard, data=None))
        self.phases.take(task.shard.key, last=last)

    def mark_empty(self) -> None:
        """Note that nothing is left to load."""
        self.started = time.monotonic()
        self.phases.take_none()

    def update(self, update: TaskUpdate) -> None:
        """Note how far a task is."""
        shard, holds = update.task.shard, update.boundary_holds
        self._counts[shard.key] = update.counts
        if holds is not None:
            self.phases.end(shard.key, holds=holds or shard.end is None)

    def counts(self) -> list[ShardCounts]:
        """Return how far the shards are that are not part of ``report`` yet."""
        return list(self._counts.values())

    def reports(self) -> list[TableReport]:
        """Return the table's counts, and those of shards that are no part of them yet."""
        return [self.report, *(counts.report for counts in self._counts.values())]

    def merge_shards(self) -> list[Path]:
        """Add the shards' counts and rejects to the table's, in the order of the file.

        If a shard is missing, because the load stopped, the ordinals of the records behind it are
        not known.

        Returns:
            The shards' reject files, which can go once the journal says that the table is loaded.

        Raises:
            LoadError: the reject file cannot be written.
        """
        parts: list[tuple[Path, int | None]] = []
        known = True
        for start in sorted(self._tasks, key=lambda start: (start == LATE, start)):
            # What is loaded later is read from the start of the file.
            before = 0 if start == LATE else self.report.passed
            counts = self._counts.get(start)
            numbered = known or start == LATE
            parts.append((self.folder / self.part(start), before if numbered else None))
            if counts is not None:
                self.report.add(counts.report, before)
            known = known and self.phases.has_ended(start)
        self._end()
        for part, read_before in parts:
            self.rejects.append_from(part, read_before)
        return [part for part, _ in parts]

    def note_loaded(self, parts: list[Path], conn: psycopg.Connection) -> None:
        """Note that the table is loaded, and remove the files of its shards' rejects."""
        if self.phases.phase in {"loading", "ordered"}:
            self.note(conn, "loaded")
        remove(parts)

    def note(self, conn: psycopg.Connection, event: Event) -> None:
        """Note what happened to the table, with its counts and rejects as they are now."""
        self.phases.phase = self.phases.after(event)
        self.save(conn)

    def retried_file(self, number: int | str = "") -> RejectFile:
        """Return a file for the rejects that are left after another try."""
        name = self.part(f"retried{number}")
        return RejectFile(self.folder, self.report.schema, self.report.table, name)

    def note_retried(self, conn: psycopg.Connection, left: RejectFile) -> None:
        """Note, in the transaction that loads the others, which rejects are left."""
        left.sync()
        left.close()
        if left.has_rejects:
            left.path.replace(self.retried_file().path)
        if self.load.journaled:
            self.phases.phase = self.phases.after("retried")
            set_phase(conn, self.load.table.oid, self.phases.phase, self.report, left.size)

    def use_retried(self, size: int) -> None:
        """Put the file of the rejects that are left in the place of the table's reject file."""
        self.rejects.replace_by(self.retried_file().path, size)

    def save(self, conn: psycopg.Connection) -> None:
        """Write the table's phase, counts and rejects to the journal, if there is one."""
        if self.load.journaled:
            self.rejects.sync()
            set_phase(conn, self.load.table.oid, self.phases.phase, self.report, self.rejects.size)

    def start_over(self, phase: Phase) -> None:
        """Forget what was loaded: the table was emptied, and is loaded from the beginning."""
        remove(task.folder / task.part for task in self._tasks.values())
        self.rejects.reset()
        self.report.reset()
        self.mode, self.gaps, self._late = BulkMode(), [WHOLE], None
        self.phases.phase = phase
        self.phases.forget_shards()
        self._end()

    def _end(self) -> None:
        self._counts.clear()
        self._tasks.clear()
        if self.started is not None:
            self.report.wall_s += time.monotonic() - self.started
            self.started = None


def remove(parts: Iterable[Path]) -> None:
    """Remove files, some of which may not be there."""
    for part in parts:
        part.unlink(missing_ok=True)
