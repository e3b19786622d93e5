"""Queue of tasks: each table's shards, in the order in which they are to be loaded."""

from __future__ import annotations

import heapq
from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING

from restore.source.shards import cut_into_shards, whole_range_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from restore.options import Options
    from restore.plan.order import Load
    from restore.schedule.executor import Task
    from restore.schedule.table_state import TableState
    from restore.source.shards import Shard

# One more connection takes 20 ms to make: as long as it takes to load less than this.
_WORTH_A_CONNECTION_BYTES = 4 << 20
# A shard is so small a share of the backup that no thread waits long for the others at the end, but
# not so small that its beginning and end tell, nor so large that a lost one does.
_SHARDS_A_THREAD = 16
_SMALLEST_SHARD_BYTES = 4 << 20
# A table is cut if it is more than one in so many of a thread's share of the backup.
_LARGE_SHARE = 2
_LARGEST_SHARD_BYTES = 64 << 20
# Shards of a compressed file are held in memory, twice for a moment.
_HELD_SHARD_BYTES = 1 << 20


class Sharding:
    """Decides how many threads share a backup, and cuts its tables into shards for them.

    Args:
        options: ``processes`` is how many there may be.
        tables: the tables.

    Attributes:
        threads: how many load.
    """

    def __init__(self, options: Options, tables: Sequence[TableState]) -> None:
        self._bytes = sum(table.load.file.disk_bytes for table in tables)
        worth = 1 + self._bytes // _WORTH_A_CONNECTION_BYTES
        self.threads = 1 if options.dry_run or options.atomic else min(options.processes, worth)
        self._shard_bytes = self._bytes // (self.threads * _SHARDS_A_THREAD)

    def cut(self, table: TableState) -> Iterator[Shard]:
        """Cut a table's file into shards, if it may be and there are threads to load them."""
        load = table.load
        # A boundary that is missed is mended by loading the table from the beginning.
        if (
            self.threads == 1
            or not (table.mode.any_order and self._is_worth_cutting(load))
            or not table.phases.may_be_emptied
        ):
            return (whole_range_shard(load.file, gap) for gap in table.gaps)
        size = min(max(self._shard_bytes, _SMALLEST_SHARD_BYTES), _LARGEST_SHARD_BYTES)
        if not load.file.is_seekable:
            size = _HELD_SHARD_BYTES
        # A value that a sequence gives depends on which record asks first.
        numbered = {sequence.column for sequence in load.table.sequences}
        drawn = frozenset(c.field for c in load.table.columns if c.name in numbered)
        return chain.from_iterable(
            cut_into_shards(load.file, size, gap, required_fields=drawn) for gap in table.gaps
        )

    def _is_worth_cutting(self, load: Load) -> bool:
        """Tell whether a table had better be cut.

        Whole, it comes in one COPY, and maybe without log. But one that is much of the backup keeps
        one thread busy for long, and what finishes it waits.
        """
        return load.file.disk_bytes * self.threads * _LARGE_SHARE > self._bytes


class TaskQueue:
    """Hands out the tasks of tables, each table's in the order of its file.

    Args:
        tables: the tables, in the order in which they are begun.
        waits: for each table, by oid, those that have to be loaded before it.
        cut: cuts a table into shards.
    """

    def __init__(
        self,
        tables: Iterable[TableState],
        waits: dict[int, set[int]],
        cut: Callable[[TableState], Iterator[Shard]],
    ) -> None:
        self._waiting = dict(enumerate(tables))
        self._places = {table.load.table.oid: place for place, table in self._waiting.items()}
        self._waits = {oid: set(others) for oid, others in waits.items()}
        self._blocks: dict[int, list[int]] = defaultdict(list)
        for oid, others in waits.items():
            for other in others:
                self._blocks[other].append(oid)
        # The places of the tables that may be begun, the first of them at the top of the heap.
        self._ready = [p for oid, p in self._places.items() if not self._waits.get(oid)]
        self._cut = cut
        self._open: tuple[TableState, Iterator[Task]] | None = None
        self._next: Task | None = None
        self._added: list[Task] = []

    def take(self) -> Task | None:
        """Return the next task; None: there is none now.

        Raises:
            BackupError: a file cannot be read.
        """
        if self._added:
            return self._added.pop(0)
        if self._open is None:
            if not self._ready:
                return None
            ready = self._waiting.pop(heapq.heappop(self._ready))
            tasks: Iterator[Task] = map(ready.task, self._cut(ready))
            self._open = (ready, tasks)
            self._next = next(tasks, None)
        table, tasks = self._open
        task = self._next
        # One is cut ahead: with the last one it has to be known that it is.
        self._next = None if task is None else next(tasks, None)
        if self._next is None:
            self._open = None
        if task is None:
            raise AssertionError(f"{table.report.table}: there is nothing to load")
        table.begin(task, last=self._next is None)
        return task

    def add(self, task: Task) -> None:
        """Hand out one more task, which is begun already, before all others."""
        self._added.append(task)

    def done(self, oid: int) -> None:
        """Note that a table is loaded: others may have waited for it."""
        for other in self._blocks.pop(oid, ()):
            self._waits[other].discard(oid)
            if not self._waits[other] and other in self._places:
                heapq.heappush(self._ready, self._places[other])
