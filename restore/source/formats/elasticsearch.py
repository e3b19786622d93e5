"""Elasticsearch and OpenSearch: lines of elasticdump, answers of a search, and bulk requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from restore.source.formats.cursor import Cursor, top_records
from restore.source.formats.format import FormatError
from restore.source.formats.paths import documents, visit
from restore.source.formats.rows import Fields, columns_of, converted, document_row
from restore.source.formats.start import first_objects, value_at
from restore.source.json_values import DECODE_ERRORS, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import FoundRecord, TableColumns

_ACTIONS = frozenset({"index", "create"})
_TOLD = frozenset({"_index", "_id", "_type", "routing", "_routing", "version", "version_type"})


class _Total(msgspec.Struct):
    value: int


class _Lines:
    name = "elasticdump"
    title = "an export of Elasticsearch"
    recognised_by = "records with `_id` and `_source`"
    wrapper = frozenset({"_source"})

    def detect(self, start: bytes) -> bool:
        """Tell if a file is of this format."""
        found = first_objects(start)
        if len(found) == 1 and not _is_hit(found[0]):  # it may be cut off in its source
            return found[0].keys() >= {"_index", "_id"} and value_at(start, "_source")[:1] == b"{"
        return bool(found) and all(map(_is_hit, found))

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        """Yield the sources; ``_id`` goes to ``_id`` or ``id`` if they do not fill it."""
        return converted(top_records(stream), _row_maker(tables))


class _Search:
    name = "elasticsearch"
    title = "the answer to a search in Elasticsearch"
    recognised_by = "`hits`, whose `hits` have `_id` and `_source`"
    wrapper: frozenset[str] = frozenset()

    def detect(self, start: bytes) -> bool:
        """Tell if a file is of this format."""
        hits = value_at(start, "hits", "hits")
        found = first_objects(hits) if hits.startswith(b"[") else []
        if not found or not found[0]:
            return hits.startswith(b"[") and value_at(start, "hits", "total") != b""
        return found[0].keys() >= {"_index", "_id"}

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        """Yield the sources of one answer, or of several pages.

        Raises:
            FormatError: there are more hits than the file holds.
        """
        cursor = Cursor(stream)
        count = total = 0
        for _ in documents(cursor):
            for path in visit(cursor, (("hits", "hits"), ("hits", "total"))):
                if path == ("hits", "total"):
                    total = max(total, _number(cursor.value()))
                    continue
                for record in converted(cursor.records(), _row_maker(tables)):
                    count += 1
                    yield record
        if count < total:
            raise FormatError(f"it holds {count:,} of {total:,} hits; export all, with elasticdump")


class _Bulk:
    name = "elasticsearch-bulk"
    title = "a bulk request of Elasticsearch"
    recognised_by = '`{"index": ...}` or `{"create": ...}` and a document by turns, one a line'
    wrapper: frozenset[str] = frozenset()

    def detect(self, start: bytes) -> bool:
        """Tell if a file is of this format."""
        found = first_objects(start)
        return (
            start.startswith(b"{")
            and len(found) > 1
            and all(_action_of(fields) is not None for fields in found[::2])
        )

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        """Yield the documents.

        Raises:
            FormatError: one of them is changed or deleted.
        """
        columns = columns_of(tables)
        action: msgspec.Raw | None = None

        def row(fields: Fields) -> Fields | None:
            nonlocal action
            if action is None:
                action = _action_of(fields)
                if action is None:
                    raise ValueError("neither indexes nor creates a document")
                return None
            key, action = values_of(action).get("_id"), None
            return document_row(key, fields, columns)

        return converted(top_records(stream), row)


def _is_hit(fields: Fields) -> bool:
    return "_id" in fields and bytes(fields.get("_source", b""))[:1] == b"{"


def _row_maker(tables: Mapping[str, TableColumns] | None) -> Callable[[Fields], Fields]:
    columns = columns_of(tables)

    def row(hit: Fields) -> Fields:
        if not _is_hit(hit):
            raise ValueError("has no _source; export it with its sources")
        return document_row(hit["_id"], values_of(hit["_source"]), columns)

    return row


def _number(data: bytes) -> int:
    try:
        total = msgspec.json.decode(data, type=int | _Total | None)
    except DECODE_ERRORS:
        return 0
    return total.value if isinstance(total, _Total) else total or 0


def _action_of(fields: Fields) -> msgspec.Raw | None:
    """Return the parameters of an action of a bulk request; None: it is no such action."""
    ((name, told),) = fields.items() if len(fields) == 1 else (("", b""),)
    try:
        known = values_of(told)
    except DECODE_ERRORS:
        return None
    is_action = name in _ACTIONS and known.keys() <= _TOLD
    return msgspec.Raw(told) if is_action else None


FORMAT = _Lines()
SEARCH = _Search()
BULK = _Bulk()
