"""Loads one table: read, decode, COPY, batch by batch, and tell how far it is."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from restore.ahead import ahead
from restore.destination import destination_for
from restore.dry_run import may_write
from restore.errors import RestoreError
from restore.ladder import Ladder
from restore.progress import Progress, TableDone
from restore.read import Batch, Reader
from restore.values import Converter

if TYPE_CHECKING:
    import psycopg

    from restore.limits import Limits
    from restore.options import Options
    from restore.plan import Load
    from restore.progress import Watcher
    from restore.rejects import RejectFile
    from restore.report import TableReport
    from restore.stream import TableStream

# To learn how large records are, where batches are counted in records.
_SAMPLE_BYTES = 1 << 16
# A batch of --batch-size records is held in memory; past this it is not worth what it costs.
_LARGE_BATCH_BYTES = 8 << 20
_LARGEST_CHUNK_BYTES = 1 << 28


@dataclass(slots=True)
class Tally:
    """How far the whole restore is, over all tables."""

    tables: int
    bytes_total: int
    number: int = 0
    bytes_done: int = 0
    rows_done: int = 0


class TableLoad:
    """Loads one table file.

    Args:
        conn: a connection that commits each statement.
        load: the file and the table.
        options: how.
        rejects: the table's reject file.
        report: the table's counts.
        limits: say when there are too many rejects.
        tally: how far all tables are; goes on counting.
        watch: is told of progress.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        load: Load,
        *,
        options: Options,
        rejects: RejectFile,
        report: TableReport,
        limits: Limits,
        tally: Tally,
        watch: Watcher,
    ) -> None:
        self.load = load
        self.converter = Converter(options.timezone)
        self._conn = conn
        self._options = options
        self._rejects = rejects
        self._report = report
        self._limits = limits
        self._tally = tally
        self._watch = watch
        self._batches = 0

    def run(self) -> None:
        """Load the table; afterwards every record of its file is counted.

        Raises:
            RestoreError: the load stopped.
        """
        started = time.monotonic()
        self._tally.number += 1
        try:
            with contextlib.closing(self.load.file.open()) as stream:
                self._load(stream)
        except RestoreError as error:
            self._report.error = " ".join(str(error).split())
            raise
        finally:
            self._report.wall_s += time.monotonic() - started
            self._report.warnings += sorted(self.converter.notes)
        self._tally.bytes_done += self.load.file.disk_bytes
        self._tally.rows_done += self._report.read
        self._watch(TableDone(self._tally.number, self._tally.tables, self._report))

    def _load(self, stream: TableStream) -> None:
        with may_write(self._conn):
            destination = destination_for(self._conn, self.load.table, self._options.on_conflict)
        ladder = Ladder(
            self._conn,
            self.load.table,
            destination=destination,
            converter=self.converter,
            options=self._options,
            rejects=self._rejects,
            report=self._report,
            limits=self._limits,
        )
        sized = self._options.batch_size
        reader = Reader(
            stream, _SAMPLE_BYTES if sized else self._options.chunk_bytes, ladder.decode
        )
        for found in ahead(reader):
            if isinstance(found, Batch):
                if found.rows is not None and found.rows.raws is not None:
                    found.know_raws(found.rows.raws)
                ladder.load(found)
                if sized and not self._batches:
                    reader.chunk_bytes = self._chunk_for(sized, len(found.data) / found.count)
                self._batches += 1
            else:
                ladder.damage(found)
            self._tell(stream)
        if self._report.decided != self._report.read:
            raise AssertionError(f"{self.load.table.name}: records are counted that were not read")
        self._note_end(stream, reader)

    def _chunk_for(self, records: int, record_bytes: float) -> int:
        """Return how much to read at a time for batches of so many records."""
        wanted = int(records * record_bytes * 1.05) + 1
        usual = self._options.chunk_bytes
        if wanted > _LARGE_BATCH_BYTES:
            self._report.warnings.append(
                f"--batch-size {records:,} holds {wanted / 1e6:,.0f} MB of records in memory at a"
                f" time; auto takes {max(1, int(usual / record_bytes)):,}"
            )
        return min(wanted, _LARGEST_CHUNK_BYTES)

    def _tell(self, stream: TableStream) -> None:
        tally, report = self._tally, self._report
        total = self.load.file.disk_bytes
        read = stream.disk_bytes_read
        self._watch(
            Progress(
                table=report.table,
                number=tally.number,
                tables=tally.tables,
                rows=report.read,
                rejected=report.rejected + report.duplicates - report.skipped,
                batches=self._batches,
                batches_expected=round(self._batches * total / read) if read else self._batches,
                bytes_read=read,
                bytes_total=total,
                all_rows=tally.rows_done + report.read,
                all_bytes_read=tally.bytes_done + read,
                all_bytes_total=tally.bytes_total,
            )
        )

    def _note_end(self, stream: TableStream, reader: Reader) -> None:
        """Say whether the file ends before its end."""
        report = self._report
        if reader.warning is not None:
            report.warnings.append(f"{report.file} {reader.warning}")
        report.cut_off = stream.fault is not None or reader.cut_off_at is not None
        if stream.fault is not None:
            report.warnings.append(stream.fault)
        if reader.cut_off_at is not None:
            report.warnings.append(
                f"{report.file} is cut off at byte {reader.cut_off_at:,}, within its records:"
                " some may be missing that nobody can name"
            )
