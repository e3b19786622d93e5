"""One table's load: its shards as tasks, how far each is, and what becomes of them together."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from restore.constraints.lookup import Kept
from restore.decode import packer
from restore.decode.convert import Converter
from restore.journal.store import set_phase
from restore.load.bulk_copy import Manner
from restore.load.shard_reader import Counts
from restore.rejects.writer import RejectFile
from restore.report.model import TableReport
from restore.schedule.table_state import TableState
from restore.source.shards import LATE, WHOLE, Shard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import psycopg

    from restore.journal.store import Phase
    from restore.options import Options
    from restore.plan.order import Load
    from restore.schedule.table_state import Event
    from restore.source.shards import UnloadedRange


@dataclass(frozen=True, slots=True)
class Task:
    """One shard of one table, and where its rejects go: to a file of its own.

    ``schema`` and ``table`` are the table's names as the user knows it. ``manner``: how the
    shard may be filled in one COPY. ``counts``: those of what is loaded of it already, encoded.
    ``rejects_bytes``: how much of its reject file is; None: there can be none of ours.
    """

    load: Load
    shard: Shard
    schema: str
    table: str
    folder: Path
    part: str
    manner: Manner
    counts: bytes | None = None
    rejects_bytes: int | None = None

    def report(self) -> TableReport:
        """Return the counts of what is loaded of it already."""
        if self.counts is not None:
            return msgspec.json.decode(self.counts, type=TableReport)
        return TableReport(schema=self.schema, table=self.table, file=self.load.file.name)

    def rejects(self) -> RejectFile:
        """Return the file for the shard's rejects; nothing is made before there are any.

        Raises:
            LoadError: what was in it is gone.
        """
        return RejectFile(
            self.folder, self.schema, self.table, self.part, keeping=self.rejects_bytes
        )


@dataclass(slots=True)
class TableWork:
    """One table's load: its counts and rejects, and how far its shards are.

    Args:
        load: the file and the table.
        report: the table's counts: those of whole shards, as soon as all are there.
        rejects: the table's reject file.
        folder: where that is.
        manner: how it may be filled in one COPY; a shard that is not all of it is never fresh.
        state: how far the table is.
        gaps: the stretches of the file that are to be loaded.
        resumed: part of it was loaded before this process began.
    """

    load: Load
    report: TableReport
    rejects: RejectFile
    folder: Path
    manner: Manner = field(default_factory=Manner)
    state: TableState = field(default_factory=TableState)
    gaps: list[UnloadedRange] = field(default_factory=lambda: [WHOLE])
    resumed: bool = False
    started: float | None = None
    _counts: dict[int, Counts] = field(default_factory=dict)
    _tasks: dict[int, Task] = field(default_factory=dict)
    _left: list[Task] = field(default_factory=list)
    _late: Task | None = None

    def task(self, shard: Shard) -> Task:
        """Return the task of a shard."""
        names = (self.report.schema, self.report.table)
        fresh = self.manner.fresh and shard.is_whole and not self.resumed
        manner = replace(self.manner, fresh=fresh)
        if shard.late:
            manner = Manner(ordered=manner.orderless and not shard.decided)
        mine = 0 if self.resumed else None
        part = self.part(shard.key)
        return Task(self.load, shard, *names, self.folder, part, manner, rejects_bytes=mine)

    def kept(self, options: Options) -> Kept:
        """Return what finding the records of its rows again takes."""
        converter, native = Converter(options.timezone), packer.IS_BUILT
        return Kept(self.load, self.report, self.rejects, converter, native=native)

    def part(self, start: int | str) -> str:
        """Return the name of the reject file of the shard that begins there."""
        return f"{self.rejects.path.name}.shard{start}"

    def resume(self, shard: Shard, report: TableReport, rejects_bytes: int, *, holds: bool) -> None:
        """Take note of a shard that was loaded, but for what it says is left, before.

        Raises:
            LoadError: rejects that were kept of it are gone.
        """
        counts = msgspec.json.encode(report)
        task = replace(self.task(shard), counts=counts, rejects_bytes=rejects_bytes)
        task.rejects().close()  # what was written there behind these is done again
        self._tasks[shard.key] = task
        self._counts[shard.key] = Counts(report)
        self.state.take(shard.key, last=False)
        if shard.left is None:
            self.state.end(shard.key, holds=holds or shard.end is None)
        else:
            self._left.append(task)

    @property
    def has_tasks(self) -> bool:
        """Tell whether there is something to load."""
        return self.state.next_step == "load" and bool(self.gaps or self._left)

    def left(self) -> Iterator[Task]:
        """Yield the tasks of shards of which something is left to load."""
        yield from self._left

    def begin_late(self) -> Task | None:
        """Take the task of the records that were left for later; None: there are none."""
        if LATE in self._tasks or not any(counts.report.late for counts in self._counts.values()):
            return None
        task = self._late or self.task(Shard(disk_bytes=self.load.file.disk_bytes, late=True))
        self.begin(task, last=True)
        return task

    def resume_late(self, report: TableReport, rejects_bytes: int, decided: int) -> None:
        """Take note that of the records that were left for later some were loaded before.

        Raises:
            LoadError: rejects that were kept of it are gone.
        """
        shard = Shard(disk_bytes=self.load.file.disk_bytes, late=True, decided=decided)
        counts = msgspec.json.encode(report)
        self._late = replace(self.task(shard), counts=counts, rejects_bytes=rejects_bytes)
        self._late.rejects().close()  # what was written there behind these is done again

    def begin(self, task: Task, *, last: bool) -> None:
        """Note that a task is taken; ``last``: it is the last of the table's."""
        if self.started is None:
            self.started = time.monotonic()
        self._tasks[task.shard.key] = task
        self.state.take(task.shard.key, last=last)

    def begin_nothing(self) -> None:
        """Note that nothing is left to load."""
        self.started = time.monotonic()
        self.state.take_none()

    def take(self, shard: Shard, counts: Counts, *, holds: bool | None = None) -> None:
        """Note how far a shard is.

        Args:
            shard: which.
            counts: its counts so far.
            holds: whether it ended where the next one begins; None: it is not loaded yet.
        """
        self._counts[shard.key] = counts
        if holds is not None:
            self.state.end(shard.key, holds=holds or shard.end is None)

    def counts(self) -> list[Counts]:
        """Return how far the shards are that are not part of ``report`` yet."""
        return list(self._counts.values())

    def reports(self) -> list[TableReport]:
        """Return the table's counts, and those of shards that are no part of them yet."""
        return [self.report, *(counts.report for counts in self._counts.values())]

    def gather(self) -> list[Path]:
        """Add the shards' counts and rejects to the table's, in the order of the file.

        Where a shard is missing, because the load stopped, nobody knows the numbers of the records
        behind it.

        Returns:
            The shards' reject files, which nobody needs any more once the journal says so.

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
            known = known and self.state.has_ended(start)
        self._end()
        for part, read_before in parts:
            self.rejects.append_from(part, read_before)
        return [part for part, _ in parts]

    def note_loaded(self, parts: list[Path], conn: psycopg.Connection) -> None:
        """Note that the table is loaded, and remove the files that its rejects were in before."""
        if self.state.phase in {"loading", "ordered"}:
            self.note(conn, "loaded")
        remove(parts)

    def note(self, conn: psycopg.Connection, event: Event) -> None:
        """Note what happened to the table, with its counts and rejects as they are now."""
        self.state.phase = self.state.after(event)
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
            self.state.phase = self.state.after("retried")
            set_phase(conn, self.load.table.oid, self.state.phase, self.report, left.size)

    def use_retried(self, size: int) -> None:
        """Put the file of the rejects that are left in the place of the table's reject file."""
        self.rejects.replace_by(self.retried_file().path, size)

    def save(self, conn: psycopg.Connection) -> None:
        """Write the table's phase, counts and rejects to the journal, if there is one."""
        if self.load.journaled:
            self.rejects.sync()
            set_phase(conn, self.load.table.oid, self.state.phase, self.report, self.rejects.size)

    def start_over(self, phase: Phase) -> None:
        """Forget what was loaded: the table was emptied, and is loaded from the beginning."""
        remove(task.folder / task.part for task in self._tasks.values())
        self.rejects.forget()
        self.report.reset()
        self.manner, self.gaps, self._left, self._late = Manner(), [WHOLE], [], None
        self.state.phase = phase
        self.state.forget_shards()
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
