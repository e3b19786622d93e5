"""What there is to load, in pieces that processes take one after the other."""

from __future__ import annotations

import heapq
import threading
from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from restore.schedule.table_work import TableWork, Task
    from restore.source.shards import Shard


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
        self._waiting = dict(enumerate(works))
        self._places = {work.load.table.oid: place for place, work in self._waiting.items()}
        self._waits = {oid: set(others) for oid, others in waits.items()}
        self._blocks: dict[int, list[int]] = defaultdict(list)
        for oid, others in waits.items():
            for other in others:
                self._blocks[other].append(oid)
        # The places of the tables that may be begun, the first of them at the top of the heap.
        self._ready = [p for oid, p in self._places.items() if not self._waits.get(oid)]
        self._cut = cut
        self._open: tuple[TableWork, Iterator[Task]] | None = None
        self._ahead: Task | None = None
        self._added: list[tuple[TableWork, Task]] = []
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

    def add(self, work: TableWork, task: Task) -> None:
        """Hand out one more task, of a table whose others are loaded; it is begun already."""
        with self._changed:
            self._added.append((work, task))
            self._changed.notify_all()

    def done(self, oid: int) -> None:
        """Note that a table is loaded: others may have waited for it."""
        with self._changed:
            for other in self._blocks.pop(oid, ()):
                self._waits[other].discard(oid)
                if not self._waits[other] and other in self._places:
                    heapq.heappush(self._ready, self._places[other])
            self._changed.notify_all()

    def stop(self) -> None:
        """Hand nothing out any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _next(self) -> tuple[TableWork, Task] | None:
        if self._added:
            return self._added.pop(0)
        while True:
            if self._open is None:
                if not self._ready:
                    return None
                ready = self._waiting.pop(heapq.heappop(self._ready))
                tasks: Iterator[Task] = chain(ready.left(), map(ready.task, self._cut(ready)))
                self._open = (ready, tasks)
                self._ahead = next(tasks, None)
            work, tasks = self._open
            task = self._ahead
            # One is cut ahead: who loads the last one has to know that it is.
            self._ahead = None if task is None else next(tasks, None)
            if self._ahead is None:
                self._open = None
            if task is None:
                raise AssertionError(f"{work.report.table}: there is nothing to load")
            work.begin(task, last=self._ahead is None)
            return work, task
