"""Pages of an API: lists under usual keys beside counts and links; several pages, too.

Not what is read without this module: an object that holds nothing but lists under their tables'
names, or one list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from restore.source.formats.cursor import Cursor
from restore.source.formats.following import lists_in_pages
from restore.source.formats.format import FoundRecord
from restore.source.formats.paths import ANY, ITEM, first_object, plain_row, visit
from restore.source.formats.rows import columns_of, encode, one_line
from restore.source.json_values import DECODE_ERRORS, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import TableColumns

_LISTS = frozenset(
    {"content", "data", "docs", "documents", "elements", "entries", "hydra:member", "items"}
    | {"list", "member", "nodes", "objects", "records", "result", "results", "rows", "value"}
    | {"values"}
)
_HOLDING = _LISTS | {"_embedded", "edges"}
# What stands beside them, in lower case and without underscores.
_BESIDE = frozenset(
    {"code", "count", "currentpage", "cursor", "done", "duration", "empty", "error", "errors"}
    | {"etag", "extensions", "first", "firstpageurl", "from", "hasmore", "hasnext", "hasnextpage"}
    | {"haspreviouspage", "hasprevpage", "incompleteresults", "jsonapi", "kind", "last", "lastpage"}
    | {"lastpageurl", "lastrowid", "limit", "links", "message", "messages", "meta", "metadata"}
    | {"next", "nextcursor", "nextlink", "nextpage", "nextpagetoken", "nextpageurl", "number"}
    | {"nextrecordsurl", "numberofelements", "object", "offset", "ok", "page", "pageable"}
    | {"pageindex", "pageinfo", "pagenumber", "pages", "pagesize", "pagination", "paging"}
    | {"pagingcounter", "path", "perpage", "prev", "prevcursor", "previous", "prevpage"}
    | {"prevpageurl", "size", "skip", "sort", "start", "status", "success", "time", "timestamp"}
    | {"to", "took", "total", "totalcount", "totaldocs", "totalelements", "totalitems"}
    | {"totalpages", "totalresults", "totalsize", "url", "version", "view", "warnings"}
)
_ANNOTATIONS = ("@odata.", "odata.", "hydra:", "@context", "@id", "@type")
_CONNECTION = frozenset({"edges", "nodes"})
# How deep a connection of GraphQL may stand under `data`.
_MOST_KEYS = 3
_CONNECTIONS = tuple(
    (*(ANY,) * depth, *end)
    for depth in range(_MOST_KEYS + 1)
    for end in (("edges", ITEM, "node"), ("nodes",), ("pageInfo",))
)


class _Pages:
    """The list of a connection, or of HAL's `_embedded`, is of the table that its key names."""

    name = "pages"
    title = "pages of an API"
    recognised_by = (
        "objects of a list under `data`, `results`, `items`, ... or `edges[].node` or `_embedded`,"
        " and nothing else but counts, links and the like"
    )
    wrapper: frozenset[str] = frozenset()

    def detect(self, start: bytes) -> bool:
        fields = first_object(start)
        lists = [key for key, value in fields.items() if key in _LISTS and _is_list(value)]
        inner = fields.get("_embedded") or fields.get("data", b"")
        beside = fields.keys() - _HOLDING
        if not all(map(_is_beside, beside)):
            return False
        if inner.startswith(b"{"):
            return not lists and ("_embedded" in fields or _has_connection(inner))
        return (len(lists) == 1 and bool(beside)) or _has_connection(start)

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        cursor = Cursor(stream)
        for key, beside in lists_in_pages(cursor, _HOLDING):
            if key == "_embedded":
                for name in cursor.members():
                    yield from _items(cursor, name, tables)
            elif key == "edges":
                for _ in visit(cursor, ((ITEM, "node"),)):
                    yield _record(cursor.value(), cursor.offset, None, tables)
            elif cursor.peek() == b"[":
                yield from _items(cursor, None, tables)
            elif key == "data":
                yield from _connections(cursor, tables, beside)


FORMAT = _Pages()


def _is_list(value: bytes) -> bool:
    return value.startswith(b"[") and value[1:].lstrip()[:1] == b"{"


def _is_beside(key: str) -> bool:
    plain = key.strip("_").replace("_", "").lower()
    return plain in _BESIDE or key.startswith(_ANNOTATIONS)


def _has_connection(start: bytes, depth: int = 0) -> bool:
    """Tell if an object holds a list of edges or nodes, under a few keys at most."""
    fields = first_object(start)
    edges, nodes = fields.get("edges", b""), fields.get("nodes", b"")
    if _is_list(nodes) or (_is_list(edges) and "node" in first_object(edges)):
        return True
    return depth < _MOST_KEYS and any(
        value.startswith(b"{") and _has_connection(value, depth + 1) for value in fields.values()
    )


def _connections(
    cursor: Cursor, tables: Mapping[str, TableColumns] | None, beside: dict[str, bytes]
) -> Iterator[FoundRecord]:
    """Yield the records of connections; add to ``beside`` what is said of their pages."""
    for path in visit(cursor, _CONNECTIONS):
        if path[-1] == "pageInfo":
            beside[".".join(path[:-1])] = cursor.value()
            continue
        keys = [key for key in path if key not in {*_CONNECTION, ITEM, "node"}]
        table = keys[-1] if keys else None
        if path[-1] == "nodes":
            yield from _items(cursor, table, tables)
        else:
            yield _record(cursor.value(), cursor.offset, table, tables)


def _items(
    cursor: Cursor, table: str | None, tables: Mapping[str, TableColumns] | None
) -> Iterator[FoundRecord]:
    if cursor.peek() == b"{":  # HAL: one resource
        yield _record(cursor.value(), cursor.offset, table, tables)
        return
    for item in cursor.items():
        yield _record(item.raw, item.offset + len(item.raw), table, tables)


def _record(
    data: bytes, end: int, table: str | None, tables: Mapping[str, TableColumns] | None
) -> FoundRecord:
    """Return a record that ends at ``end`` as a row, without links and annotations."""
    row = plain_row(data)
    if b'"_links"' in data or b"odata." in data:
        row = _without_links(row, columns_of(tables, table))
    return FoundRecord(table, row, end - len(data))


def _without_links(row: bytes, columns: TableColumns | None) -> bytes:
    try:
        fields = values_of(row)
    except DECODE_ERRORS:
        return row
    names = columns.names if columns else ()
    return one_line(
        encode(
            {
                key: value
                for key, value in fields.items()
                if key in names or not (key == "_links" or key.startswith(("@odata.", "odata.")))
            }
        )
    )
