"""CouchDB: ``_all_docs``, ``_changes``, and lists of documents as couchbackup writes them."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from restore.source.formats.cursor import Cursor, top_records
from restore.source.formats.format import FormatError
from restore.source.formats.paths import documents, visit
from restore.source.formats.rows import Fields, columns_of, converted, document_row
from restore.source.formats.start import first_objects, value_at
from restore.source.json_values import DECODE_ERRORS, members_of, values_of
from restore.source.records import RawRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import FoundRecord, TableColumns

_REVISION = re.compile(rb'"\d+-[0-9a-f]{32}"')
_LISTS = (("rows",), ("results",), ("docs",))
_COUCHBACKUP = b'"@cloudant/couchbackup"'


class _AllDocs:
    name = "couchdb"
    title = "an answer of CouchDB"
    recognised_by = "`rows`, `results` or `docs` of documents that have `_id` and `_rev`"
    wrapper: frozenset[str] = frozenset()

    def detect(self, start: bytes) -> bool:
        """Tell if a file is of this format."""
        for (key,) in _LISTS:
            rows = value_at(start, key)
            if rows.startswith(b"["):
                found = first_objects(rows)
                if not found or not found[0]:
                    return key == "rows" and value_at(start, "total_rows") != b""
                return all(map(_is_row, found))
        return False

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        """Yield the documents, but for those of designs and those that are deleted.

        Raises:
            FormatError: the documents are not included, or not all.
        """
        columns = columns_of(tables)
        cursor = Cursor(stream)
        count = total = 0

        def row(fields: Fields) -> Fields | None:
            nonlocal count
            count += 1
            if "_id" in fields:
                return _row(fields, columns)
            if _is_deleted(fields):
                return None
            if "doc" not in fields:
                raise ValueError("has no document; export with ?include_docs=true")
            document = bytes(fields["doc"])
            return None if document == b"null" else _row(values_of(document), columns)

        for _ in documents(cursor):
            for path in visit(cursor, (*_LISTS, ("total_rows",))):
                if path == ("total_rows",):
                    total = int(cursor.value())
                else:
                    yield from converted(cursor.records(), row)
        if count < total:
            raise FormatError(
                f"it holds {count:,} of {total:,} documents; export all, without limit"
            )


class _Documents:
    name = "couchdb-docs"
    title = "a list of documents of CouchDB"
    recognised_by = "records with `_id` and a `_rev` such as `1-967a00dff5e02add41819138abb3284d`"
    wrapper = frozenset({"_rev"})

    def detect(self, start: bytes) -> bool:
        """Tell if a file is of this format."""
        _, _, rest = start.partition(b"\n")
        found = first_objects(rest if _COUCHBACKUP in start[:100] else start)
        return bool(found) and all(map(_is_document, found))

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        """Yield the documents, but for those of designs and those that are deleted."""
        columns = columns_of(tables)

        def row(fields: Fields) -> Fields | None:
            is_heading = bytes(fields.get("name", b"")) == _COUCHBACKUP and "_id" not in fields
            return None if is_heading else _row(fields, columns)

        return converted(_each(top_records(stream)), row)


def _each(found: Iterator[RawRecord]) -> Iterator[RawRecord]:
    """Yield the records, and those in lists: below its heading couchbackup writes one a line."""
    for record in found:
        items = None
        if record.raw.startswith(b"["):
            with contextlib.suppress(*DECODE_ERRORS):
                items = members_of(record.raw)
        if items is None:
            yield record
        place = 0
        for item in items or ():
            raw = bytes(item)
            place = record.raw.index(raw, place)
            yield RawRecord(raw, record.offset + place, record.ordinal)
            place += len(raw)


def _is_deleted(row: Fields) -> bool:
    value = bytes(row.get("value", b"{}"))
    told = values_of(value) if value.startswith(b"{") else {}
    return b"true" in (bytes(row.get("deleted", b"")), bytes(told.get("deleted", b"")))


def _is_row(fields: Fields) -> bool:
    if _is_document(fields):
        return True
    revisions = bytes(fields.get("value", fields.get("changes", b"")))
    return "id" in fields and b'"rev"' in revisions


def _is_document(fields: Fields) -> bool:
    return "_id" in fields and _REVISION.fullmatch(fields.get("_rev", b"")) is not None


def _row(document: Fields, columns: TableColumns | None) -> Fields | None:
    if "_id" not in document:
        return None
    is_design = bytes(document["_id"]).startswith(b'"_design/')
    if is_design or bytes(document.get("_deleted", b"")) == b"true":
        return None
    if columns is None or "_rev" not in columns.names:
        document = {name: value for name, value in document.items() if name != "_rev"}
    fields = {name: value for name, value in document.items() if name != "_id"}
    return document_row(document["_id"], fields, columns)


FORMAT = _AllDocs()
DOCUMENTS = _Documents()
