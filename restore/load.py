"""Loads one table: read, decode, COPY, batch by batch, shard by shard."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from restore.ahead import ahead
from restore.batch import Damage
from restore.destination import Direct, destination_for
from restore.dry_run import may_write
from restore.errors import RestoreError
from restore.filling import MOST_WAITING, Manner, ThawedError, filling
from restore.inserted import ByInsert
from restore.ladder import Ladder
from restore.read import Batch, Reader
from restore.segments import Decoded
from restore.shapes import Shapes
from restore.spool import Spool
from restore.values import Converter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    from restore.destination import Destination
    from restore.filling import Filling
    from restore.limits import Limits
    from restore.options import Options
    from restore.plan import Load
    from restore.rejects import RejectFile
    from restore.report import TableReport
    from restore.shards import Shard, ShardStream

# To learn how large records are, where batches are counted in records.
_SAMPLE_BYTES = 1 << 16
# A batch of --batch-size records is held in memory; past this it is not worth what it costs.
_LARGE_BATCH_BYTES = 8 << 20
_LARGEST_CHUNK_BYTES = 1 << 28
# Where a file is not streamed, all of it is read before any of it is loaded.
_WHOLE_FILE_BYTES = 1 << 62
_ONE_BY_ONE = Manner()


@dataclass(frozen=True, slots=True)
class Counts:
    """How far a shard's load is; bytes are those of the file as it lies on the disk."""

    report: TableReport
    batches: int = 0
    bytes_read: int = 0


class Listener(Protocol):
    """Is told after every batch how far the load of a shard is."""

    def __call__(self, counts: Counts, /) -> None:
        """Take note; what this raises stops the load."""


class TableLoad:
    """Loads one table's file, or shards of it, and keeps in mind what their records are like.

    Args:
        conn: a connection that commits each statement.
        load: the file and the table.
        options: how.
        limits: say when there are too many rejects.
    """

    def __init__(
        self, conn: psycopg.Connection, load: Load, *, options: Options, limits: Limits
    ) -> None:
        self._conn = conn
        self._load = load
        self._options = options
        self._limits = limits
        self._converter = Converter(options.timezone)
        self._shapes = Shapes(load.table, self._converter, options.without)
        with may_write(conn):
            self._destination = _destination(conn, load, options)

    def run(
        self,
        shard: Shard,
        *,
        report: TableReport,
        rejects: RejectFile,
        tell: Listener,
        manner: Manner = _ONE_BY_ONE,
    ) -> bool:
        """Load a shard; afterwards every record of it is counted.

        Args:
            shard: which.
            manner: how it may be filled in one COPY, if at all.
            report: takes the counts.
            rejects: takes the records that cannot be restored.
            tell: is told of progress.

        Returns:
            Whether it ends where another shard may begin.

        Raises:
            RestoreError: the load stopped.
        """
        self._converter.notes.clear()
        try:
            while manner != _ONE_BY_ONE and type(self._destination) is Direct:
                try:
                    return self._read(shard, report, rejects, tell, manner)
                except ThawedError as error:
                    if self._shapes.minds_nul or not error.for_nul:
                        break
                    self._shapes.minds_nul = True
            return self._read(shard, report, rejects, tell)
        except RestoreError as error:
            report.error = " ".join(str(error).split())
            raise
        finally:
            report.warnings += sorted(self._converter.notes)

    def ladder(self, report: TableReport, rejects: RejectFile) -> Ladder:
        """Return what loads the table's records, with these counts and rejects."""
        return Ladder(
            self._conn,
            self._load.table,
            destination=self._destination,
            converter=self._converter,
            shapes=self._shapes,
            options=self._options,
            rejects=rejects,
            report=report,
            limits=self._limits,
        )

    def _read(
        self,
        shard: Shard,
        report: TableReport,
        rejects: RejectFile,
        tell: Listener,
        manner: Manner = _ONE_BY_ONE,
    ) -> bool:
        """Read a shard to its end and load what it holds, at first in one COPY if that may be.

        Raises:
            ThawedError: some rows were refused there; nothing is loaded or counted.
        """
        ladder = self.ladder(report, rejects)
        with contextlib.closing(shard.open(self._load.file)) as stream:
            reader = Reader(
                stream,
                self._first_chunk(),
                ladder.decode,
                inside=shard.form,
                seam=shard.end is not None,
            )
            batches = 0

            def took(found: Batch | Damage) -> None:
                nonlocal batches
                if isinstance(found, Batch):
                    if not batches:
                        reader.chunk_bytes = self._chunk_for(found, reader.chunk_bytes, report)
                    batches += 1
                tell(Counts(report, batches, stream.disk_bytes_read))

            items = _with_raws(reader)
            if manner != _ONE_BY_ONE:
                items = self._fill(items, ladder, report, manner, took)
            # Between two COPYs the server is waited for; in one COPY it works all the time.
            with contextlib.closing(ahead(items)) as left:
                for found in left:
                    if isinstance(found, Batch):
                        ladder.load(found)
                    else:
                        ladder.damage(found)
                    took(found)
            if report.decided != report.read:
                raise AssertionError(f"{report.table}: records are counted that were not read")
            if shard.end is None:
                _note_end(stream, reader, report)
            return reader.seam_holds

    def _fill(
        self,
        items: Iterator[Batch | Damage],
        ladder: Ladder,
        report: TableReport,
        manner: Manner,
        took: Callable[[Batch | Damage], None],
    ) -> Iterator[Batch | Damage]:
        """Load batches in one COPY as long as that goes, and then what had to wait for its end.

        Returns:
            What is left to load, once these are committed.

        Raises:
            ThawedError: one was refused; nothing is loaded or counted.
        """
        left = items
        with contextlib.closing(Spool()) as spool:
            waiting = spool if manner.orderless else None
            try:
                with filling(self._conn, self._load.table, fresh=manner.fresh) as fill:
                    for found in items:
                        if not _filled(found, ladder, fill, waiting):
                            left = chain((found,), items)
                            break
                        took(found)
            except BaseException:
                report.forget()
                raise
            for record, reason in spool:
                if reason:
                    ladder.damage(Damage(record, reason))
                else:
                    ladder.load_record(record)
        return left

    def _first_chunk(self) -> int:
        if "streaming" in self._options.without:
            return _WHOLE_FILE_BYTES
        return _SAMPLE_BYTES if self._options.batch_size else self._options.chunk_bytes

    def _chunk_for(self, first: Batch, chunk_bytes: int, report: TableReport) -> int:
        """Return how much to read at a time from here on, knowing how large records are."""
        records, usual = self._options.batch_size, self._options.chunk_bytes
        if records is None or "streaming" in self._options.without:
            return chunk_bytes
        record_bytes = len(first.data) / first.count
        wanted = int(records * record_bytes * 1.05) + 1
        if wanted > _LARGE_BATCH_BYTES:
            report.warnings.append(
                f"--batch-size {records:,} holds {wanted / 1e6:,.0f} MB of records in memory at a"
                f" time; auto takes {max(1, int(usual / record_bytes)):,}"
            )
        return min(wanted, _LARGEST_CHUNK_BYTES)


def _with_raws(reader: Reader) -> Iterator[Batch | Damage]:
    """Yield what is read; batches know the records' bytes where decoding has found them."""
    for found in reader:
        if isinstance(found, Batch) and isinstance(found.rows, Decoded):
            if found.rows.raws is not None:
                found.know_raws(found.rows.raws)
            if found.rows.spans is not None:
                found.know_spans(found.rows.spans)
        yield found


def _filled(found: Batch | Damage, ladder: Ladder, fill: Filling, waiting: Spool | None) -> bool:
    """Send what was read, or have it wait; say whether either could be."""
    if waiting is not None and len(waiting) > MOST_WAITING:
        return False
    if isinstance(found, Batch):
        return ladder.fill(found, fill, waiting)
    if waiting is not None:
        waiting.add(found.record, found.reason)
    return waiting is not None


def _destination(conn: psycopg.Connection, load: Load, options: Options) -> Destination:
    if "copy" in options.without and options.on_conflict == "reject":
        return ByInsert(conn, load.table)
    return destination_for(conn, load.table, options.on_conflict)


def _note_end(stream: ShardStream, reader: Reader, report: TableReport) -> None:
    """Say whether the file ends before its end."""
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
