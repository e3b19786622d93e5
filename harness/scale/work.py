"""The tasks of a restore of any size: what each needs, and which must end before it begins.

The order is that of ``restore``: the largest table first, cut into shards if it is much of the
backup; a loaded table gets its unique indexes one after the other, then its other indexes, then its
statistics; foreign keys are validated when all tables have theirs.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from harness.scale.costs import ANALYZED_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.scale.costs import Costs, Index, Sorted, TableCosts

# As ``restore`` cuts: so many shards for each connection, of a table that is larger than half of a
# connection's share; and it opens one connection for so many bytes of the backup.
_SHARDS_A_CONNECTION = 16
_LARGE_SHARE = 2
_CONNECTION_BYTES = 4 << 20
# Of ``restore``: the memory of a session that builds indexes is bounded by this.
_MOST_SORT_BYTES = 1 << 30

Compression = Literal["none", "gz", "zst"]
Pool = Literal["start", "load", "finish"]


class Resource(enum.IntEnum):
    """What a task needs: seconds of a core or of the interpreter's lock, or bytes."""

    CLIENT = 0
    SERVER = 1
    NETWORK = 2
    DISK = 3
    INTERPRETER = 4
    DECOMPRESSION = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """The machines of a restore.

    Args:
        server_cores: cores of the server.
        client_cores: cores of each client machine.
        machines: client machines; 0: the restorer runs on the server, and shares its cores.
        network_bytes_s: bandwidth of the server's link; not used if there is no client machine.
        disk_bytes_s: bandwidth of the server's disk, reading or writing.
        memory_bytes: memory of the server; what was written is read from disk again beyond it.
    """

    server_cores: float
    client_cores: float
    machines: int
    network_bytes_s: float
    disk_bytes_s: float
    memory_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is restored and how.

    Args:
        rows: records of all tables.
        jobs: connections that load, and as many that build indexes at the same time.
        sort_bytes: ``maintenance_work_mem`` of a session.
        minimal_wal: the server has ``wal_level=minimal``.
        compression: of the backup's files.
        parallel_builds: each index has parallel workers; ``restore`` gives them only to one that is
            built alone.
    """

    rows: float
    jobs: int
    sort_bytes: float
    minimal_wal: bool = True
    compression: Compression = "none"
    parallel_builds: bool = False


def sort_bytes(memory_bytes: float, jobs: int) -> float:
    """Return the memory that ``restore`` gives to a session, if a quarter is shared_buffers."""
    return min(memory_bytes / 4 / max(jobs, 1), _MOST_SORT_BYTES)


@dataclass(slots=True)
class Task:
    """A piece of work.

    Args:
        name: what it is, for reports.
        pool: which sessions do it.
        needs: amounts by resource; a resource that is missing is not needed.
        after: tasks that have to end before it begins.
        parallel: the share of its work that parallel workers divide, if it has them.
        needs_quiet: it has them only if nothing else is under way.
    """

    name: str
    pool: Pool
    needs: dict[Resource, float]
    after: list[Task] = field(default_factory=list, repr=False)
    parallel: float = 0.0
    needs_quiet: bool = True


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the tasks of one restore."""

    costs: Costs
    load: Load
    hardware: Hardware

    def tasks(self) -> Iterator[Task]:
        costs = self.costs
        start = Task(
            "start",
            "start",
            {Resource.CLIENT: costs.client_fixed_s, Resource.SERVER: costs.server_fixed_s},
        )
        yield start
        finished = []
        for table in sorted(costs.tables, key=lambda each: -each.share * each.json_bytes):
            shards = list(self._shards(table, start))
            yield from shards
            *indexes, last = self._finish(table, shards)
            yield from (*indexes, last)
            finished.append(last)
        for table in costs.tables:
            after = finished
            for key in table.foreign_keys:
                task = self._sorted(table, key, "validate", after)
                after = [task]
                yield task

    def _shards(self, table: TableCosts, start: Task) -> Iterator[Task]:
        """Make the tasks that load a table: one, or a shard each."""
        total = self.load.rows * self.costs.mean("json_bytes")
        own = self._rows(table) * table.json_bytes
        count = 1
        if self.load.jobs > 1 and own * self.load.jobs * _LARGE_SHARE > total:
            count = max(round(own * self.load.jobs * _SHARDS_A_CONNECTION / total), 1)
        needs = self._loading(table, logged=count > 1 or not self.load.minimal_wal)
        part = {resource: amount / count for resource, amount in needs.items()}
        for _ in range(count):
            yield Task(f"load {table.table}", "load", part, [start])

    def _loading(self, table: TableCosts, *, logged: bool) -> dict[Resource, float]:
        rows, costs = self._rows(table), self.costs
        # The restorer's costs are per byte: a wide table has more of them.
        size = rows * table.json_bytes / costs.mean("json_bytes")
        server_s = table.heap_s + table.wal_s if logged else table.frozen_s
        extra_s = {"none": 0.0, "gz": costs.client.gz_s, "zst": costs.client.zst_s}
        unpack_s = size * extra_s[self.load.compression]
        return {
            Resource.CLIENT: size * costs.client.s + unpack_s,
            Resource.SERVER: rows * server_s * costs.server_factor,
            Resource.NETWORK: rows * table.row_bytes,
            Resource.DISK: rows * (table.heap_bytes + (table.wal_bytes if logged else 0.0)),
            Resource.INTERPRETER: size * costs.client.send_s,
            Resource.DECOMPRESSION: unpack_s,
        }

    def _finish(self, table: TableCosts, shards: list[Task]) -> Iterator[Task]:
        """Make the tasks that finish a table: its indexes, then its statistics."""
        after = shards
        for index in (each for each in table.indexes if each.unique):
            task = self._sorted(table, index, "index", after)
            after = [task]
            yield task
        others = [index for index in table.indexes if not index.unique]
        # Sessions that scan one table at a time share the scan (synchronize_seqscans).
        scans = 1 / max(min(len(others), self.load.jobs), 1)
        builds = [self._sorted(table, index, "index", after, scans) for index in others]
        yield from builds
        rows = min(self._rows(table), ANALYZED_ROWS)
        yield Task(
            f"analyze {table.table}",
            "finish",
            {Resource.SERVER: rows * table.analyze_s * self.costs.server_factor},
            builds or after,
        )

    def _sorted(
        self,
        table: TableCosts,
        what: Sorted | Index,
        verb: str,
        after: list[Task],
        scans: float = 1.0,
    ) -> Task:
        """Make the task of an index or a validation, which reads its table so many times."""
        rows, costs = self._rows(table), self.costs
        server_s = what.at(rows, self.load.sort_bytes)
        disk_bytes = 0.0
        if verb == "index":
            disk_bytes = rows * what.bytes
            if not self.load.minimal_wal:
                disk_bytes *= 2  # its pages go through the log
                server_s += disk_bytes / 2 * table.wal_s / max(table.wal_bytes, 1.0)
        if what.spills(rows, self.load.sort_bytes):
            disk_bytes += 2 * rows * what.bytes  # written, and read again
        if self._stored_bytes() > self.hardware.memory_bytes:
            disk_bytes += scans * rows * table.heap_bytes
        return Task(
            f"{verb} {what.name}",
            "finish",
            {Resource.SERVER: server_s * costs.server_factor, Resource.DISK: disk_bytes},
            after,
            costs.parallel if verb == "index" else 0.0,
            not self.load.parallel_builds,
        )

    def _rows(self, table: TableCosts) -> float:
        return self.load.rows * table.share

    def _stored_bytes(self) -> float:
        return self.load.rows * self.costs.mean("heap_bytes")


def make_tasks(costs: Costs, load: Load, hardware: Hardware) -> list[Task]:
    """Return the tasks of a restore, in the order in which free sessions take them."""
    return list(_Maker(costs, load, hardware).tasks())


def connections(costs: Costs, load: Load) -> int:
    """Return how many connections load: ``jobs``, or fewer if the backup is small."""
    return int(min(load.jobs, 1 + load.rows * costs.mean("json_bytes") // _CONNECTION_BYTES))


def total(tasks: list[Task], resource: Resource) -> float:
    """Return how much of a resource the tasks need."""
    return sum(task.needs.get(resource, 0.0) for task in tasks)
