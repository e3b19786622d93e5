"""The engine: sends the files, and has the server build what it needs.

The largest tables go first. A table whose rows are in gets its indexes, all at once, in sessions of
their own while the next tables are loaded; then its keys, its sequences and its statistics. Foreign
keys come when all tables have their keys: they are made without a look at the rows, which is
quick, and then looked through table by table, in all sessions.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from psycopg import sql

from harness.engines.floor import constraints, encoded
from harness.engines.floor.aftermath import finish
from harness.engines.floor.sessions import Sessions, Tasks, connect, flush
from harness.model.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.engines.floor.constraints import DroppedKeys
    from harness.engines.floor.encoded import Part, Table
    from harness.engines.floor.sessions import Connection, Work

# With it this process spends 0.27 s of processor time on a million rows, where the server spends 6;
# 1 MiB was no faster.
_BUFFER_BYTES = 256 << 10

# The phase before the first row is sent: connections, the catalogue, dropped keys.
FIRST_COPY = "first copy"

_OID = "SELECT to_regclass(%s)::oid::bigint"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was done: rows by table, and when each step had ended, in seconds from the start."""

    rows: dict[str, int]
    phases_s: dict[str, float]


class Floor:
    """Brings an encoded dataset into the tables of a target, which are empty.

    Args:
        folder: the encoded dataset.
        dsn: the target.
        jobs: how many connections send rows, and how many build indexes meanwhile.
    """

    def __init__(self, folder: Path, dsn: str, jobs: int) -> None:
        self._started_s = time.monotonic()
        self._folder = folder
        self._dsn = dsn
        self._jobs = jobs
        self._tasks = Tasks()
        self._counting = threading.Lock()
        self._rows: dict[str, int] = {}
        self._phases_s: dict[str, float] = {}
        self._loading = 0

    def run(self) -> Loaded:
        """Do it all.

        Raises:
            InputError: the folder is no encoded dataset.
            HarnessError: the target lacks a table.
            psycopg.Error: the server refused something.
        """
        with connect(self._dsn) as connection:
            tables = encoded.load(self._folder).tables
            self._rows = dict.fromkeys((table.table for table in tables), 0)
            oids = {oid(connection, table): table for table in tables}
            dropped = constraints.drop_keys(connection, list(oids))
            self._ended("aside")  # as recorded runs call it
            # Where there is an index for each session, workers would only be in each other's way.
            is_enough = len(dropped.indexes) >= self._jobs
            alone = {"max_parallel_maintenance_workers": "0"} if is_enough else {}
            with (
                Sessions(self._dsn, self._jobs) as senders,
                Sessions(self._dsn, self._jobs, alone) as builders,
            ):
                self._fill(senders, builders, oids, dropped)
                self._tasks.finish()
                self._ended("indexes")
                constraints.add_foreign_keys(connection, dropped.foreign_keys)
                for keys in self._by_table(dropped, oids):
                    self._tasks.start(builders, [partial(constraints.validate, keys=keys)])
                self._tasks.finish()
                for statement in dropped.enable_triggers:
                    connection.execute(statement)
                self._ended("foreign keys")
            flush(connection)
            self._ended("flush")
        return Loaded(self._rows, self._phases_s)

    def _fill(
        self, senders: Sessions, builders: Sessions, oids: dict[int, Table], dropped: DroppedKeys
    ) -> None:
        """Start everything that ends with each table having its rows, indexes and keys."""
        whole = sum(table.bytes for table in oids.values())
        self._loading = len(oids)
        for number in sorted(oids, key=lambda number: -oids[number].bytes):
            table = oids[number]
            # One that would keep a sender busy after the others are done is shared among them. Its
            # rows then go through the log, which costs the server 3% more in all.
            shared = table.bytes * self._jobs > whole
            then = partial(self._loaded, builders, number, table, dropped)
            self._tasks.start(senders, self._sending(table, shared=shared), then)

    def _loaded(self, builders: Sessions, number: int, table: Table, dropped: DroppedKeys) -> None:
        """Have a table's indexes built, and then the rest."""
        self._loading -= 1
        if not self._loading:
            self._ended("load")
        indexes = dropped.of(number)
        rest: Work = partial(finish, oid=number, table=table, indexes=indexes)
        builds = [partial(_build, statement=index.build) for index in indexes]
        self._tasks.start(builders, builds, partial(self._tasks.start, builders, [rest]))

    def _sending(self, table: Table, *, shared: bool) -> list[Work]:
        """Return how a table's rows are sent: whole, or each part by itself."""
        if shared:
            return [partial(self._send_part, table=table, part=part) for part in table.parts]
        return [partial(self._send_whole, table=table)]

    def _send_part(self, connection: Connection, table: Table, part: Part) -> None:
        self._copy(connection, table, [part], frozen=False)

    def _send_whole(self, connection: Connection, table: Table) -> None:
        """Send a table in the transaction that empties it.

        So its rows are frozen, which saves the next reader from marking them; with
        ``wal_level=minimal`` they need no log.
        """
        with connection.transaction():
            connection.execute(sql.SQL("TRUNCATE ONLY {}").format(identifier(table)))
            self._copy(connection, table, table.parts, frozen=True)

    def _copy(
        self, connection: Connection, table: Table, parts: Sequence[Part], *, frozen: bool
    ) -> None:
        with self._counting:
            if FIRST_COPY not in self._phases_s:
                self._ended(FIRST_COPY)
        query = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary, FREEZE {})").format(
            identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, table.columns)),
            sql.Literal(frozen),
        )
        with connection.cursor() as cursor:
            for part in parts:
                with (
                    (self._folder / part.file).open("rb", buffering=0) as file,
                    cursor.copy(query) as copy,
                ):
                    while data := file.read(_BUFFER_BYTES):
                        copy.write(data)
                with self._counting:
                    self._rows[table.table] += cursor.rowcount

    @staticmethod
    def _by_table(
        dropped: DroppedKeys, oids: dict[int, Table]
    ) -> list[list[constraints.ForeignKey]]:
        """Return the foreign keys of each table, which cannot be looked through at once."""
        keys: dict[int, list[constraints.ForeignKey]] = {}
        for key in dropped.foreign_keys:
            keys.setdefault(key.table, []).append(key)
        return [
            keys[number]
            for number in sorted(keys, key=lambda n: -oids[n].bytes if n in oids else 0)
        ]

    def _ended(self, phase: str) -> None:
        self._phases_s[phase] = round(time.monotonic() - self._started_s, 3)


def identifier(table: Table) -> sql.Identifier:
    """Return a table's qualified name, for use in SQL."""
    return sql.Identifier(table.schema, table.table)


def oid(connection: Connection, table: Table) -> int:
    """Return a table's oid.

    Raises:
        HarnessError: there is no such table.
    """
    row = connection.execute(_OID, [identifier(table).as_string()]).fetchone()
    if row is None or row[0] is None:
        raise HarnessError(f"the database has no table {table.table}")
    return int(row[0])


def _build(connection: Connection, statement: bytes) -> None:
    connection.execute(statement)
