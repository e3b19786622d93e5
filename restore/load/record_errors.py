"""Tells errors of a record from errors of its table or of the server, by experiment.

An SQLSTATE alone does not tell: a bad ``tsvector`` is a "syntax error", a bad ``regclass`` an
"undefined table", and a function of the user's raises what it likes. So:

1. If the table takes no rows at all, not even none, the error is no record's: the restore stops.
2. If a value alone cannot be cast to its column's type, the error is the record's.
3. Any other error is the record's, too, unless it repeats from record to record with none loaded in
   between: then the table lacks something that all of them need, and the restore stops.

The message names the first record that failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from restore.decode.expressions import quoted
from restore.target.locks import load_error
from restore.target.sqlstate import is_data_error, is_server_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restore.errors import LoadError
    from restore.load.destination import Destination, Value
    from restore.load.sender import Tracking
    from restore.report.reasons import Reason
    from restore.source.records import RawRecord
    from restore.target.catalog import Table

# So many records in a row are rejected for one error that is not known to be of their data.
LONGEST_RUN = 100
_CHANGED = {
    "42P01": "the table was dropped while it was restored",
    "42703": "the table was altered while it was restored",
}


class RecordErrors:
    """Stops the restore of a table for errors that are not of its records.

    Args:
        conn: the connection that loads.
        table: the target.
        destination: how its rows go in.
        tracking: tracks its records.
        longest_run: how many records in a row may fail with one error that is not known to be of
            their data; None: any number.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        table: Table,
        *,
        destination: Destination,
        tracking: Tracking,
        longest_run: int | None = LONGEST_RUN,
    ) -> None:
        self._longest_run = longest_run
        self._conn = conn
        self._table = table
        self._destination = destination
        self._tracking = tracking
        # The error that repeats, how often, where it began, and how many rows were loaded by then.
        self._repeated: tuple[str | None, str] = None, ""
        self._count = self._first_offset = self._loaded = 0

    def check_rows(self, error: psycopg.Error, columns: Sequence[str], offset: int) -> None:
        """Raise if it is not known that an error is of some of the rows that failed with it.

        Args:
            error: why a COPY failed.
            columns: the columns that it named.
            offset: where in the file the first of the records begins.

        Raises:
            LoadError: the server failed, or the table takes no rows.
        """
        if is_server_error(error):
            raise self._stopped(error, offset)
        if not is_data_error(error):
            self._probe(columns, offset)

    def check_record(
        self, error: psycopg.Error, values: Sequence[Value], record: RawRecord, reason: Reason
    ) -> None:
        """Raise if an error is not of the record that failed with it alone.

        Args:
            error: why the INSERT failed.
            values: those of the record.
            record: the record.
            reason: the error as the reason of a reject.

        Raises:
            LoadError: the server failed, the table takes no rows, or too many records in a row
                failed with the same error.
        """
        if is_server_error(error):
            raise self._stopped(error, record.offset)
        if is_data_error(error) or any(self._is_of(value, error) for value in values):
            return
        self._probe([value.column.name for value in values], record.offset)
        repeated = reason.sqlstate, reason.group
        if repeated != self._repeated or self._loaded != self._tracking.report.loaded:
            self._repeated, self._loaded = repeated, self._tracking.report.loaded
            self._count, self._first_offset = 0, record.offset
        self._count += 1
        if self._longest_run is not None and self._count > self._longest_run:
            others = f"more than {self._longest_run} records in a row failed with this error"
            raise self._stopped(error, self._first_offset, others)

    def _is_of(self, value: Value, error: psycopg.Error) -> bool:
        """Tell whether a value's cast to the type of its column fails with the same SQLSTATE."""
        type_ = value.column.type
        query = sql.SQL("SELECT CAST({} AS {})").format(
            value.expression, quoted(type_.schema, type_.name)
        )
        try:
            with self._conn.transaction():
                self._conn.execute(query, [value.value])
        except psycopg.Error as failed:
            return failed.sqlstate == error.sqlstate
        return False

    def _probe(self, columns: Sequence[str], offset: int) -> None:
        """Write no rows into these columns of the table, as rows are written.

        Raises:
            LoadError: not even that can be done.
        """
        advice = ""
        try:
            with self._tracking.log.step(offset):
                try:
                    self._destination.probe(columns)
                except psycopg.Error as error:
                    advice = _CHANGED.get(error.sqlstate or "", "")
                    raise
        except psycopg.Error as error:
            raise self._stopped(error, offset, advice=advice) from error

    def _stopped(
        self, error: psycopg.Error, offset: int, others: str = "", *, advice: str = ""
    ) -> LoadError:
        """Return what stops the restore, with the place of the first record that failed."""
        stopped = load_error(self._conn, error, self._table)
        said = f"{stopped}; {advice}" if advice else str(stopped)
        place = f"byte {offset:,} of {self._tracking.report.file}"
        failed = f"{others}, the first" if others else "the record that failed is"
        return type(stopped)(f"{said}; {failed} at {place}")
