"""Reads the records of one table, and what their fields hold."""

from __future__ import annotations

import contextlib
import re
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from restore.errors import BackupError
from restore.infer.columns import Column
from restore.infer.kinds import Texts
from restore.infer.naming import is_key_name, may_refer
from restore.infer.values import Numeral, RecordDecoder
from restore.source.bare_numbers import with_bare_numbers
from restore.source.json_values import DECODE_ERRORS, values_of
from restore.source.reader import Reader
from restore.source.records import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import msgspec

    from restore.infer.keys import KeyStore, KeyValues
    from restore.source.discovery import TableFile
    from restore.source.records import RawRecord

# PostgreSQL's MaxHeapAttributeNumber.
MOST_COLUMNS = 1_600
# Longer texts are no keys: an index holds 2,704 bytes of each row.
_LONGEST_KEY = 600
_NUMBER = re.compile(rb"-?\d[\d.eE+-]*")


class TableScan:
    """The records of one table.

    Args:
        table: the table's name.
        store: holds the values of fields that may be keys.

    Attributes:
        records: how many records were read.
        unreadable: records, or bytes between them, that will be rejected.
        columns: what is known of each field, in the order of their first records.
        is_whole: all records were read, to the end of the file.
        first: the first record.
    """

    def __init__(self, table: str, store: KeyStore) -> None:
        self.table = table
        self.records = 0
        self.unreadable = 0
        self.columns: dict[str, Column] = {}
        self.is_whole = True
        self.first: bytes | None = None
        self._decoder = RecordDecoder()
        self._store = store
        self._keys: dict[str, KeyValues] = {}
        self._references: dict[str, KeyValues] = {}

    def read(self, file: TableFile, chunk_bytes: int, sample: int | None = None) -> None:
        """Read a file of the table.

        Args:
            file: the file.
            chunk_bytes: how much is decoded at a time.
            sample: stop after so many records; None: read all.

        Raises:
            BackupError: it cannot be read, or its records have too many fields.
        """
        with contextlib.closing(file.open()) as stream:
            reader = Reader(stream, chunk_bytes, self._decoder.records)
            for found in reader:
                if sample is not None and self.records >= sample:
                    self.is_whole = False
                    return
                if isinstance(found, Batch):
                    self._add_batch(found, sample)
                else:
                    self._add_damaged(found.record)
                self._store.make_room()
            if reader.cut_off_at is not None or stream.fault is not None:
                self.is_whole = False

    def unique_key(self, name: str) -> KeyValues | None:
        """Return the values of a field that may be a primary key, if all differ; else None."""
        key, column = self._keys.get(name), self.columns[name]
        if key is None or column.filled < self.records:
            return None
        kind = column.key_kind
        if isinstance(kind, Texts) and kind.longest > _LONGEST_KEY:
            return None
        return key if key.is_unique() else None

    @property
    def key_names(self) -> Iterable[str]:
        """Fields that may be a primary key by their names and types."""
        return self._keys.keys()

    @property
    def references(self) -> dict[str, KeyValues]:
        """Distinct values of the fields that may refer to another table's key."""
        return {name: key for name, key in self._references.items() if self.columns[name].filled}

    def _add_batch(self, batch: Batch, sample: int | None) -> None:
        rows, is_unusual = batch.rows, self._decoder.is_unusual
        if self.first is None:
            self.first = batch.record(0).raw
        if rows is None:
            for n in range(batch.count):
                self._add_record(batch.record(n).raw)
            return
        if sample is not None:
            rows = rows[: sample - self.records]
            self.is_whole = self.is_whole and len(rows) == batch.count
        self.records += len(rows)
        for name, values in self._by_field(rows):
            self._add(name, values, is_unusual=is_unusual)

    def _by_field(self, rows: Sequence[dict[str, Any]]) -> Iterable[tuple[str, Sequence[Any]]]:
        """Return the values of each field of some records."""
        names = list(rows[0])
        if len(names) > 1 and set(map(len, rows)) == {len(names)}:
            with contextlib.suppress(KeyError):
                return zip(names, zip(*map(itemgetter(*names), rows), strict=True), strict=True)
        found: dict[str, list[Any]] = {}
        for row in rows:
            for name, value in row.items():
                found.setdefault(name, []).append(value)
        return found.items()

    def _add(self, name: str, values: Sequence[Any], *, is_unusual: bool) -> None:
        """Add values of a field, which may be null."""
        column = self.columns.get(name)
        if column is None:
            column = self._new_column(name)
        if None in values:
            values = [value for value in values if value is not None]
        if not values:
            return
        column.add(values, is_unusual=is_unusual)
        for keys in (self._keys, self._references):
            key = keys.get(name)
            if key is None:
                continue
            if column.key_kind is None:
                del keys[name]
            elif keys is self._keys:
                key.add(values)
            else:
                key.add_distinct(values)

    def _new_column(self, name: str) -> Column:
        if len(self.columns) == MOST_COLUMNS:
            raise BackupError(
                f"{self.table} has records with more than {MOST_COLUMNS:,} different fields, and a"
                " table holds no more columns: its fields may be keys of records; export them as a"
                " list"
            )
        column = self.columns[name] = Column()
        if is_key_name(name, self.table):
            self._keys[name] = self._store.new_key()
        if may_refer(name):
            self._references[name] = self._store.new_key()
        return column

    def _add_record(self, raw: bytes) -> None:
        """Add a record that does not decode at once: a value is too large, or too deep."""
        try:
            fields = values_of(raw)
        except DECODE_ERRORS:
            self.unreadable += 1
            return
        self._add_fields(fields, frozenset())

    def _add_damaged(self, record: RawRecord) -> None:
        """Add a record if only ``NaN`` or ``Infinity`` keep it from being JSON."""
        if self.first is None:
            self.first = record.raw
        found = with_bare_numbers(record.raw)
        if found is None or found.total > len(found.names):
            self.unreadable += 1
        else:
            self._add_fields(found.fields, found.names)

    def _add_fields(self, fields: dict[str, msgspec.Raw], special: frozenset[str]) -> None:
        values: dict[str, Any] = {}
        try:
            for name, field in fields.items():
                if name not in special:
                    values[name] = self._value(bytes(field))
        except UnicodeDecodeError:
            self.unreadable += 1
            return
        self.records += 1
        for name, (value, is_unusual) in values.items():
            if value is not ...:
                self._add(name, [value], is_unusual=is_unusual)
            else:
                self._add(name, [], is_unusual=False)
                self.columns[name].add_deep()
        for name in special:
            self._add(name, [], is_unusual=False)
            self.columns[name].add_special()

    def _value(self, raw: bytes) -> tuple[Any, bool]:
        """Decode a value; ``...`` stands for a document that is not looked into."""
        try:
            return self._decoder.value(raw), self._decoder.is_unusual
        except UnicodeDecodeError:
            raise
        except DECODE_ERRORS:
            return (Numeral(raw.decode()), True) if _NUMBER.fullmatch(raw) else (..., True)
