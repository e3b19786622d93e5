"""JSON:API: resources of a type, with attributes and relationships; also those included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from restore.source.formats.cursor import Cursor
from restore.source.formats.following import lists_in_pages
from restore.source.formats.format import FoundRecord
from restore.source.formats.paths import first_object
from restore.source.formats.rows import columns_of, encode, one_line, with_key
from restore.source.json_values import DECODE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import TableColumns

_DOCUMENT = frozenset({"data", "included", "links", "meta", "jsonapi"})
_RESOURCE = frozenset({"type", "id", "attributes", "relationships", "links", "meta"})


class _Linkage(msgspec.Struct):
    id: msgspec.Raw


class _Relationship(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw()


class _Resource(msgspec.Struct):
    type: str
    id: msgspec.Raw
    attributes: dict[str, msgspec.Raw] = {}
    relationships: dict[str, _Relationship] = {}


_resource = msgspec.json.Decoder(_Resource).decode
_linkage = msgspec.json.Decoder(_Linkage).decode


class _JsonApi:
    """A relationship to one is the column NAME_id; one to many is a field without a column."""

    name = "jsonapi"
    title = "a document of JSON:API"
    recognised_by = "objects with `type`, `id` and `attributes` or `relationships` under `data`"
    wrapper: frozenset[str] = frozenset()

    def detect(self, start: bytes) -> bool:
        fields = first_object(start)
        data = fields.get("data", b"")
        if not fields.keys() <= _DOCUMENT or not data.startswith((b"[", b"{")):
            return False
        first = first_object(data)
        return (
            _RESOURCE >= first.keys() >= {"type", "id"}
            and first["type"].startswith(b'"')
            and ("attributes" in first or "relationships" in first)
        )

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        cursor = Cursor(stream)
        for _ in lists_in_pages(cursor, {"data", "included"}):
            if cursor.peek() == b"{":
                start = cursor.offset
                yield _found(cursor.value(), start, tables)
            elif cursor.peek() == b"[":
                for item in cursor.items():
                    yield _found(item.raw, item.offset, tables)


FORMAT = _JsonApi()


def _found(data: bytes, offset: int, tables: Mapping[str, TableColumns] | None) -> FoundRecord:
    try:
        resource = _resource(data)
        table = column_name(resource.type)
        columns = columns_of(tables, table)
        row = _row(resource, columns)
    except DECODE_ERRORS:
        return FoundRecord(None, data, offset)
    return FoundRecord(table, one_line(encode(row)), offset)


def _row(resource: _Resource, columns: TableColumns | None) -> dict[str, msgspec.Raw]:
    known = columns.names if columns else ()
    row = {
        name if name in known else column_name(name): value
        for name, value in resource.attributes.items()
    }
    for name, relationship in resource.relationships.items():
        value = bytes(relationship.data)
        field = column_name(name)
        if value.startswith(b"{"):
            row.setdefault(f"{field}_id", _linkage(value).id)
        elif value == b"null":
            row.setdefault(f"{field}_id", relationship.data)
        elif value:
            row.setdefault(field, relationship.data)
    if "id" in row:
        return row
    return with_key({"id": resource.id} | row, "id", columns)


def column_name(name: str) -> str:
    """Return a name as databases have it, where APIs write dashes."""
    return name.replace("-", "_")
