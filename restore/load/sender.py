"""Sends rows of a batch, in one transaction, and counts what became of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import psycopg

from restore.load.copy import CopyFailure
from restore.target.sqlstate import retry_transient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restore.decode.rows import PackedRows
    from restore.decode.segments import Segment
    from restore.load.destination import Destination, Sent
    from restore.load.tracking import Tracking
    from restore.report.reasons import Level


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
            level: the rung of the ladder.
            after: all records before this place in the file are decided then.
        """
        try:
            retry_transient(partial(self._send, sends, level, after))
        except RefusedError as error:
            return error.to_load_error
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

    def __init__(self, to_load_error: CopyFailure) -> None:
        super().__init__(to_load_error.message)
        self.to_load_error = to_load_error
