"""How far a whole restore is, over all tables and processes, as events for who watches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restore.progress import Progress, TableDone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restore.progress import Watcher
    from restore.report import TableReport
    from restore.table_work import TableWork


class Tally:
    """Adds up what is loaded and tells of it.

    Where several tables are loaded at once, the one that was begun first is told of: one that
    watches then sees each from its beginning to its end.

    Args:
        works: the tables.
        watch: is told of progress.
    """

    def __init__(self, works: Sequence[TableWork], watch: Watcher) -> None:
        self._works = works
        self._watch = watch
        # The sizes are those of the beginning: to ask for them at every batch takes its time.
        self._sizes = {work.load.table.oid: work.load.file.disk_bytes for work in works}
        self._bytes_total = sum(self._sizes.values())
        self._numbers: dict[int, int] = {}
        self._done: set[int] = set()

    def reports(self) -> list[TableReport]:
        """Return all counts so far: those of tables, and of shards that are no part of them yet."""
        return [report for work in self._works for report in work.reports()]

    def tell(self) -> None:
        """Tell how far the table is that was begun first."""
        begun = sorted(
            (work for work in self._works if work.started is not None),
            key=lambda work: work.started or 0.0,
        )
        for work in begun:
            self._number(work)
        if begun:
            self._watch(self._progress(begun[0]))

    def done(self, work: TableWork) -> None:
        """Tell that a table is loaded."""
        number = self._number(work)
        self._done.add(work.load.table.oid)
        self._watch(TableDone(number, len(self._works), work.report))

    def _number(self, work: TableWork) -> int:
        return self._numbers.setdefault(work.load.table.oid, len(self._numbers) + 1)

    def _progress(self, work: TableWork) -> Progress:
        counts, total = work.counts(), self._sizes[work.load.table.oid]
        read = min(total, sum(c.bytes_read for c in counts))
        batches = sum(c.batches for c in counts)
        own, reports = work.reports(), self.reports()
        return Progress(
            table=work.report.table,
            number=self._number(work),
            tables=len(self._works),
            rows=sum(r.read for r in own),
            rejected=sum(r.rejected + r.duplicates - r.skipped for r in own),
            batches=batches,
            batches_expected=round(batches * total / read) if read else batches,
            bytes_read=read,
            bytes_total=total,
            all_rows=sum(r.read for r in reports),
            all_bytes_read=sum(self._bytes(work) for work in self._works),
            all_bytes_total=self._bytes_total,
        )

    def _bytes(self, work: TableWork) -> int:
        size = self._sizes[work.load.table.oid]
        if work.load.table.oid in self._done:
            return size
        return min(size, sum(c.bytes_read for c in work.counts()))
