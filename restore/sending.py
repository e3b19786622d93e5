"""Sends rows of a batch, in one transaction, and counts what became of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import psycopg

from restore.copy import CopyFailure
from restore.locks import refusal
from restore.transient import is_data_error, retrying

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restore.catalog import Table
    from restore.destination import Destination, Sent
    from restore.packed import Rows
    from restore.report import Level, TableReport
    from restore.segments import Segment
    from restore.shard_log import Log
    from restore.unknown import Unknown


class Sender:
    """Sends rows into one table.

    Args:
        conn: a connection that commits each statement.
        table: the target.
        destination: how its rows go in.
        unknown: what becomes of fields without a column.
        report: the table's counts.
        log: gives the transactions.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        table: Table,
        destination: Destination,
        *,
        unknown: Unknown,
        report: TableReport,
        log: Log,
    ) -> None:
        self._conn = conn
        self._table = table
        self._destination = destination
        self._unknown = unknown
        self._report = report
        self._log = log

    def send(
        self, sends: Sequence[tuple[Segment, Rows]], level: Level, after: int
    ) -> CopyFailure | None:
        """Send rows of segments, in one transaction, and count them, or say what was refused.

        Args:
            sends: the rows.
            level: the rung of the ladder.
            after: all records before this place in the file are decided then.

        Raises:
            LoadError: the server or the connection failed, or the table as a whole is refused.
        """
        try:
            return retrying(partial(self._send, sends, level, after))
        except psycopg.Error as error:
            raise refusal(self._conn, error, self._table) from error

    def _send(
        self, sends: Sequence[tuple[Segment, Rows]], level: Level, after: int
    ) -> CopyFailure | None:
        try:
            with self._log.step(after):
                for segment, rows in sends:
                    self._send_rows(segment, rows, level)
        except _RefusedError as error:
            return error.failure
        except psycopg.Error as error:
            if is_data_error(error):  # by a constraint that is looked at when all is in
                return CopyFailure(error, error.diag.message_primary or str(error), None)
            raise
        return None

    def _send_rows(self, segment: Segment, rows: Rows, level: Level) -> None:
        codec = segment.codec
        if codec is None:
            raise AssertionError("a record without a codec is loaded by itself")
        self._unknown.check_rows(codec, rows)
        sent = self._destination.copy(codec, rows)
        if isinstance(sent, CopyFailure):
            if sent.error:
                self.stop_unless_data(sent.error)
            raise _RefusedError(sent)
        self.count(segment, rows, sent, level)

    def count(self, segment: Segment, rows: Rows, sent: Sent, level: Level) -> None:
        """Count rows that were sent."""
        self._report.count_loaded(level, sent.loaded)
        self._report.count_skipped(sent.skipped)
        self._report.replaced += sent.replaced
        self._unknown.count_rows(segment.codec, rows)

    def stop_unless_data(self, error: psycopg.Error) -> None:
        """See that an error speaks of the data.

        Raises:
            LoadError: it does not.
        """
        if not is_data_error(error):
            raise refusal(self._conn, error, self._table) from error


class _RefusedError(Exception):
    """Rows were refused; what their transaction had done is undone."""

    def __init__(self, failure: CopyFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure
