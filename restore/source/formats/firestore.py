"""Firestore's typed values: what its REST interface lists, and documents one a line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from restore.source.formats.cursor import Cursor, top_records
from restore.source.formats.format import FormatError
from restore.source.formats.paths import documents, visit
from restore.source.formats.rows import Fields, columns_of, converted, document_row, hex_text
from restore.source.formats.start import first_objects, value_at
from restore.source.json_values import DECODE_ERRORS, members_of, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import FoundRecord, TableColumns

_NAME = re.compile(rb'"projects/[^"/]+/databases/[^"/]+/documents/[^"]+/([^"/\\]+)"')
_INTEGER = re.compile(rb'"?(-?\d++)"?')


class _Documents:
    name = "firestore-documents"
    title = "documents of Firestore"
    recognised_by = "records with `name`, a path of Firestore, and `fields` of typed values"
    wrapper = frozenset({"fields", "createTime", "updateTime"})

    def detect(self, start: bytes) -> bool:
        """Tell if a file is of this format."""
        found = [_document_in(fields) for fields in first_objects(start)]
        return bool(found) and all(map(_is_document, found))

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        """Yield the documents with plain values, and the last part of their path as ``id``."""
        return converted(top_records(stream), _row_maker(tables))


class _Listing:
    name = "firestore"
    title = "what Firestore's REST interface lists"
    recognised_by = "`documents` with `name`, a path of Firestore, and `fields` of typed values"
    wrapper: frozenset[str] = frozenset()

    def detect(self, start: bytes) -> bool:
        """Tell if a file is of this format."""
        listed = value_at(start, "documents")
        found = first_objects(listed) if listed.startswith(b"[") else []
        return bool(found) and all(map(_is_document, found))

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        """Yield the documents of each page, as those of a file of documents.

        Raises:
            FormatError: the last page tells of a next one.
        """
        cursor = Cursor(stream)
        has_next = False
        for _ in documents(cursor):
            has_next = False
            for path in visit(cursor, (("documents",), ("nextPageToken",))):
                if path == ("documents",):
                    yield from converted(cursor.records(), _row_maker(tables))
                else:
                    has_next = cursor.value() not in (b'""', b"null")
        if has_next:
            raise FormatError("it ends with a page that others follow; export these too")


def _document_in(fields: Fields) -> Fields:
    """Return a document itself, or that which an answer to a query holds."""
    if "document" in fields and "readTime" in fields:
        try:
            return values_of(fields["document"])
        except DECODE_ERRORS:
            pass
    return fields


def _is_document(fields: Fields) -> bool:
    return _NAME.fullmatch(fields.get("name", b"")) is not None


def _row_maker(tables: Mapping[str, TableColumns] | None) -> Callable[[Fields], Fields]:
    columns = columns_of(tables)

    def row(fields: Fields) -> Fields:
        document = _document_in(fields)
        name = _NAME.fullmatch(document.get("name", b""))
        if name is None:
            raise ValueError("is not a document of Firestore")
        typed = values_of(document["fields"]) if "fields" in document else {}
        plain = {key: _plain(value, is_column=True) for key, value in typed.items()}
        return document_row(msgspec.Raw(b'"%b"' % name[1]), plain, columns)

    return row


def _plain(typed: msgspec.Raw, *, is_column: bool = False) -> msgspec.Raw:
    """Return a value without its type.

    Raises:
        ValueError: it has none, or one that is unknown.
    """
    try:
        ((kind, value),) = values_of(typed).items()
    except ValueError:
        raise ValueError("has a value that is not typed as Firestore does") from None
    plain: object = value
    match kind:
        case "mapValue":
            members = values_of(values_of(value).get("fields", b"{}"))
            plain = {name: _plain(member) for name, member in members.items()}
        case "arrayValue":
            items = members_of(bytes(values_of(value).get("values", b"[]")))
            plain = [_plain(item) for item in items]
        case "integerValue":
            digits = _INTEGER.fullmatch(value)
            plain = msgspec.Raw(digits[1]) if digits else value
        case "bytesValue" if is_column:
            plain = hex_text(value)
        case "nullValue":
            plain = None
        case "stringValue" | "booleanValue" | "doubleValue" | "timestampValue":
            pass
        case "bytesValue" | "referenceValue" | "geoPointValue":
            pass
        case _:
            raise ValueError(f"has a value of the unknown type {kind}")
    return plain if isinstance(plain, msgspec.Raw) else msgspec.Raw(msgspec.json.encode(plain))


FORMAT = _Listing()
DOCUMENTS = _Documents()
