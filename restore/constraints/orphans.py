"""Deletes rows that violate a foreign key, and rejects their records.

``orphan_rows`` moves the rows to a table of the journal. A second pass over the file finds their
records: by the texts of their keys if few values are missing (``key_scan``), else by the server,
which matches records with rows (``lookup``), so that memory holds no more than a batch. A row whose
record is not found is rejected as the database returns it. The table stays until all records are in
the rejects.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from msgspec import Struct
from psycopg import sql

from restore.constraints.key_scan import lookup_by_text
from restore.constraints.lookup import RowMatcher
from restore.constraints.orphan_rows import OrphanRows
from restore.rejects.ordinals import OrdinalSet
from restore.report.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import psycopg

    from restore.constraints.lookup import LoadedFile, Values
    from restore.rejects.limits import RejectLimits
    from restore.target.catalog import ForeignKey, Table
    from restore.target.own_rows import WriteLog

_FOREIGN_KEY_VIOLATION = "23503"
# So many values of a table are looked for in memory: two forms of a UUID take 500 bytes.
_MOST_VALUES = 50_000
_MOST_VALUE_BYTES = 4 << 20


class _Lookup(Struct, frozen=True):
    """What tells the records that a foreign key forbids."""

    key: ForeignKey
    columns: tuple[str, ...]


class Orphans:
    """Takes rows out that foreign keys forbid, and keeps their records as rejects.

    Args:
        conn: a connection to the target, on which the keys do not hold now.
        tables: every table that the keys name, by oid.
        keys: the foreign keys, those of parents before those of their children.
        chunk_bytes: how much of a file is read at a time.
        jobs: how many files are read at once.
        schema: where what is taken out is kept meanwhile.
        writes: tells the rows that are ours to take out; None: all are.
        triggers: users' triggers fire, also for what is taken out.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        tables: dict[int, Table],
        keys: Sequence[ForeignKey],
        *,
        chunk_bytes: int,
        jobs: int,
        schema: str,
        writes: WriteLog | None = None,
        triggers: bool = False,
    ) -> None:
        self._conn = conn
        self._keys: dict[int, dict[str, ForeignKey]] = {}
        for key in keys:
            self._keys.setdefault(key.table, {})[key.label] = key
        self._chunk_bytes = chunk_bytes
        self._jobs = jobs
        self._triggers = triggers
        self._rows = OrphanRows(conn, tables, keys, schema=schema, writes=writes, triggers=triggers)

    @property
    def is_unfinished(self) -> bool:
        """Tell whether rows were taken out whose records are not all kept yet."""
        return self._rows.is_unfinished

    def reject(
        self,
        kept: Iterable[LoadedFile],
        limits: RejectLimits,
        save_counts: Callable[[], None] = lambda: None,
    ) -> int:
        """Take the rows out and keep their records.

        Args:
            kept: the tables.
            limits: say when there are too many rejects.
            save_counts: saves the tables' counts and rejects once all orphans are kept.

        Returns:
            How many there were.

        Raises:
            LoadError: a reject file cannot be written, or there are too many rejects.
            psycopg.Error: the server refused.
        """
        counts = self._rows.delete_orphans()
        tables = [table for table in kept if table.load.table.oid in counts]
        for table in tables:
            table.report.count_taken_out(counts[table.load.table.oid])
        found = self._keep_plain(tables)
        for table in tables:
            ordinals = found.get(table.load.table.oid, OrdinalSet())
            if len(ordinals) < counts[table.load.table.oid]:
                self._keep_others(table, ordinals)
        with self._conn.transaction():
            self._rows.drop()
            save_counts()
        if counts:
            limits.after_orphans()
        return sum(counts.values())

    def _keep_plain(self, tables: Iterable[LoadedFile]) -> dict[int, OrdinalSet]:
        """Keep the records that are found by comparing; return their numbers, by table.

        No more values are in memory than those of the files that are read at once.
        """
        found: dict[int, OrdinalSet] = {}
        waiting: set[Future[None]] = set()
        pool = ThreadPoolExecutor(self._jobs)
        try:
            # The largest file first, so that no thread is left with it at the end.
            for table in sorted(tables, key=lambda each: -each.load.file.disk_bytes):
                wanted = self._wanted(table)
                if wanted:
                    ordinals = found[table.load.table.oid] = OrdinalSet()
                    waiting.add(pool.submit(self._write_plain, table, wanted, ordinals))
                if len(waiting) >= self._jobs:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
            for future in waiting:
                future.result()
        finally:
            pool.shutdown(cancel_futures=True)
        return found

    def _wanted(self, table: LoadedFile) -> dict[_Lookup, list[Values]]:
        """Return the missing values, by key; none if these alone do not tell the records.

        A record that was skipped, or whose row a trigger changed, may have such a value and is no
        orphan.
        """
        oid = table.load.table.oid
        if table.report.skipped or self._triggers:
            return {}
        [(count, size)] = self._conn.execute(
            _SIZE.format(self._rows.store), [oid, _MOST_VALUES + 1]
        ).fetchall()
        if count > _MOST_VALUES or size > _MOST_VALUE_BYTES:
            return {}
        wanted: dict[str, list[Values]] = {}
        for name, values in self._conn.execute(_VALUES.format(self._rows.store), [oid]):
            wanted.setdefault(name, []).append(tuple(values))
        return {
            _Lookup(key, key.lookup_columns): wanted[name]
            for name, key in self._keys[oid].items()
            if name in wanted and key.lookup_columns is not None
        }

    def _write_plain(
        self, table: LoadedFile, wanted: dict[_Lookup, list[Values]], ordinals: OrdinalSet
    ) -> None:
        """Write the records that are found by comparing; touches no other table, and no server."""
        for record, lookup, values in lookup_by_text(table, wanted, self._chunk_bytes):
            reason = _reason(lookup.key, values, table.load.table)
            table.rejects.add(record, reason)
            table.report.count_reason(reason, record.ordinal, record.offset)
            ordinals.add(record.ordinal)

    def _keep_others(self, table: LoadedFile, found: OrdinalSet) -> None:
        """Keep the records that the server finds, and each row that has none.

        Args:
            table: the table.
            found: the records that are kept already.
        """
        matcher = RowMatcher(
            self._conn,
            table,
            list(self._keys[table.load.table.oid].values()),
            self._rows,
            found=found,
            chunk_bytes=self._chunk_bytes,
        )
        for record, key, values in matcher.records():
            reason = _reason(key, values, table.load.table)
            table.rejects.add(record, reason)
            table.report.count_reason(reason, record.ordinal, record.offset)
        for row, key, values in matcher.rows():
            reason = _reason(key, values, table.load.table)
            table.rejects.add_row(row.encode(), reason)
            table.report.count_reason(reason, None, None)


def _reason(key: ForeignKey, values: Values, table: Table) -> Reason:
    columns = ", ".join(key.columns)
    values = values[: len(key.columns)]  # others tell the partition
    shown = ", ".join("null" if value is None else value for value in values)
    if None in values:
        why = "mixes null and other values, which MATCH FULL does not allow"
    else:
        why = "is not there, or was rejected"
    return Reason(
        level="constraint",
        message=f'"{(key.holder or table).name}" violates foreign key constraint "{key.name}"',
        detail=f"Key ({columns})=({shown}) {why}",
        sqlstate=_FOREIGN_KEY_VIOLATION,
        constraint=key.name,
    )


_VALUES = sql.SQL("SELECT DISTINCT s.key_name, s.key_values FROM {} AS s WHERE s.key_table = %s")
_SIZE = sql.SQL(
    "SELECT count(*), COALESCE(sum(octet_length(v.key_values::text)), 0) FROM ("
    "SELECT DISTINCT s.key_name, s.key_values FROM {} AS s WHERE s.key_table = %s LIMIT %s) AS v"
)
