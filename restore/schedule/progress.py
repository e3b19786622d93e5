"""How far a whole restore is, over all tables and processes, as events for who watches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restore.report.events import Progress, TableDone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restore.report.events import ProgressCallback
    from restore.report.model import TableReport
    from restore.schedule.table_work import TableWork


class Tally:
    """Adds up what is loaded and tells of it.

    Where several tables are loaded at once, the one that was begun first is told of: one that
    watches then sees each from its beginning to its end.

    Args:
        works: the tables.
        watch: is told of progress.
    """

    def __init__(self, works: Sequence[TableWork], watch: ProgressCallback) -> None:
        self._works = works
        self._watch = watch
        # The sizes are those of the beginning: to ask for them at every batch takes its time.
        self._sizes = {work.load.table.oid: work.load.file.disk_bytes for work in works}
        self._bytes_total = sum(self._sizes.values())
        self._numbers: dict[int, int] = {}
        self._begun: dict[int, TableWork] = {}
        self._done: set[int] = set()
        # What each table has added to the sums over all of them, which are never made anew.
        self._rows_read: dict[int, int] = {}
        self._bytes_read: dict[int, int] = {}
        self._all_rows = self._all_bytes = 0

    def reports(self) -> list[TableReport]:
        """Return all counts so far: those of tables, and of shards that are no part of them yet."""
        return [report for work in self._works for report in work.reports()]

    def tell(self, work: TableWork) -> None:
        """Count what is new of a table; tell how far the one is that was begun first."""
        self._count(work)
        begun = [each for each in self._begun.values() if each.started is not None]
        if begun:
            first = min(begun, key=lambda each: each.started or 0.0)
            self._watch(self._progress(first))

    def done(self, work: TableWork) -> None:
        """Tell that a table is loaded."""
        oid = work.load.table.oid
        self._done.add(oid)
        self._count(work)
        self._begun.pop(oid, None)
        self._watch(TableDone(self._number(work), len(self._works), work.report))

    def _count(self, work: TableWork) -> None:
        oid = work.load.table.oid
        self._number(work)
        self._begun[oid] = work
        rows = sum(report.read for report in work.reports())
        read = self._sizes[oid] if oid in self._done else self._read(work)
        self._all_rows += rows - self._rows_read.get(oid, 0)
        self._all_bytes += read - self._bytes_read.get(oid, 0)
        self._rows_read[oid], self._bytes_read[oid] = rows, read

    def _read(self, work: TableWork) -> int:
        size = self._sizes[work.load.table.oid]
        return min(size, sum(counts.bytes_read for counts in work.counts()))

    def _number(self, work: TableWork) -> int:
        return self._numbers.setdefault(work.load.table.oid, len(self._numbers) + 1)

    def _progress(self, work: TableWork) -> Progress:
        oid = work.load.table.oid
        read, total, own = self._read(work), self._sizes[oid], work.reports()
        batches = sum(c.batches for c in work.counts())
        return Progress(
            table=work.report.table,
            number=self._number(work),
            tables=len(self._works),
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
