"""Loads records whose values only the server reads, many by one INSERT.

Dates in other spellings, ``"yes"``, composite types: what COPY's binary form has no room for goes
to the server as texts, an array of them for each column, which it casts as it casts literals.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from psycopg import sql

from restore.expressions import expression_of, quoted
from restore.refusals import UndecidedError
from restore.scan import DECODE_ERRORS
from restore.single import Refused, fields_of
from restore.transient import retrying
from restore.values import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from restore.batch import Records
    from restore.catalog import Table
    from restore.destination import Value
    from restore.one_by_one import OneByOne
    from restore.read import RawRecord
    from restore.refusals import Refusals
    from restore.rejects import Reason
    from restore.single import Attempt, Fields, Single
    from restore.tracking import Tracking

# One that is refused makes the whole group be looked at row by row.
_MOST_ROWS, _MOST_BYTES = 128, 1 << 20
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
        single: Single,
        one_by_one: OneByOne,
        refusals: Refusals | None,
        tracking: Tracking,
    ) -> None:
        self._conn = conn
        self._table = table
        self._single = single
        self._one_by_one = one_by_one
        self._refusals = refusals
        self._tracking = tracking
        self._decide: Callable[[int], object] = lambda _: None

    def load(self, batch: Records, decide: Callable[[int], object]) -> None:
        """Load a batch; afterwards each of its records is counted as loaded or kept as a reject.

        Args:
            batch: the records.
            decide: is called with a record's place before it is decided, and all before it.

        Raises:
            LoadError: as ``OneByOne.load`` does.
        """
        self._decide = decide
        for group in self._groups(batch):
            if isinstance(group, int):
                decide(group)
                self._one_by_one.load(batch.record(group))
            else:
                self._load(group)

    def _groups(self, batch: Records) -> Iterator[list[_Entry] | int]:
        """Yield neighbours with the same columns; by its place what is surely refused."""
        group: list[_Entry] = []
        size = 0
        for place in range(batch.count):
            entry = self._read(batch, place)
            full = len(group) == _MOST_ROWS or size > _MOST_BYTES
            if group and (full or entry is None or _form(entry) != _form(group[0])):
                yield group
                group, size = [], 0
            if entry is None:
                yield place
            else:
                group.append(entry)
                size += len(entry.record.raw)
        if group:
            yield group

    def _read(self, batch: Records, place: int) -> _Entry | None:
        record = batch.record(place)
        try:
            fields = fields_of(record.raw)
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
            retrying(partial(self._insert, group))
        except (_SomeRefusedError, psycopg.Error):
            self._isolate(group)

    def _isolate(self, group: Sequence[_Entry]) -> None:
        """Find which records of a group are refused, and load the others."""
        if self._refusals is not None:
            try:
                refused = self._refusals.find(enumerate(entry.attempt for entry in group))
                retrying(partial(self._insert, group, refused))
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
        columns = zip(*(entry.attempt.values for entry in group), strict=True)
        texts = [[as_text(value.value) for value in column] for column in columns]
        statement = self._statement(group[0].attempt.values)
        if self._conn.execute(statement, texts).rowcount != len(group):
            raise _SomeRefusedError
        for entry in group:
            self._tracking.report.count_loaded(entry.attempt.level, 1)
            self._tracking.unknown.count(entry.fields)

    def _statement(self, values: Sequence[Value]) -> sql.Composed:
        """Return the INSERT of rows whose texts come as an array for each column."""
        made, names = [], [sql.Identifier(f"v{number}") for number in range(len(values))]
        for value, name in zip(values, names, strict=True):
            text = sql.SQL("restore_row.{}").format(name)
            type_ = quoted(value.column.type.schema, value.column.type.name)
            made.append(
                sql.SQL("CAST({} AS {})").format(text, type_)
                if value.form == "plain"
                else expression_of(value.column, value.form, text)
            )
        return sql.SQL(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {}"
            " FROM ROWS FROM ({}) AS restore_row({})"
        ).format(
            quoted(self._table.schema, self._table.name),
            sql.SQL(", ").join(quoted(value.column.name) for value in values),
            sql.SQL(", ").join(made),
            sql.SQL(", ").join([sql.SQL("pg_catalog.unnest(%s::pg_catalog.text[])")] * len(values)),
            sql.SQL(", ").join(names),
        )


def _form(entry: _Entry) -> list[tuple[str, str]]:
    return [(value.column.name, value.form) for value in entry.attempt.values]
