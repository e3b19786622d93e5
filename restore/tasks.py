"""What there is to load, in pieces that processes take one after the other."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from restore.filling import Manner
from restore.rejects import RejectFile
from restore.report import TableReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from restore.load import Counts
    from restore.plan import Load
    from restore.shards import Shard


@dataclass(frozen=True, slots=True)
class Task:
    """One shard of one table, and where its rejects go: to a file of its own.

    ``schema`` and ``table`` are the table's names as the user knows it. ``manner``: how the
    shard may be filled in one COPY.
    """

    load: Load
    shard: Shard
    schema: str
    table: str
    folder: Path
    part: str
    manner: Manner

    def report(self) -> TableReport:
        """Return counts that begin at nothing."""
        return TableReport(schema=self.schema, table=self.table, file=self.load.file.name)

    def rejects(self) -> RejectFile:
        """Return the file for the shard's rejects; nothing is made before there are any."""
        return RejectFile(self.folder, self.schema, self.table, self.part)


@dataclass(slots=True)
class TableWork:
    """One table's load: its counts and rejects, and how far its shards are.

    Args:
        load: the file and the table.
        report: the table's counts: those of whole shards, as soon as all are there.
        rejects: the table's reject file.
        folder: where that is.
        manner: how it may be filled in one COPY; a shard that is not all of it is never fresh.
    """

    load: Load
    report: TableReport
    rejects: RejectFile
    folder: Path
    manner: Manner = field(default_factory=Manner)
    started: float | None = None
    _counts: dict[int, Counts] = field(default_factory=dict)
    _tasks: dict[int, Task] = field(default_factory=dict)
    _holds: dict[int, bool] = field(default_factory=dict)
    _last: int | None = None

    def task(self, shard: Shard) -> Task:
        """Return the task of a shard."""
        part = f"{self.rejects.path.name}.shard{shard.number}"
        names = (self.report.schema, self.report.table)
        manner = replace(self.manner, fresh=self.manner.fresh and shard.is_whole)
        return Task(self.load, shard, *names, self.folder, part, manner)

    def begin(self, task: Task) -> None:
        """Note that a task is taken."""
        if self.started is None:
            self.started = time.monotonic()
        self._tasks[task.shard.number] = task
        if task.shard.end is None:
            self._last = task.shard.number

    def take(self, shard: Shard, counts: Counts, *, holds: bool | None = None) -> None:
        """Note how far a shard is; ``holds`` says that it is loaded, and whether its seam holds."""
        self._counts[shard.number] = counts
        if holds is not None:
            self._holds[shard.number] = holds

    @property
    def is_done(self) -> bool:
        """Tell whether all shards are loaded."""
        return self._last is not None and len(self._holds) == self._last + 1

    @property
    def seams_hold(self) -> bool:
        """Tell whether each shard but the last ended where the next began."""
        return all(holds for number, holds in self._holds.items() if number != self._last)

    def counts(self) -> list[Counts]:
        """Return how far the shards are that are not part of ``report`` yet."""
        return list(self._counts.values())

    def reports(self) -> list[TableReport]:
        """Return the table's counts, and those of shards that are no part of them yet."""
        shards = (counts.report for counts in self._counts.values())
        return [self.report, *(report for report in shards if report is not self.report)]

    def gather(self) -> None:
        """Add the shards' counts and rejects to the table's, in the order of the file.

        Where a shard is missing, because the load stopped, nobody knows the numbers of the records
        behind it.

        Raises:
            LoadError: the reject file cannot be written.
        """
        known = True
        for number in sorted(self._tasks):
            task, counts = self._tasks[number], self._counts.get(number)
            part = task.folder / task.part
            self.rejects.take_over(part, self.report.read if known else None)
            if counts is not None and counts.report is not self.report:
                self.report.add(counts.report)
            known = known and number in self._holds
        self._end()

    def drop(self) -> None:
        """Forget what was loaded: a seam did not hold, or the table is loaded once more."""
        for task in self._tasks.values():
            (task.folder / task.part).unlink(missing_ok=True)
        self.rejects.forget()
        self.report.forget()
        self.manner = Manner()
        self._end()

    def _end(self) -> None:
        self._counts.clear()
        self._tasks.clear()
        self._holds.clear()
        self._last = None
        if self.started is not None:
            self.report.wall_s += time.monotonic() - self.started
            self.started = None


class Tasks:
    """Hands out the tasks of tables, each table's in the order of its file. Any thread may ask.

    Args:
        works: the tables, in the order in which they are begun.
        waits: for each table, by oid, those that have to be loaded before it.
        cut: gives a table's shards.
    """

    def __init__(
        self,
        works: Iterable[TableWork],
        waits: dict[int, set[int]],
        cut: Callable[[TableWork], Iterator[Shard]],
    ) -> None:
        self._waiting = list(works)
        self._waits = {oid: set(others) for oid, others in waits.items()}
        self._cut = cut
        self._open: tuple[TableWork, Iterator[Shard]] | None = None
        self._changed = threading.Condition()
        self._stopped = False

    def take(self, *, wait: bool) -> tuple[TableWork, Task] | None:
        """Return the next task.

        Args:
            wait: until a table that others have to precede may be begun.

        Returns:
            None where there is none any more, or, without ``wait``, none now.

        Raises:
            BackupError: a file cannot be read.
        """
        with self._changed:
            while not self._stopped:
                found = self._next()
                if found is not None:
                    return found
                if not self._waiting or not wait:
                    return None
                self._changed.wait()
        return None

    def done(self, oid: int) -> None:
        """Note that a table is loaded: others may have waited for it."""
        with self._changed:
            for others in self._waits.values():
                others.discard(oid)
            self._changed.notify_all()

    def stop(self) -> None:
        """Hand nothing out any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _next(self) -> tuple[TableWork, Task] | None:
        while True:
            if self._open is None:
                ready = [w for w in self._waiting if not self._waits.get(w.load.table.oid)]
                if not ready:
                    return None
                self._waiting.remove(ready[0])
                self._open = (ready[0], self._cut(ready[0]))
            work, shards = self._open
            shard = next(shards, None)
            if shard is None:
                self._open = None
                continue
            task = work.task(shard)
            work.begin(task)
            return work, task
