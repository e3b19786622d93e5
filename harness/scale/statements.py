"""The server's processor time for each statement of a restore, run one by one in one session."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, LiteralString

from psycopg import sql

from harness.engines.floor import constraints, encoded
from harness.engines.floor.aftermath import finish
from harness.engines.floor.run import identifier, oid
from harness.engines.floor.sessions import connect
from harness.model.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.engines.floor.encoded import Table
    from harness.engines.floor.sessions import Connection

_BUFFER_BYTES = 256 << 10
# Small enough that the larger tables of a million records do not fit, and one merge does.
SPILLING_BYTES = 4 << 20
# The shortest of so many tells what a short statement costs.
_REPEATS = 3
_SINGLE = {"max_parallel_maintenance_workers": "0", "max_parallel_workers_per_gather": "0"}
_KEYS = """
    SELECT k.conname, k.conrelid::bigint, k.confrelid::bigint, n.nspname, c.relname
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype = 'f' AND k.conrelid = ANY(%s) ORDER BY 2, 1
"""


class ServerClock:
    """Reads the processor time of a server's processes, to a fraction of a microsecond.

    Args:
        pid: the server's postmaster.

    Raises:
        HarnessError: this system has no ``/proc/PID/schedstat``.
    """

    def __init__(self, pid: int | None) -> None:
        if pid is None or not Path(f"/proc/{pid}/schedstat").exists():
            raise HarnessError(
                "the server's processor time cannot be read: it needs Linux, and an embedded "
                "server; measure there"
            )
        self._pid = pid

    def cpu_s(self) -> float:
        """Return the processor time of the postmaster and its children so far."""
        children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text("ascii").split()
        total = 0.0
        for pid in (str(self._pid), *children):
            with contextlib.suppress(OSError):  # it has ended
                total += int(Path(f"/proc/{pid}/schedstat").read_text("ascii").split()[0]) / 1e9
        return total


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that sorts or hashes: its time in memory and spilled, and the bytes it keeps."""

    name: str
    s: float
    spilled_s: float
    bytes: float
    unique: bool = False


@dataclass(slots=True)
class TableTimes:
    """The times of one table's statements, in seconds, and its sizes, in bytes."""

    rows: int = 0
    row_bytes: int = 0
    heap_bytes: int = 0
    wal_bytes: int = 0
    unlogged_s: float = 0.0
    logged_s: float = 0.0
    frozen_s: float = 0.0
    finish_s: float = 0.0
    indexes: list[Statement] = field(default_factory=list)
    foreign_keys: list[Statement] = field(default_factory=list)


class StatementTimer:
    """Runs the statements of a restore of an encoded dataset into a target, and times each.

    Args:
        folder: the encoded dataset.
        dsn: the target, its tables empty.
        clock: reads the server's processor time.
    """

    def __init__(self, folder: Path, dsn: str, clock: ServerClock) -> None:
        self._folder = folder
        self._dsn = dsn
        self._clock = clock
        self.parallel = 0.0

    def run(self) -> dict[str, TableTimes]:
        """Run them all, and return the times by table.

        Raises:
            InputError: the folder is no encoded dataset.
            psycopg.Error: the server refused something.
        """
        with connect(self._dsn, _SINGLE) as connection:
            tables = encoded.load(self._folder).tables
            oids = {oid(connection, table): table for table in tables}
            dropped = constraints.drop_keys(connection, list(oids))
            times = {number: TableTimes() for number in oids}
            for number, table in oids.items():
                self._load(connection, table, times[number])
            for number, table in oids.items():
                indexes = dropped.of(number)
                for index in indexes:
                    times[number].indexes.append(self._build(connection, number, index))
                constraints.attach_keys(connection, indexes)
                times[number].finish_s = self._least(partial(finish, connection, number, table, ()))
            self.parallel = self._parallel_share(connection, dropped, times)
            constraints.add_foreign_keys(connection, dropped.foreign_keys)
            for row in connection.execute(_KEYS, [list(oids)]).fetchall():
                name, child, parent, schema, table = row
                query = sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}").format(
                    sql.Identifier(schema, table), sql.Identifier(name)
                )
                kept = times[parent].rows * _key_bytes(times[parent]) if parent in times else 0.0
                found = self._statement(connection, name, query.as_bytes(), kept)
                times[child].foreign_keys.append(found)
        return {table.table: times[number] for number, table in oids.items()}

    def _load(self, connection: Connection, table: Table, times: TableTimes) -> None:
        """Load a table without WAL, with it, and frozen; the last load stays."""
        name = identifier(table)
        scratch = sql.Identifier("scale_scratch")
        connection.execute(sql.SQL("CREATE UNLOGGED TABLE {} (LIKE {})").format(scratch, name))
        times.unlogged_s = self._least(partial(self._truncated_copy, connection, table, scratch))
        connection.execute(sql.SQL("DROP TABLE {}").format(scratch))
        before = _wal_bytes(connection)
        times.rows = self._copy(connection, table, name)
        times.wal_bytes = _wal_bytes(connection) - before
        times.logged_s = self._least(partial(self._truncated_copy, connection, table, name))
        times.frozen_s = self._least(
            partial(self._truncated_copy, connection, table, name, frozen=True)
        )
        times.row_bytes = table.bytes
        times.heap_bytes = _one(
            connection, "SELECT pg_table_size(to_regclass(%s))", [name.as_string()]
        )

    def _truncated_copy(
        self, connection: Connection, table: Table, into: sql.Identifier, *, frozen: bool = False
    ) -> None:
        """Empty a table and load it; ``frozen``: both in one transaction, so without WAL."""
        truncate = sql.SQL("TRUNCATE ONLY {}").format(into)
        if not frozen:
            connection.execute(truncate)
            self._copy(connection, table, into)
            return
        with connection.transaction():
            connection.execute(truncate)
            self._copy(connection, table, into, frozen=True)

    def _copy(
        self, connection: Connection, table: Table, into: sql.Identifier, *, frozen: bool = False
    ) -> int:
        """Load a table, and return its number of rows."""
        query = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary, FREEZE {})").format(
            into, sql.SQL(", ").join(map(sql.Identifier, table.columns)), sql.Literal(frozen)
        )
        rows = 0
        with connection.cursor() as cursor:
            for part in table.parts:
                with (
                    (self._folder / part.file).open("rb", buffering=0) as file,
                    cursor.copy(query) as copy,
                ):
                    while data := file.read(_BUFFER_BYTES):
                        copy.write(data)
                rows += cursor.rowcount
        return rows

    def _build(self, connection: Connection, table: int, index: constraints.Index) -> Statement:
        before = _indexes_bytes(connection, table)
        found = self._statement(connection, _name(index).decode(), index.build, 0.0)
        connection.execute(index.build)
        return Statement(
            found.name,
            found.s,
            found.spilled_s,
            _indexes_bytes(connection, table) - before,
            unique=index.build.startswith(b"CREATE UNIQUE"),
        )

    def _statement(
        self, connection: Connection, name: str, query: bytes, kept_bytes: float
    ) -> Statement:
        """Time a statement with the session's memory and with little, and undo it each time."""
        in_memory = min(self._undone(connection, query) for _ in range(_REPEATS))
        little = min(self._undone(connection, query, SPILLING_BYTES) for _ in range(_REPEATS))
        return Statement(name, in_memory, little, kept_bytes)

    def _undone(
        self, connection: Connection, query: bytes, memory_bytes: int | None = None
    ) -> float:
        with connection.transaction(force_rollback=True):
            if memory_bytes is not None:
                connection.execute(f"SET LOCAL maintenance_work_mem = '{memory_bytes}B'".encode())
            return self._seconds(lambda: connection.execute(query))

    def _parallel_share(
        self,
        connection: Connection,
        dropped: constraints.DroppedKeys,
        times: dict[int, TableTimes],
    ) -> float:
        """Return the share of the largest table's first index build that a worker halves."""
        largest = max(times, key=lambda number: times[number].rows)
        indexes = [each for each in dropped.of(largest) if not each.attach]
        if not indexes or not times[largest].rows:
            return 0.0
        alone_s, shared_s = (
            min(self._wall_s(connection, indexes[0], workers) for _ in range(_REPEATS))
            for workers in (0, 1)
        )
        return min(max(2 * (1 - shared_s / alone_s), 0.0), 1.0)

    @staticmethod
    def _wall_s(connection: Connection, index: constraints.Index, workers: int) -> float:
        with connection.transaction(force_rollback=True):
            connection.execute(b"DROP INDEX " + _name(index))
            connection.execute(f"SET LOCAL max_parallel_maintenance_workers = {workers}".encode())
            connection.execute("SET LOCAL min_parallel_table_scan_size = 0")
            started_s = time.monotonic()
            connection.execute(index.build)
            return time.monotonic() - started_s

    def _least(self, run: Callable[[], object]) -> float:
        return min(self._seconds(run) for _ in range(_REPEATS))

    def _seconds(self, run: Callable[[], object]) -> float:
        before = self._clock.cpu_s()
        run()
        return self._clock.cpu_s() - before


def _name(index: constraints.Index) -> bytes:
    return index.build.partition(b" INDEX ")[2].partition(b" ON ")[0]


def _key_bytes(parent: TableTimes) -> float:
    """Return the size of a parent's key in a hash table: that of its smallest unique index."""
    sizes = [index.bytes for index in parent.indexes if index.unique]
    return min(sizes, default=0.0) / max(parent.rows, 1)


def _wal_bytes(connection: Connection) -> int:
    return _one(connection, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")


def _indexes_bytes(connection: Connection, table: int) -> int:
    return _one(connection, "SELECT pg_indexes_size(%s::oid)", [table])


def _one(connection: Connection, query: LiteralString, given: Sequence[object] = ()) -> int:
    """Return the one number that a query returns."""
    [(number,)] = connection.execute(query, given).fetchall()
    return int(number)
