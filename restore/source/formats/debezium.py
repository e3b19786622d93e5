"""Debezium's change events, as far as they are of a snapshot, or insert rows."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

import msgspec

from restore.source.formats.connect import Converter, converters_of
from restore.source.formats.cursor import top_records
from restore.source.formats.format import FormatError, FoundRecord
from restore.source.formats.rows import Fields, columns_of, converted, encode, one_line
from restore.source.formats.start import first_objects
from restore.source.json_values import DECODE_ERRORS, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import TableColumns

_EVENT = frozenset({"op", "after", "source"})
_FLAT = frozenset({"__deleted", "__op"})
_WHOLE_ROWS = frozenset({"r", "c"})
_WITH_SCHEMAS = "write the events with value.converter.schemas.enable=true"
_NOT_SENT = b'"__debezium_unavailable_value"'
_MOST_SCHEMAS = 100
# Numbers for columns of these types tell no unit, and digits for a numeric may be bytes of it.
_TIMES = ("date", "time", "interval")


class _Source(msgspec.Struct):
    table: str


class _Debezium:
    name = "debezium"
    title = "events of Debezium"
    recognised_by = "records, or their `payload`, with `op`, `after` and `source`"
    wrapper = _EVENT

    def detect(self, start: bytes) -> bool:
        """Tell if a file is of this format."""
        found = first_objects(start)
        try:
            return bool(found) and all(_event_of(fields).keys() >= _EVENT for fields in found)
        except DECODE_ERRORS:
            return False

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        """Yield the rows of all tables, with values as their schema tells.

        Raises:
            FormatError: a row is changed or deleted, or its values cannot be told for certain.
        """
        schemas: dict[bytes, dict[str, Converter]] = {}
        for record in top_records(stream):
            try:
                fields = values_of(record.raw)
                event = _event_of(fields)
            except DECODE_ERRORS:
                yield FoundRecord(None, record.raw, record.offset)
                continue
            schema = bytes(fields.get("schema", b"null"))
            if schema not in schemas:
                if len(schemas) == _MOST_SCHEMAS:
                    schemas.clear()
                schemas[schema] = converters_of(schema)
            try:
                table, row = _row_of(event, schemas[schema])
                if schema == b"null" and tables and table in tables:
                    _check_unambiguous(row, tables[table])
            except ValueError as error:
                raise FormatError(f"the event at byte {record.offset:,} {error}") from None
            yield FoundRecord(table, one_line(encode(row)), record.offset)


class _Flattened:
    name = "debezium-flat"
    title = "rows that Debezium has taken out of its events"
    recognised_by = "records with `__deleted` or `__op`"
    wrapper: frozenset[str] = frozenset()

    def detect(self, start: bytes) -> bool:
        """Tell if a file is of this format."""
        found = first_objects(start)
        return bool(found) and all(_FLAT & fields.keys() for fields in found)

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        """Yield the rows without what Debezium added to them.

        Raises:
            FormatError: a row is changed or deleted, or its values cannot be told for certain.
        """
        columns = columns_of(tables)

        def row(fields: Fields) -> Fields:
            is_deleted = bytes(fields.get("__deleted", b"false")).strip(b'"') != b"false"
            operation = bytes(fields.get("__op", b'"r"')).strip(b'"').decode()
            if is_deleted or operation not in _WHOLE_ROWS:
                raise ValueError("changes or deletes a row; take a snapshot instead")
            if columns is not None:
                _check_unambiguous(fields, columns)
            return {name: value for name, value in fields.items() if name not in _FLAT}

        return converted(top_records(stream), row)


def _event_of(fields: Fields) -> Fields:
    """Return the event in a message: its payload, if it has a schema beside it."""
    if "payload" not in fields:
        return fields
    return values_of(fields["payload"])


def _row_of(event: Fields, converters: Mapping[str, Converter]) -> tuple[str, Fields]:
    if not event.keys() >= _EVENT:
        raise ValueError("is not an event of Debezium")
    operation = msgspec.json.decode(event["op"])
    if operation not in _WHOLE_ROWS:
        raise ValueError(f"changes or deletes a row ({operation!r}); take a snapshot instead")
    try:
        table = msgspec.json.decode(event["source"], type=_Source).table
        row = values_of(event["after"])
    except DECODE_ERRORS:
        raise ValueError("is not of a relational database") from None
    if any(bytes(value) == _NOT_SENT for value in row.values()):
        raise ValueError("lacks a value that did not change; take a snapshot instead")
    for name, convert in converters.items():
        if name in row and bytes(row[name]) != b"null":
            try:
                row[name] = msgspec.Raw(encode(convert(row[name])))
            except (*DECODE_ERRORS, binascii.Error) as error:
                raise ValueError(f"has a {name} that is not as in its schema: {error}") from None
    return table, row


def _check_unambiguous(row: Fields, columns: TableColumns) -> None:
    """Raise ValueError if values without a schema may mean several things for their columns."""
    for name, kind in zip(columns.names, columns.types, strict=False):
        value = bytes(row.get(name, b"null"))
        is_number = value[:1] in b"-0123456789"
        if kind.startswith(_TIMES) and is_number:
            raise ValueError(f"has a number for {name}, of an unknown unit; {_WITH_SCHEMAS}")
        if kind == "numeric" and value.strip(b'"').isdigit() and not is_number:
            raise ValueError(f"has digits for {name} that may be bytes; {_WITH_SCHEMAS}")


FORMAT = _Debezium()
FLAT = _Flattened()
