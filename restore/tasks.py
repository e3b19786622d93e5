"""What there is to load, in pieces that processes take one after the other."""

from __future__ import annotations

import threading
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from restore.shards import Shard
    from restore.table_work import TableWork, Task


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
            for others in self._waits.values():
                others.discard(oid)
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
                ready = [w for w in self._waiting if not self._waits.get(w.load.table.oid)]
                if not ready:
                    return None
                self._waiting.remove(ready[0])
                tasks: Iterator[Task] = chain(
                    ready[0].left(), map(ready[0].task, self._cut(ready[0]))
                )
                self._open = (ready[0], tasks)
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
