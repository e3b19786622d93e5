"""Loads records that no COPY takes, many by one INSERT.

Dates in other spellings, ``"yes"``, composite types: what COPY's binary form has no room for goes
to the server as the parameters of an INSERT of one row would.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg import sql

from restore.decode.expressions import quoted
from restore.load.isolation import UndecidedError
from restore.load.row_insert import Refused
from restore.source.json_values import values_of
from restore.source.recovery import DECODE_ERRORS
from restore.target.sqlstate import retry_transient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from restore.decode.expressions import Form
    from restore.decode.segments import Segment
    from restore.load.destination import Value
    from restore.load.isolation import Refusals
    from restore.load.row_insert import Attempt, RecordLoader, RowInserter
    from restore.load.sender import Tracking
    from restore.report.reasons import Reason
    from restore.source.reader import RawRecord
    from restore.source.records import Fields
    from restore.target.catalog import Table

# One that is refused makes the whole group be looked at row by row.
_MOST_ROWS, _MOST_BYTES = 128, 1 << 20
# The protocol counts a statement's parameters by 16 bits.
_MOST_PARAMETERS = 65_535
# A record that is loaded by itself takes as long as so many that are inserted many at a time; a few
# are not worth it.
_ALONE_COSTS, _FEW_ALONE = 50, 8
_NONE: Mapping[int, Reason] = MappingProxyType({})


class _Entry(NamedTuple):
    """A record's place, the record, its fields, and its values as the server gets them."""

    place: int
    record: RawRecord
    fields: Fields
    attempt: Attempt


class _SomeRefusedError(Exception):
    """Fewer rows went in than were sent."""


class Inserter:
    """Inserts records of one table, in their order.

    Args:
        conn: the connection that loads; its time zone is UTC.
        table: the target.
        single: reads a record's values.
        one_by_one: loads records by themselves.
        refusals: finds which records of a group are refused; None: they are loaded one by one.
        tracking: tracks the records.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        table: Table,
        *,
        single: RowInserter,
        one_by_one: RecordLoader,
        refusals: Refusals | None,
        tracking: Tracking,
    ) -> None:
        self._conn = conn
        self._table = table
        self._single = single
        self._one_by_one = one_by_one
        self._refusals = refusals
        self._tracking = tracking
        self._expressions: dict[tuple[str, Form], bytes] = {}
        self._decide: Callable[[int], object] = lambda _: None

    def load(
        self, records: Sequence[RawRecord], decide: Callable[[int], object] = lambda _: None
    ) -> None:
        """Load records; afterwards each of them is counted as loaded or kept as a reject.

        Args:
            records: the records.
            decide: is called with a record's place before it is decided, and all before it.

        Raises:
            LoadError: as ``RecordLoader.load`` does.
        """
        self._decide = decide
        for group in self._groups(records):
            if isinstance(group, int):
                decide(group)
                self._one_by_one.load(records[group])
            else:
                self._load(group)

    def _groups(self, records: Sequence[RawRecord]) -> Iterator[list[_Entry] | int]:
        """Yield neighbours, so many as one statement takes; by its place what is surely refused."""
        group: list[_Entry] = []
        size = parameters = 0
        for place, record in enumerate(records):
            entry = self._read(record, place)
            values = 0 if entry is None else len(entry.attempt.values)
            full = len(group) == _MOST_ROWS or size > _MOST_BYTES
            if group and (full or entry is None or parameters + values > _MOST_PARAMETERS):
                yield group
                group, size, parameters = [], 0, 0
            if entry is None:
                yield place
            else:
                group.append(entry)
                size += len(entry.record.raw)
                parameters += values
        if group:
            yield group

    def _read(self, record: RawRecord, place: int) -> _Entry | None:
        try:
            fields = values_of(record.raw)
        except DECODE_ERRORS:
            return None
        attempt = self._single.read(fields)
        if isinstance(attempt, Refused) or not attempt.values:
            return None
        return _Entry(place, record, fields, attempt)

    def _load(self, group: Sequence[_Entry]) -> None:
        """Load a group, or, if it is refused, what of it is not."""
        for entry in group:
            self._tracking.unknown.check(entry.fields)
        try:
            retry_transient(partial(self._insert, group))
        except (_SomeRefusedError, psycopg.Error):
            self._isolate(group)

    def _isolate(self, group: Sequence[_Entry]) -> None:
        """Find which records of a group are refused, and load the others."""
        if self._refusals is not None:
            try:
                refused = self._refusals.find(enumerate(entry.attempt for entry in group))
                retry_transient(partial(self._insert, group, refused))
            except (UndecidedError, _SomeRefusedError, psycopg.Error):
                pass  # what it is shows below
            else:
                return
        for entry in group:
            self._decide(entry.place)
            self._one_by_one.load_fields(entry.record, entry.fields)

    def _insert(self, group: Sequence[_Entry], refused: Mapping[int, Reason] = _NONE) -> None:
        """Insert the records of a group in one transaction, but for those that are refused."""
        last = group[-1].record
        self._decide(group[-1].place)
        taken = [entry for number, entry in enumerate(group) if number not in refused]
        with self._tracking.step(last.offset + len(last.raw)):
            if taken:
                self._send(taken)
            for number, reason in refused.items():
                self._tracking.reject(group[number].record, reason)

    def _send(self, group: Sequence[_Entry]) -> None:
        named = {v.column.name for entry in group for v in entry.attempt.values}
        columns = [column.name for column in self._table.columns if column.name in named]
        parameters: list[Any] = []
        rows = [self._row(entry.attempt.values, columns, parameters) for entry in group]
        statement = self._into(columns) + b",".join(rows)
        if self._conn.execute(statement, parameters).rowcount != len(group):
            raise _SomeRefusedError
        for entry in group:
            self._tracking.report.count_loaded(entry.attempt.level, 1)
            self._tracking.unknown.count(entry.fields)
            self._tracking.report.count_changes(entry.attempt.changes)

    def _row(self, values: Sequence[Value], columns: Sequence[str], parameters: list[Any]) -> bytes:
        """Return a row of VALUES, and append its parameters; what a record lacks is the default."""
        by_name = {value.column.name: value for value in values}
        made = []
        for name in columns:
            value = by_name.get(name)
            if value is None:
                made.append(b"DEFAULT")
                continue
            key = name, value.form
            if key not in self._expressions:
                self._expressions[key] = value.expression.as_bytes(self._conn)
            made.append(self._expressions[key])
            parameters.append(value.value)
        return b"(%b)" % b",".join(made)

    def _into(self, columns: Sequence[str]) -> bytes:
        """Return what stands before the rows."""
        statement = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ")
        table = quoted(self._table.schema, self._table.name)
        names = sql.SQL(", ").join(map(quoted, columns))
        return statement.format(table, names).as_bytes(self._conn)


def are_many(segments: list[Segment], count: int) -> bool:
    """Tell whether so many of a batch's records stand alone that INSERTs of all take less time."""
    alone = sum(segment.codec is None for segment in segments)
    return alone >= _FEW_ALONE and alone * _ALONE_COSTS >= count
