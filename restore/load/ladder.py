"""Loads batches by COPY, and falls back to smaller batches and single records.

1. ``batch``: a batch is sent as one COPY.
2. ``split``: a COPY that fails is split at the row that PostgreSQL names, or in halves where it
   names none; records that do not decode like the others are parted from them first.
3. ``row``: a record that fails alone is inserted with typed parameters. These know forms of values
   that a COPY of the whole batch does not: ``3.0`` for an integer, numbers that are instants.
4. ``literal``: what we do not read ourselves is inserted as text that the server casts: dates in
   other spellings, ``"yes"``. What it refuses then is rejected.

Where keys are in place, the file's order is kept, so that of two records the first wins.
"""

from __future__ import annotations

import contextlib
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import psycopg

from restore.decode.segments import Decoded, Segment, group_by_codec
from restore.load.destination import CopyDestination, Destination, Sent
from restore.load.isolation import Isolation, Refusals
from restore.load.missing_ids import LateCounter
from restore.load.multi_insert import Inserter, are_many
from restore.load.record_errors import LONGEST_RUN, RecordErrors
from restore.load.row_insert import RecordLoader, RowInserter
from restore.load.sender import Sender, Tracking, UnknownFieldPolicy
from restore.load.splitting import Splitter
from restore.report.reasons import Reason
from restore.source.json_values import values_of
from restore.source.records import Damage, RecordSelection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from restore.decode.convert import Converter
    from restore.decode.shapes import ShapeLearner
    from restore.journal.checkpoints import Log
    from restore.load.bulk_copy import BulkCopy, DeferredRecords
    from restore.options import Options
    from restore.rejects.limits import RejectLimits
    from restore.rejects.writer import RejectSink
    from restore.report.model import TableReport
    from restore.source.reader import Batch, RawRecord
    from restore.source.records import Records
    from restore.target.catalog import Table

# With more stretches of different shapes than this, a batch is sent shape by shape.
_MOST_SEGMENTS = 4
_LOADED_AGAIN = 512


class Ladder:
    """Loads one table's batches, and counts what becomes of each record in ``report``.

    Args:
        conn: a connection that commits each statement.
        table: the target.
        destination: how its rows go in.
        converter: how its values are read.
        shapes: what its records are like, as far as it is known.
        options: what unknown fields mean, the size of batches.
        rejects: where records go that cannot be restored.
        report: the table's counts.
        limits: say when there are too many rejects.
        log: gives the transactions in which rows go in.
        longest_run: as for ``RecordErrors``.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        table: Table,
        *,
        destination: Destination,
        converter: Converter,
        shapes: ShapeLearner,
        options: Options,
        rejects: RejectSink,
        report: TableReport,
        limits: RejectLimits,
        log: Log,
        longest_run: int | None = LONGEST_RUN,
    ) -> None:
        self._options = options
        self._report = report
        self._late = LateCounter(shapes.turns, report)
        self._limits = limits
        self._shapes = shapes
        self._unknown = UnknownFieldPolicy(table, options.unknown_fields, report)
        self._single = single = RowInserter(conn, table, destination, converter, options.timezone)
        tracking = Tracking(report, rejects, limits, self._unknown, log)
        self._sender = Sender(destination, tracking)
        errors = RecordErrors(
            conn, table, destination=destination, tracking=tracking, longest_run=longest_run
        )
        self._one_by_one = RecordLoader(single, errors, tracking)
        self._inserter: Inserter | None = None
        refusals = isolation = None
        is_direct = type(destination) is CopyDestination
        # Times in other zones take several statements. Triggers may do what is not rolled back;
        # limits ask for the first reject that is too many.
        if options.timezone == "UTC" and not (options.triggers or limits.can_stop):
            if (
                isinstance(destination, CopyDestination)
                and is_direct
                and psycopg.Pipeline.is_supported()
            ):
                refusals = Refusals(conn, destination)
            isolation = Isolation(
                conn, refusals, single=single, sender=self._sender, tracking=tracking
            )
        if options.timezone == "UTC" and is_direct:
            self._inserter = Inserter(
                conn,
                table,
                single=single,
                one_by_one=self._one_by_one,
                refusals=refusals,
                tracking=tracking,
            )
        self._splitter = Splitter(
            self._sender,
            errors=errors,
            one_by_one=self._one_by_one,
            isolation=isolation,
            late=self._late,
            # A row's parent may come with it in one COPY.
            of_itself=any(key.parent == table.oid for key in table.foreign_keys),
        )

    def decode(self, data: bytes) -> Decoded:
        """Decode a JSON array of records. Another thread may call this.

        Raises:
            msgspec.DecodeError: it is not a JSON array of objects.
        """
        return self._shapes.decode(data)

    def load(self, batch: Records, decided: int = 0) -> None:
        """Load a batch; afterwards each of its records is counted as loaded or kept as a reject.

        Args:
            batch: the records.
            decided: what stands before this place is decided already.

        Raises:
            LoadError: the server or the connection failed, or the table as a whole is refused.
        """
        batch, segments = self._chosen(batch)
        if decided and batch.count and batch.record(0).offset < decided:
            self._load_behind(batch, decided)
            return
        with self._count_as_read(batch.count):
            self._load(batch, segments)
        self._late.end(batch)
        self._limits.after_batch()

    def _load_behind(self, batch: Records, place: int) -> None:
        for index in range(batch.count if batch.end > place else 0):
            record = batch.record(index)
            if record.offset >= place:
                self._late.at(batch, index)
                self.load_record(record)
        self._late.end(batch)

    def _chosen(self, batch: Records) -> tuple[Records, list[Segment]]:
        """Return the records whose turn it is, and their segments."""
        rows = batch.rows
        decoded = rows if isinstance(rows, Decoded) else self.decode(batch.data)
        chosen = batch if decoded.places is None else RecordSelection(batch, decoded.places)
        return chosen, decoded.segments

    def fill(self, found: Batch | Damage, copy: BulkCopy, deferred: DeferredRecords | None) -> bool:
        """Send what was read with more in one COPY, or nothing of it.

        Args:
            found: the records, or damage.
            copy: the COPY.
            deferred: takes those that have to be looked at by themselves; None: if there are any,
                nothing is sent.

        Returns:
            Whether it was sent.

        Raises:
            BulkCopyRefusedError: it, or what was sent before it, was refused.
        """
        if isinstance(found, Damage):
            return deferred is not None and deferred.add([found])
        batch, segments = self._chosen(found)
        if self._options.sent_at_once(batch.count) < batch.count:
            return False
        if deferred is None and (len(segments) > 1 or any(s.codec is None for s in segments)):
            return False
        if are_many(segments, batch.count):
            return False
        alone = [batch.record(s.start) for s in segments if s.codec is None]
        if deferred is not None and not deferred.add(alone):
            return False
        for segment in group_by_codec(segments):
            if segment.codec is not None:
                self._unknown.check_rows(segment.codec, segment.rows)
                copy.send(segment.codec, segment.rows)
                sent, whole = Sent(len(segment.rows)), len(segments) == 1
                self._sender.count(segment, segment.rows, sent, "batch" if whole else "split")
                self._report.read += sent.loaded
        self._late.end(batch)
        return True

    def load_deferred(self, found: Iterable[RawRecord | Damage]) -> None:
        """Load records that no COPY takes, and damage, in their order."""
        records: list[RawRecord] = []
        for each in found:
            if isinstance(each, Damage):
                self._load_alone(records)
                records = []
                self.damage(each)
            else:
                records.append(each)
        self._load_alone(records)

    def _load_alone(self, records: Sequence[RawRecord]) -> None:
        """Load records that are not sent with others, many by one INSERT if that can be done."""
        if self._inserter is None:
            for record in records:
                self.load_record(record)
            return
        with self._count_as_read(len(records)):
            self._inserter.load(records)
        self._limits.after_batch()

    def load_record(self, record: RawRecord) -> None:
        """Load a record by itself."""
        with self._count_as_read(1):
            self._one_by_one.load(record)
        self._limits.after_batch()

    def reload_records(self, records: Iterable[RawRecord]) -> None:
        """Load records whose rows were in and have left the table; they are read already."""
        left = iter(records)
        while group := list(islice(left, _LOADED_AGAIN)):
            for record in group:
                fields = values_of(record.raw)
                self._unknown.count(fields, -1)
                self._report.count_changes(self._single.changes_of(fields), -1)
            if self._inserter is not None:
                self._inserter.load(group)
                continue
            for record in group:
                self._one_by_one.load(record)

    def pass_over(self, damage: Damage) -> None:
        """Pass over bytes that are decided already, or were left for later."""
        fields = self._single.with_bare_numbers(damage.record.raw)
        if not self._shapes.turns.takes_fields(fields):
            self._late.leave(1)

    def damage(self, damage: Damage) -> None:
        """Keep bytes that are no record, unless only bare ``NaN`` keeps them from being one."""
        fields = self._single.with_bare_numbers(damage.record.raw)
        if not self._shapes.turns.takes_fields(fields):
            self._late.leave(1)
            return
        with self._count_as_read(1):
            if fields is None:
                self._one_by_one.reject(damage.record, Reason(level="read", message=damage.reason))
            else:
                self._one_by_one.load_fields(damage.record, fields)
        self._limits.after_batch()

    @contextlib.contextmanager
    def _count_as_read(self, count: int) -> Iterator[None]:
        """Count records as read; where the load stops among them, those that are decided."""
        before = self._report.accounted
        try:
            yield
        except BaseException:
            self._report.read += self._report.accounted - before
            raise
        self._report.read += count

    def _load(self, batch: Records, segments: list[Segment]) -> None:
        whole = len(segments) == 1
        if self._inserter is not None and are_many(segments, batch.count):
            records = [batch.record(index) for index in range(batch.count)]
            self._inserter.load(records, partial(self._late.at, batch))
            return
        if len(segments) > _MOST_SEGMENTS and self._load_by_shape(batch, segments):
            return
        for segment in segments:
            if segment.codec is None:
                self._late.at(batch, segment.start)
                self._one_by_one.load(batch.record(segment.start))
            else:
                size = self._options.sent_at_once(batch.count)
                self._splitter.load(batch, segment, "batch" if whole else "split", size)

    def _load_by_shape(self, batch: Records, segments: list[Segment]) -> bool:
        """Load many short segments as one COPY for each codec, in one transaction.

        Returns:
            False: some row was refused, or has to be loaded by itself; then none is loaded.
        """
        groups = group_by_codec(segments)
        if any(segment.codec is None for segment in groups):
            return False
        sends = [(group, group.rows) for group in groups]
        # One that is refused leaves it to the file's order to decide, row by row.
        return self._sender.send(sends, "batch", self._late.at(batch, batch.count).end) is None
