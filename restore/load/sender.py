"""Sends rows by COPY, and tracks what becomes of records: counts, rejects, unknown fields."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

import psycopg
from msgspec import Struct

from restore.errors import LoadError
from restore.load.copy import CopyFailure
from restore.report.model import LONGEST_NAME
from restore.target.sqlstate import retry_transient
from restore.text import clip

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from restore.decode.codec import Codec
    from restore.decode.rows import PackedRows
    from restore.decode.segments import Segment
    from restore.journal.checkpoints import Log
    from restore.load.destination import Destination, Sent
    from restore.options import UnknownFields
    from restore.rejects.limits import RejectLimits
    from restore.rejects.writer import RejectSink
    from restore.report.model import TableReport
    from restore.report.reasons import Level, Reason
    from restore.source.reader import RawRecord
    from restore.target.catalog import Table


_MOST_SHOWN = 10


class UnknownFieldPolicy:
    """What becomes of one table's unknown fields.

    Args:
        table: the target.
        meaning: whether the restore stops at one.
        report: the table's counts.
    """

    def __init__(self, table: Table, meaning: UnknownFields, report: TableReport) -> None:
        self._table = table
        self._stops = meaning == "error"
        self._report = report
        self._named = {column.field for column in table.columns}

    def check(self, names: Iterable[str]) -> None:
        """See that the restore need not stop at fields of these names.

        Raises:
            LoadError: it has to.
        """
        unknown = sorted(set(names) - self._named) if self._stops else []
        if unknown:
            shown = ", ".join(repr(clip(name, LONGEST_NAME)) for name in unknown[:_MOST_SHOWN])
            more = f" and {len(unknown) - _MOST_SHOWN:,} more" if unknown[_MOST_SHOWN:] else ""
            raise LoadError(
                f"table {self._table.name} has no column for {shown}{more}, and"
                " --unknown-fields is error: add the column, or restore with --unknown-fields warn"
            )

    def check_rows(self, codec: Codec, rows: PackedRows) -> None:
        """See the same of decoded rows.

        Raises:
            LoadError: the restore has to stop.
        """
        if self._stops:
            self.check(name for names in codec.unknown_in(rows) for name in names)

    def count(self, names: Iterable[str], records: int = 1) -> None:
        """Count unknown fields among those of a record; those with a column are generated ones."""
        self._report.count_unknown((n for n in names if n not in self._named), records)

    def count_rows(self, codec: Codec | None, rows: PackedRows) -> None:
        """Count those of decoded rows, and the values that options changed."""
        if codec is not None:
            for names in codec.unknown_in(rows):
                self.count(names)
            for changes in rows.changes():
                self._report.count_changes(changes)


class Tracking(Struct, frozen=True):
    """Tracks the records of one table.

    Args:
        report: takes the counts.
        rejects: takes the records that are refused.
        limits: say when there are too many of these.
        unknown: what becomes of fields without a column.
        log: gives the transactions in which rows go in.
    """

    report: TableReport
    rejects: RejectSink
    limits: RejectLimits
    unknown: UnknownFieldPolicy
    log: Log

    def reject(self, record: RawRecord, reason: Reason) -> None:
        """Keep a record as a reject, and count it.

        Raises:
            LoadError: the file cannot be written.
        """
        self.rejects.add(record, reason)
        self.report.count_reject(reason, record.ordinal, record.offset)

    @contextlib.contextmanager
    def step(self, after: int) -> Iterator[None]:
        """Give a transaction for rows and rejects; with it, all before a place are decided.

        If it fails, counts and rejects are again what they were.
        """
        with (
            self.report.rollback_on_error(),
            self.rejects.rollback_on_error(),
            self.log.step(after),
        ):
            yield


class Sender:
    """Sends rows into one table.

    Args:
        destination: how its rows go in.
        tracking: tracks its records.
    """

    def __init__(self, destination: Destination, tracking: Tracking) -> None:
        self._destination = destination
        self._tracking = tracking

    def send(
        self, sends: Sequence[tuple[Segment, PackedRows]], level: Level, after: int
    ) -> CopyFailure | None:
        """Send rows of segments, in one transaction, and count them, or say what was refused.

        Transient errors are tried again.

        Args:
            sends: the rows.
            level: the level.
            after: all records before this place in the file are decided then.
        """
        try:
            retry_transient(partial(self._send, sends, level, after))
        except RefusedError as error:
            return error.failure
        except psycopg.Error as error:  # of a constraint that is looked at when all is in, say
            return CopyFailure(error, error.diag.message_primary or str(error), None)
        return None

    def _send(self, sends: Sequence[tuple[Segment, PackedRows]], level: Level, after: int) -> None:
        with self._tracking.log.step(after):
            for segment, rows in sends:
                self.send_rows(segment, rows, level)

    def send_rows(self, segment: Segment, rows: PackedRows, level: Level) -> None:
        """Send rows in the transaction that is open, and count them.

        Raises:
            RefusedError: some were refused.
            LoadError: a field has no column, and that stops the restore.
        """
        codec = segment.codec
        if codec is None:
            raise AssertionError("a record without a codec is loaded by itself")
        self._tracking.unknown.check_rows(codec, rows)
        sent = self._destination.copy(codec, rows)
        if isinstance(sent, CopyFailure):
            raise RefusedError(sent)
        self.count(segment, rows, sent, level)

    def count(self, segment: Segment, rows: PackedRows, sent: Sent, level: Level) -> None:
        """Count rows that were sent."""
        self._tracking.report.count_loaded(level, sent.loaded)
        self._tracking.report.count_skipped(sent.skipped)
        self._tracking.report.replaced += sent.replaced
        self._tracking.unknown.count_rows(segment.codec, rows)


class RefusedError(Exception):
    """Rows were refused; what their transaction had done is undone."""

    def __init__(self, failure: CopyFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure
