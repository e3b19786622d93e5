"""Strapi: answers of its REST API (version 4), and the entities of ``strapi export``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from restore.source.formats.cursor import Cursor, top_records
from restore.source.formats.following import lists_in_pages
from restore.source.formats.format import FoundRecord
from restore.source.formats.paths import first_object
from restore.source.formats.refused import Refused
from restore.source.formats.rows import columns_of, encode, one_line, with_key
from restore.source.json_values import DECODE_ERRORS, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import TableColumns

_UID = re.compile(rb'"(?:api|plugin|admin|strapi)::[\w.-]+"')
# Tables of Strapi's own types, which are not named after them.
_OWN_TABLES = {
    "plugin::users-permissions.user": "up_users",
    "plugin::users-permissions.role": "up_roles",
    "plugin::users-permissions.permission": "up_permissions",
    "plugin::upload.file": "files",
    "plugin::upload.folder": "upload_folders",
    "plugin::i18n.locale": "i18n_locale",
}


class _Entity(msgspec.Struct):
    id: msgspec.Raw
    attributes: dict[str, msgspec.Raw]


class _Relation(msgspec.Struct, forbid_unknown_fields=True):
    data: msgspec.Raw


class _Exported(msgspec.Struct):
    type: str
    id: msgspec.Raw
    data: dict[str, msgspec.Raw]


_entity = msgspec.json.Decoder(_Entity).decode
_relation = msgspec.json.Decoder(_Relation).decode
_exported = msgspec.json.Decoder(_Exported).decode


class _Rest:
    """A relation to one is the column NAME_id, if there is one."""

    name = "strapi"
    title = "an answer of Strapi's REST API"
    recognised_by = "objects of just `id` and `attributes` under `data`, and `meta`"
    wrapper: frozenset[str] = frozenset()

    def detect(self, start: bytes) -> bool:
        fields = first_object(start)
        data = fields.get("data", b"")
        if not fields.keys() <= {"data", "meta"} or not data.startswith((b"[", b"{")):
            return False
        first = first_object(data)
        return first.keys() == {"id", "attributes"} and first["attributes"].startswith(b"{")

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        columns = columns_of(tables)
        cursor = Cursor(stream)
        for _ in lists_in_pages(cursor, {"data"}):
            if cursor.peek() == b"{":
                start = cursor.offset
                yield FoundRecord(None, _row(cursor.value(), columns), start)
            else:
                for item in cursor.items():
                    yield FoundRecord(None, _row(item.raw, columns), item.offset)


class _Export:
    name = "strapi-export"
    title = "an export of Strapi"
    recognised_by = 'objects with a `type` such as `"api::post.post"`, `id` and `data`'
    wrapper = frozenset({"type", "data"})

    def detect(self, start: bytes) -> bool:
        fields = first_object(start)
        return (
            fields.keys() == {"type", "id", "data"}
            and _UID.fullmatch(fields["type"].strip()) is not None
            and fields["data"].startswith(b"{")
        )

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        for record in top_records(stream):
            try:
                found = _exported(record.raw)
            except DECODE_ERRORS:
                yield FoundRecord(None, record.raw, record.offset)
                continue
            table = _table_name(found.type)
            row = with_key({"id": found.id} | found.data, "id", columns_of(tables, table))
            yield FoundRecord(table, one_line(encode(row)), record.offset)


def _is_link(start: bytes) -> bool:
    fields = first_object(start)
    return fields.keys() >= _LINK and fields["kind"].startswith(b'"relation.')


_LINK = frozenset({"kind", "relation", "left", "right"})
FORMATS = (
    _Rest(),
    _Export(),
    Refused(
        "strapi-links",
        "the relations in an export of Strapi",
        "objects with `kind`, `relation`, `left` and `right`",
        "import it with `strapi import`: it does not name the tables that keep relations",
        _is_link,
        _LINK,
    ),
)


def _table_name(uid: str) -> str:
    """Return the table of a type: its own name, which matches the plural, too."""
    name = uid.rpartition(".")[2].replace("-", "_")
    if uid.startswith("admin::"):
        name = f"admin_{uid.partition('::')[2].replace('-', '_')}s"
    return _OWN_TABLES.get(uid, name)


def _row(data: bytes, columns: TableColumns | None) -> bytes:
    """Return the row of an entity; what is none stays as it is."""
    try:
        entity = _entity(data)
    except DECODE_ERRORS:
        return data
    row: dict[str, msgspec.Raw] = {}
    for name, value in entity.attributes.items():
        target = _target(value)
        if target is None or (columns and name in columns.names):
            row[name] = value
        else:
            row[f"{name}_id"] = target
    if "id" not in row:
        row = with_key({"id": entity.id} | row, "id", columns)
    return one_line(encode(row))


def _target(value: msgspec.Raw) -> msgspec.Raw | None:
    """Return the key of the entity that a relation to one leads to; None: it is none."""
    if not bytes(value).startswith(b"{"):
        return None
    try:
        data = _relation(value).data
        if bytes(data) == b"null":
            return data
        return values_of(data).get("id") if bytes(data).startswith(b"{") else None
    except DECODE_ERRORS:
        return None
