"""Loads a record by itself: typed where we read its values, as literals where only the server does.

It is slower than COPY by two orders of magnitude and meant for few records.
"""

from __future__ import annotations

import contextlib
import decimal
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple

import psycopg
from msgspec import Struct
from psycopg import sql

from restore.decode.encode import ENCODE_ERRORS
from restore.decode.expressions import form_of
from restore.errors import LossyValueError, UnsupportedFormError
from restore.load.destination import Destination, KeptOutError, Sent, Value
from restore.report.reasons import Reason
from restore.source.bare_numbers import with_bare_numbers
from restore.source.json_values import values_of
from restore.source.recovery import DECODE_ERRORS
from restore.target.sqlstate import is_of_client, retry_transient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.decode.convert import Converter
    from restore.load.record_errors import RecordErrors
    from restore.load.sender import Tracking
    from restore.source.reader import RawRecord
    from restore.source.records import Fields
    from restore.target.catalog import Table


RowLevel = Literal["row", "literal"]
Step = Callable[[RowLevel, Sequence[str]], AbstractContextManager[Callable[[Sent], None]]]
"""Returns a transaction for a row inserted at a level with changed values, and what counts it."""

_UNIQUE_VIOLATION = "23505"
_MOST_NAMED = 6
_FLOATS = frozenset({"float4", "float8", "numeric"})


class Refused(Struct, frozen=True):
    """The reason why a record was rejected, and the server's error if it is one.

    ``values`` are those that were sent to the server.
    """

    reason: Reason
    error: psycopg.Error | None = None
    values: Sequence[Value] = ()


class Attempt(NamedTuple):
    """The values of a record, the level at which they are sent, and their bytes in the file.

    ``changes``: what policies changed.
    """

    values: list[Value]
    level: RowLevel
    size: int
    changes: tuple[str, ...] = ()


class RowInserter:
    """Loads records one by one into one table.

    Args:
        conn: a connection that commits each statement, its time zone ``zone``.
        table: the target.
        destination: how its rows go in.
        converter: how its values are read.
        zone: the time zone of times that are written without one.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        table: Table,
        destination: Destination,
        converter: Converter,
        zone: str,
    ) -> None:
        self._conn = conn
        self._columns = {c.field: c for c in table.columns if not c.generated}
        self._null_if_absent = [c for c in self._columns.values() if c.null_if_absent]
        self._all_fields = frozenset(c.field for c in table.columns)
        self._destination = destination
        self._converter = converter.another()  # another thread decodes with the given one
        self._zone = zone

    def insert(self, fields: Fields, step: Step) -> Refused | None:
        """Insert a record, given by its fields as they stand in the file.

        Args:
            fields: the record.
            step: gives the transaction, and counts what became of it.

        Returns:
            Why it was refused. No exception, which would keep the record in memory.
        """
        attempt = self.read(fields)
        if isinstance(attempt, Refused):
            return attempt
        values, level = attempt.values, attempt.level
        try:
            retry_transient(partial(self._send, attempt, step))
        except KeptOutError as error:
            return Refused(Reason(level=level, message=str(error)))
        except psycopg.Error as error:
            error.__traceback__ = None
            return Refused(reason_of(error, level), None if is_of_client(error) else error, values)
        except ENCODE_ERRORS as error:
            return Refused(Reason(level=level, message=" ".join(str(error).split())))
        return None

    def read(self, fields: Fields) -> Attempt | Refused:
        """Return a record's values, or why it is no row, or a column cannot hold one as it is."""
        if fields and self._all_fields.isdisjoint(fields):
            named = ", ".join(map(repr, islice(fields, _MOST_NAMED)))
            return Refused(Reason(level="read", message="no field is a column", detail=named))
        try:
            return self._values(fields)
        except (LossyValueError, *DECODE_ERRORS, *ENCODE_ERRORS) as error:
            return Refused(Reason(level="row", message=" ".join(str(error).split())))

    def changes_of(self, fields: Fields) -> tuple[str, ...]:
        """Return what policies change in a record."""
        attempt = self.read(fields)
        return () if isinstance(attempt, Refused) else attempt.changes

    def _send(self, attempt: Attempt, step: Step) -> None:
        with step(attempt.level, attempt.changes) as count:
            with self._in_utc_session(attempt.values) as read:
                sent = self._destination.insert(read)
            count(sent)

    def _values(self, fields: Fields) -> Attempt:
        """Return a record's values.

        Raises:
            LossyValueError: a column cannot hold a value as it is.
        """
        self._converter.take_changes()  # those of a record that was refused
        values: list[Value] = []
        level: RowLevel = "row"
        size = 0
        for name, raw in fields.items():
            column = self._columns.get(name)
            if column is None:
                continue
            text = bytes(raw)
            size += len(text)
            try:
                value, as_literal = self._converter.to_python(column, text), False
                if isinstance(value, decimal.Decimal):
                    value = str(value)  # of numbers that are too large, the binary form is smaller
            except UnsupportedFormError:
                value, as_literal = self._converter.to_literal(column, text), True
                level = "literal"
            is_instant = as_literal or getattr(value, "tzinfo", None) is not None
            values.append(Value(column, value, form_of(column, is_instant=is_instant)))
        values += [Value(c, None) for c in self._null_if_absent if c.field not in fields]
        return Attempt(values, level, size, self._converter.take_changes())

    @contextlib.contextmanager
    def _in_utc_session(self, values: list[Value]) -> Iterator[list[Value]]:
        """Have times of columns without a zone read in UTC, others in the zone asked for.

        The session's zone is the one asked for; an offset in a time of a column that has none is
        converted to UTC, whatever that zone is.
        """
        plain = [v.column.type.name == "timestamp" and isinstance(v.value, str) for v in values]
        if self._zone == "UTC" or not any(plain):
            yield values
            return
        self._conn.execute("SELECT pg_catalog.set_config('TimeZone', 'UTC', true)")
        read = [
            self._read(value) if is_plain else value
            for value, is_plain in zip(values, plain, strict=True)
        ]
        self._conn.execute("SELECT pg_catalog.set_config('TimeZone', %s, true)", [self._zone])
        yield read

    def _read(self, value: Value) -> Value:
        """Have the server read a literal now."""
        query = sql.SQL("SELECT {}::pg_catalog.text").format(value.expression)
        [(text,)] = self._conn.execute(query, [value.value]).fetchall()
        return Value(value.column, text)

    def with_bare_numbers(self, raw: bytes) -> Fields | None:
        """Return the fields of a record that only ``NaN`` or ``Infinity`` keep from being JSON.

        Returns:
            None where it is none, or where a column could not hold such a number.
        """
        found = with_bare_numbers(raw)
        if found is None or len(found.names) != found.total:
            return None
        columns = [self._columns.get(name) for name in found.names]
        fit = all(column is not None and column.type.name in _FLOATS for column in columns)
        return found.fields if fit else None


def reason_of(error: psycopg.Error, level: RowLevel) -> Reason:
    """Return an error of the server as the reason of a reject."""
    # Hints of data exceptions tell how to write a statement, not a record.
    is_of_value = isinstance(error, psycopg.DataError)
    hint = "" if is_of_value else error.diag.message_hint or ""
    return Reason(
        level=level,
        message=" ".join((error.diag.message_primary or str(error)).split()),
        detail=" ".join(f"{error.diag.message_detail or ''} {hint}".split()),
        duplicate=error.sqlstate == _UNIQUE_VIOLATION,
        sqlstate=error.sqlstate,
        constraint=error.diag.constraint_name,
    )


class RecordLoader:
    """Loads records on the last two levels of the ladder.

    Args:
        single: inserts a record.
        errors: stop the restore for errors that are not of its records.
        tracking: tracks the records.
    """

    def __init__(self, single: RowInserter, errors: RecordErrors, tracking: Tracking) -> None:
        self._single = single
        self._errors = errors
        self._tracking = tracking

    def load(self, record: RawRecord) -> None:
        """Load a record; afterwards it is counted as loaded or kept as a reject.

        Raises:
            LoadError: the error is not of the record, or there are too many rejects.
        """
        try:
            fields = values_of(record.raw)
        except DECODE_ERRORS as error:
            self.reject(record, Reason(level="read", message=str(error)))
            return
        self.load_fields(record, fields)

    def load_fields(self, record: RawRecord, fields: Fields) -> None:
        """Load a record of which the fields are known; as ``load`` does."""
        tracking = self._tracking
        tracking.unknown.check(fields)

        @contextlib.contextmanager
        def step(level: RowLevel, changes: Sequence[str]) -> Iterator[Callable[[Sent], None]]:
            def count(sent: Sent) -> None:
                tracking.report.count_loaded(level, sent.loaded)
                tracking.report.count_skipped(sent.skipped)
                tracking.report.replaced += sent.replaced
                tracking.unknown.count(fields)
                tracking.report.count_changes(changes)

            with tracking.log.step(record.offset + len(record.raw)):
                yield count

        refused = self._single.insert(fields, step)
        if refused is not None:
            if refused.error is not None:
                self._errors.check_record(refused.error, refused.values, record, refused.reason)
            self.reject(record, refused.reason)

    def reject(self, record: RawRecord, reason: Reason) -> None:
        """Keep a record as a reject.

        Raises:
            LoadError: there are too many, or the file cannot be written.
        """
        self._tracking.reject(record, reason)
        self._tracking.limits.after_reject(reason.line)
