"""One table's load: its shards as tasks, how far each is, and what becomes of them together."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from restore.filling import Manner
from restore.journal import mark
from restore.native import is_used
from restore.origins import Kept
from restore.reading import Counts
from restore.rejects import RejectFile
from restore.report import TableReport
from restore.shards import WHOLE
from restore.values import Converter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import psycopg

    from restore.journal import Phase
    from restore.options import Options
    from restore.plan import Load
    from restore.shards import Gap, Shard


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
        phase: how far the table is, as the journal says it.
        gaps: the stretches of the file that are to be loaded.
        resumed: part of it was loaded before this process began.
    """

    load: Load
    report: TableReport
    rejects: RejectFile
    folder: Path
    manner: Manner = field(default_factory=Manner)
    phase: Phase = "loading"
    gaps: list[Gap] = field(default_factory=lambda: [WHOLE])
    resumed: bool = False
    started: float | None = None
    _counts: dict[int, Counts] = field(default_factory=dict)
    _tasks: dict[int, Task] = field(default_factory=dict)
    _holds: dict[int, bool] = field(default_factory=dict)
    _left: list[Task] = field(default_factory=list)
    _all_begun: bool = False

    def task(self, shard: Shard) -> Task:
        """Return the task of a shard."""
        names = (self.report.schema, self.report.table)
        fresh = self.manner.fresh and shard.is_whole and not self.resumed
        manner = replace(self.manner, fresh=fresh)
        mine = 0 if self.resumed else None
        part = self.part(shard.start)
        return Task(self.load, shard, *names, self.folder, part, manner, rejects_bytes=mine)

    def kept(self, options: Options) -> Kept:
        """Return what finding the records of its rows again takes."""
        converter, native = Converter(options.timezone), is_used(options.without)
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
        self._tasks[shard.start] = task
        self._counts[shard.start] = Counts(report)
        if shard.left is None:
            self._holds[shard.start] = holds
        else:
            self._left.append(task)

    @property
    def has_tasks(self) -> bool:
        """Tell whether there is something to load."""
        return self.phase in {"loading", "ordered"} and bool(self.gaps or self._left)

    def left(self) -> Iterator[Task]:
        """Yield the tasks of shards of which something is left to load."""
        yield from self._left

    def begin(self, task: Task, *, last: bool) -> None:
        """Note that a task is taken; ``last``: it is the last of the table's."""
        if self.started is None:
            self.started = time.monotonic()
        self._tasks[task.shard.start] = task
        self._all_begun = last

    def begun(self) -> None:
        """Note that all tasks are taken: there was nothing to load."""
        self.started = time.monotonic()
        self._all_begun = True

    def take(self, shard: Shard, counts: Counts, *, holds: bool | None = None) -> None:
        """Note how far a shard is; ``holds`` says that it is loaded, and whether its seam holds."""
        self._counts[shard.start] = counts
        if holds is not None:
            self._holds[shard.start] = holds

    @property
    def is_done(self) -> bool:
        """Tell whether all shards are loaded."""
        return self._all_begun and self._holds.keys() == self._tasks.keys()

    @property
    def seams_hold(self) -> bool:
        """Tell whether each shard but the last ended where the next began."""
        return all(
            holds or self._tasks[start].shard.end is None for start, holds in self._holds.items()
        )

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
        for start in sorted(self._tasks):
            before, counts = self.report.read, self._counts.get(start)
            parts.append((self.folder / self.part(start), before if known else None))
            if counts is not None:
                self.report.add(counts.report)
            known = known and start in self._holds
        self._end()
        for part, read_before in parts:
            self.rejects.take_over(part, read_before)
        return [part for part, _ in parts]

    def note_loaded(self, parts: list[Path], conn: psycopg.Connection) -> None:
        """Note that the table is loaded, and remove the files that its rejects were in before."""
        self.note(conn, "loaded")
        remove(parts)

    def note(self, conn: psycopg.Connection, phase: Phase) -> None:
        """Note how far the table is, with its counts and rejects as they are now."""
        self.phase = phase
        if self.load.journaled:
            self.rejects.sync()
            mark(conn, self.load.table.oid, phase, self.report, self.rejects.size)

    def drop(self) -> None:
        """Forget what was loaded: a seam did not hold, or the table is loaded once more."""
        remove(task.folder / task.part for task in self._tasks.values())
        self.rejects.forget()
        self.report.forget()
        self.manner, self.gaps, self._left = Manner(), [WHOLE], []
        self._end()

    def _end(self) -> None:
        self._counts.clear()
        self._tasks.clear()
        self._holds.clear()
        self._all_begun = False
        if self.started is not None:
            self.report.wall_s += time.monotonic() - self.started
            self.started = None


def remove(parts: Iterable[Path]) -> None:
    """Remove files, some of which may not be there."""
    for part in parts:
        part.unlink(missing_ok=True)
