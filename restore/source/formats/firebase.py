"""Objects keyed by identifier, as Firebase's Realtime Database exports them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from restore.source.formats.cursor import Cursor
from restore.source.formats.format import FormatError, FoundRecord
from restore.source.formats.rows import Fields, columns_of, document_row, encode, one_line
from restore.source.formats.start import value_at, whole_members
from restore.source.json_values import DECODE_ERRORS, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import TableColumns

# Keys that Firebase makes: for pushed values, for users; or numbers and UUIDs.
_IDENTIFIER = re.compile(
    r"-[\w-]{5,}|\d+|(?=\D*\d)[A-Za-z0-9]{20,36}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.ASCII,
)
# A cursor moves what it holds for each value: less is faster.
_CHUNK_BYTES = 1 << 14
# Of objects under other keys so many have to be alike, in so many fields.
_ALIKE_OBJECTS, _ALIKE_FIELDS = 3, 2


class _Keyed:
    name = "firebase"
    title = "an object of records by their keys, as Firebase exports them"
    recognised_by = 'an object of alike objects under identifiers: `{"-NabcA": {...}, ...}`'
    wrapper: frozenset[str] = frozenset()

    def detect(self, start: bytes) -> bool:
        """Tell if a file is of this format."""
        return _is_keyed(start)

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        """Yield the objects; each key goes to the primary key that its object does not fill.

        Raises:
            FormatError: a value is no object, or the keys fit no column.
        """
        cursor = Cursor(stream, _CHUNK_BYTES)
        yield from _rows_at(cursor, None, columns_of(tables))
        cursor.end()


class _Tables:
    name = "firebase-database"
    title = "an export of a whole database of Firebase"
    recognised_by = 'an object of such objects: `{"users": {"-NabcA": {...}, ...}, ...}`'
    wrapper: frozenset[str] = frozenset()

    def detect(self, start: bytes) -> bool:
        """Tell if a file is of this format."""
        names = whole_members(start)
        first = next(iter(names), None) or _first_key(start)
        if first is None or _IDENTIFIER.fullmatch(first) or not _is_keyed(value_at(start, first)):
            return False
        return all(_is_keyed(bytes(value)) for value in names.values())

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        """Yield the objects of each table, as those of a file of one table.

        Raises:
            FormatError: a value is no object, or the keys fit no column.
        """
        cursor = Cursor(stream, _CHUNK_BYTES)
        for name in cursor.members():
            yield from _rows_at(cursor, name, columns_of(tables, name))
        cursor.end()


def _rows_at(
    cursor: Cursor, table: str | None, columns: TableColumns | None
) -> Iterator[FoundRecord]:
    for key in cursor.members():
        offset, data = cursor.offset, cursor.value()
        try:
            fields = values_of(data)
        except DECODE_ERRORS:
            raise FormatError(f"the value of {key!r} at byte {offset:,} is no object") from None
        row = document_row(msgspec.Raw(encode(key)), fields, columns)
        if columns is not None and "_id" in row and "_id" not in columns.names:
            raise FormatError(
                f"its keys, such as {key!r}, fit no column; add a column _id of type text for them,"
                " or make them fields of the records"
            )
        yield FoundRecord(table, one_line(encode(row)), offset)


def _is_keyed(start: bytes) -> bool:
    """Tell if an object's members are records: all objects, under identifiers or alike.

    What numbers from 0 stand for are places, not identifiers.
    """
    if not start.startswith(b"{"):
        return False
    members = whole_members(start)
    try:
        records = [values_of(value) for value in members.values()]
    except DECODE_ERRORS:
        return False
    if not records or "0" in members or not all(map(_is_record, records)):
        return False
    if all(map(_IDENTIFIER.fullmatch, members)):
        return True
    common = set(records[0]).intersection(*records)
    return len(records) >= _ALIKE_OBJECTS and len(common) >= _ALIKE_FIELDS


def _is_record(fields: Fields) -> bool:
    """Tell if an object has a scalar under a name."""
    return any(
        bytes(value)[:1] not in (b"{", b"[") and not name.isdecimal()
        for name, value in fields.items()
    )


def _first_key(start: bytes) -> str | None:
    """Return the first key of an object whose first member does not end in ``start``."""
    found = re.match(rb'\{\s*"([^"\\]+)"\s*:\s*\{', start)
    return found[1].decode(errors="replace") if found else None


FORMAT = _Keyed()
TABLES = _Tables()
