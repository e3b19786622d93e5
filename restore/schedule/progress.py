"""Progress of a whole restore, over all tables and threads, as events for a callback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restore.report.events import Progress, TableDone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restore.report.events import ProgressCallback
    from restore.report.model import TableReport
    from restore.schedule.table_state import TableState


class ProgressTracker:
    """Adds up what is loaded and reports it.

    If several tables are loaded at once, the progress is that of the one that was begun first: so
    each is seen from its beginning to its end.

    Args:
        tables: the tables.
        watch: called with each event.
    """

    def __init__(self, tables: Sequence[TableState], watch: ProgressCallback) -> None:
        self._tables = tables
        self._watch = watch
        # The sizes are those of the beginning: to ask for them at every batch takes its time.
        self._sizes = {table.load.table.oid: table.load.file.disk_bytes for table in tables}
        self._bytes_total = sum(self._sizes.values())
        self._numbers: dict[int, int] = {}
        self._begun: dict[int, TableState] = {}
        self._done: set[int] = set()
        # What each table has added to the sums over all of them, which are never made anew.
        self._rows_read: dict[int, int] = {}
        self._bytes_read: dict[int, int] = {}
        self._all_rows = self._all_bytes = 0

    def reports(self) -> list[TableReport]:
        """Return all counts so far: those of tables, and of shards that are no part of them yet."""
        return [report for table in self._tables for report in table.reports()]

    def update(self, table: TableState) -> None:
        """Count what is new of a table, and report the progress of the one that was begun first."""
        self._count(table)
        begun = [each for each in self._begun.values() if each.started is not None]
        if begun:
            first = min(begun, key=lambda each: each.started or 0.0)
            self._watch(self._progress(first))

    def done(self, table: TableState) -> None:
        """Report that a table is loaded."""
        oid = table.load.table.oid
        self._done.add(oid)
        self._count(table)
        self._begun.pop(oid, None)
        self._watch(TableDone(self._number(table), len(self._tables), table.report))

    def _count(self, table: TableState) -> None:
        oid = table.load.table.oid
        self._number(table)
        self._begun[oid] = table
        rows = sum(report.read for report in table.reports())
        read = self._sizes[oid] if oid in self._done else self._read(table)
        self._all_rows += rows - self._rows_read.get(oid, 0)
        self._all_bytes += read - self._bytes_read.get(oid, 0)
        self._rows_read[oid], self._bytes_read[oid] = rows, read

    def _read(self, table: TableState) -> int:
        size = self._sizes[table.load.table.oid]
        return min(size, sum(counts.bytes_read for counts in table.counts()))

    def _number(self, table: TableState) -> int:
        return self._numbers.setdefault(table.load.table.oid, len(self._numbers) + 1)

    def _progress(self, table: TableState) -> Progress:
        oid = table.load.table.oid
        read, total, own = self._read(table), self._sizes[oid], table.reports()
        batches = sum(c.batches for c in table.counts())
        return Progress(
            table=table.report.table,
            number=self._number(table),
            tables=len(self._tables),
            rows=self._rows_read[oid],
            rejected=sum(r.rejected + r.duplicates - r.skipped for r in own),
            batches=batches,
            batches_expected=round(batches * total / read) if read else batches,
            bytes_read=read,
            bytes_total=total,
            all_rows=self._all_rows,
            all_bytes_read=self._all_bytes,
            all_bytes_total=self._bytes_total,
        )
