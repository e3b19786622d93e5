"""Pages of Airtable's API: records with an ``id``, ``createdTime`` and ``fields``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from restore.source.formats.cursor import Cursor
from restore.source.formats.following import lists_in_pages
from restore.source.formats.format import FoundRecord
from restore.source.formats.paths import first_object
from restore.source.formats.rows import columns_of, encode, one_line
from restore.source.json_values import DECODE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import TableColumns

_KEY = re.compile(rb'"rec\w{14}"')


class _Record(msgspec.Struct):
    id: msgspec.Raw
    fields: dict[str, msgspec.Raw]
    created: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw, name="createdTime")


_record = msgspec.json.Decoder(_Record).decode


class _Airtable:
    """Airtable's own key and time go to columns of the table that no field fills."""

    name = "airtable"
    title = "an answer of Airtable's API"
    recognised_by = "objects of `id` (`rec...`), `createdTime` and `fields` under `records`"
    wrapper = frozenset({"createdTime", "fields"})

    def detect(self, start: bytes) -> bool:
        fields = first_object(start)
        if not fields.keys() <= {"records", "offset"} or not start.startswith(b"{"):
            return False
        first = first_object(fields.get("records", b""))
        return first.keys() >= {"id", "createdTime", "fields"} and bool(_KEY.match(first["id"]))

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        columns = columns_of(tables)
        cursor = Cursor(stream)
        for _ in lists_in_pages(cursor, {"records"}, next_key="offset"):
            for item in cursor.items():
                yield FoundRecord(None, _row(item.raw, columns), item.offset)


FORMAT = _Airtable()


def _row(data: bytes, columns: TableColumns | None) -> bytes:
    try:
        record = _record(data)
    except DECODE_ERRORS:
        return data
    known = columns.names if columns else ("id",)
    row = dict(record.fields)
    for value, names in (
        (record.id, ("id", "airtable_id", "record_id")),
        (record.created, ("createdTime", "created_time", "created_at")),
    ):
        name = next((each for each in names if each in known), None)
        if name is not None and value:
            row.setdefault(name, value)
    return one_line(encode(row))
