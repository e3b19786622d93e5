"""What pandas' ``DataFrame.to_json`` writes: orients split, table, index and columns.

Its ``records`` are plain. An index is the primary key if no column of the export is, unless it may
just number the rows; else it is left out.
"""

from __future__ import annotations

import io
import re
from itertools import zip_longest
from typing import TYPE_CHECKING

import msgspec

from restore.source.formats.cursor import Cursor
from restore.source.formats.format import FormatError, FoundRecord
from restore.source.formats.paths import (
    column_names,
    first_object,
    named_row,
    object_fields,
    plain_row,
    visit,
)
from restore.source.formats.rows import columns_of, encode, one_line
from restore.source.json_values import DECODE_ERRORS, members_of, values_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import TableColumns

_LARGEST_BYTES = 1 << 26
# Each value is cut off what its cursor holds: small parts make many small values fast.
_SMALL_CHUNK_BYTES = 1 << 12
_RECORDS = 'export it again with to_json(orient="records", lines=True)'


class _Split:
    name = "pandas-split"
    title = 'what pandas writes with orient="split"'
    recognised_by = "an object of just `columns` (names), `index` and `data` (lists)"
    wrapper = frozenset({"columns", "data"})

    def detect(self, start: bytes) -> bool:
        fields = first_object(start) if start.startswith(b"{") else {}
        if not {"columns", "index", "data"} >= fields.keys() >= {"columns"} or len(fields) == 1:
            return False
        rows = fields.get("data", b"[")
        return all(value.startswith(b"[") for value in fields.values()) and (
            rows[1:].lstrip()[:1] in (b"[", b"]", b"")
        )

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        cursor = Cursor(stream)
        names: list[str] = []
        labels: Iterator[bytes] = iter(())
        for (key,) in visit(cursor, (("columns",), ("index",), ("data",))):
            if key == "columns":
                names = column_names(cursor.value())
            elif key == "index":
                try:
                    index = members_of(cursor.value())
                except DECODE_ERRORS:
                    raise FormatError("its index is damaged") from None
                column = _index_column(bytes(index[0]) if index else b"", names, tables)
                if column is not None:
                    labels = (b"[" + label + b", " for label in map(bytes, index))
                    names = [column, *names]
            else:
                for item in cursor.items():
                    label = next(labels, None)
                    data = item.raw if label is None else label + item.raw[1:]
                    row = named_row(data, names)
                    yield FoundRecord(None, item.raw if row == data else row, item.offset)
        cursor.end()


class _Table:
    name = "pandas-table"
    title = 'what pandas writes with orient="table"'
    recognised_by = "an object of `schema` (with `fields` and `pandas_version`) and `data`"
    wrapper = frozenset({"schema", "data"})

    def detect(self, start: bytes) -> bool:
        fields = first_object(start) if start.startswith(b"{") else {}
        schema = fields.get("schema", b"")
        return (
            schema.startswith(b"{") and {"fields", "pandas_version"} <= first_object(schema).keys()
        )

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        cursor = Cursor(stream)
        names: list[str] = []
        for (key,) in visit(cursor, (("schema",), ("data",))):
            if key == "schema":
                names = _names_beside_index(cursor.value())
                continue
            for record in cursor.records():
                row = _without_index(record.raw, names, tables) if names else None
                yield FoundRecord(None, row or plain_row(record.raw), record.offset)
        cursor.end()


def _names_beside_index(schema: bytes) -> list[str]:
    """Return the columns of a frame whose index has no name; none: it has one."""
    try:
        fields = values_of(schema)
        if column_names(fields["primaryKey"]) != ["index"]:
            return []
        return [name for name in column_names(fields["fields"]) if name != "index"]
    except KeyError:
        return []
    except DECODE_ERRORS:
        raise FormatError("its schema is damaged") from None


def _without_index(
    record: bytes, names: list[str], tables: Mapping[str, TableColumns] | None
) -> bytes | None:
    """Return the row of a record whose index has no name; None: it is damaged."""
    columns = columns_of(tables)
    try:
        fields = values_of(record)
    except DECODE_ERRORS:
        return None
    if columns is None or "index" not in columns.names:
        label = fields.pop("index", msgspec.Raw())
        column = _index_column(bytes(label), names, tables)
        if column is not None:
            fields[column] = label
    return one_line(encode(fields))


class _ByIndex:
    name = "pandas-index"
    title = 'what pandas writes with orient="index"'
    recognised_by = "an object whose keys are whole numbers, of objects with other keys"
    wrapper: frozenset[str] = frozenset()

    def detect(self, start: bytes) -> bool:
        outer = first_object(start) if start.startswith(b"{") else {}
        inner = [_inner(value) for value in outer.values()]
        return (
            _are_numbers(outer)
            and bool(inner)
            and all(one and not _are_numbers(one) for one in inner[:-1] or inner)
        )

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        cursor = Cursor(stream, _SMALL_CHUNK_BYTES)
        column: str | None = None
        for n, label in enumerate(cursor.members()):
            offset = cursor.offset
            data = cursor.value()
            try:
                fields = values_of(data)
            except DECODE_ERRORS:
                yield FoundRecord(None, data, offset)
                continue
            if n == 0:
                column = _index_column(encode(label), fields, tables)
            if column is not None:
                fields[column] = msgspec.Raw(encode(label))
            yield FoundRecord(None, one_line(encode(fields)), offset)
        cursor.end()


class _ByColumn:
    name = "pandas-columns"
    title = 'what pandas writes with orient="columns"'
    recognised_by = "an object of columns, each an object with the same whole numbers as keys"
    wrapper: frozenset[str] = frozenset()

    def detect(self, start: bytes) -> bool:
        cursor = Cursor(io.BytesIO(start))
        outer = object_fields(cursor, start)
        inner = [tuple(_inner(value)) for value in outer.values()]
        if _are_numbers(outer) or len(inner) < 2 or cursor.peek():  # noqa: PLR2004 - one may be a map
            return False
        return _are_numbers(inner[0]) and (
            all(keys == inner[0] for keys in inner[:-1]) and inner[-1] == inner[0][: len(inner[-1])]
        )

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        cursor = Cursor(stream)
        columns: dict[str, bytes] = {}
        offsets: list[int] = []
        for key in cursor.members():
            offsets.append(cursor.offset)
            columns[str(key)] = cursor.value()
            if cursor.offset > _LARGEST_BYTES:
                raise FormatError(f"it is {self.title}, and too large to be held; {_RECORDS}")
        names, column = list(columns), None
        readers = [_members(value) for value in columns.values()]
        for n, cells in enumerate(zip_longest(*readers, fillvalue=(None, b"", 0))):
            label = cells[0][0]
            if any(cell[0] != label for cell in cells):
                raise FormatError(f"the columns do not have the same index; {_RECORDS}")
            if n == 0:
                column = _index_column(encode(label), names, tables)
            row = dict(zip(names, (msgspec.Raw(cell[1]) for cell in cells), strict=True))
            if column is not None:
                row[column] = msgspec.Raw(encode(label))
            yield FoundRecord(None, one_line(encode(row)), offsets[0] + cells[0][2])
        cursor.end()


SPLIT, TABLE, BY_INDEX, BY_COLUMN = FORMATS = (_Split(), _Table(), _ByIndex(), _ByColumn())


def _members(value: bytes) -> Iterator[tuple[str | None, bytes, int]]:
    """Yield the keys of an object, with their values and places."""
    cursor = Cursor(io.BytesIO(value), _SMALL_CHUNK_BYTES)
    for key in cursor.members():
        offset = cursor.offset
        yield key, cursor.value(), offset


def _inner(value: bytes) -> dict[str, bytes]:
    return first_object(value) if value.startswith(b"{") else {}


def _are_numbers(keys: Collection[str]) -> bool:
    return bool(keys) and all(re.fullmatch(r"\d+", key) for key in keys)


def _index_column(
    label: bytes, names: Collection[str], tables: Mapping[str, TableColumns] | None
) -> str | None:
    """Return the column that the index goes to; None: it is left out.

    Args:
        label: the first of the index.
        names: the columns of the export.
        tables: as in ``Format.records``.

    Raises:
        FormatError: the primary key is not among the columns, and this index starts as one that
            just numbers the rows, or has several levels.
    """
    columns = columns_of(tables)
    if columns is None or len(columns.key) != 1 or not label:
        return None
    key = columns.key[0]
    if _plain(key) in map(_plain, names):
        return None
    if label.strip(b'"') == b"0" or label.startswith((b"[", b'"(')):
        raise FormatError(
            f"no column of it is {key}, and its index may only number the rows; give the index a"
            f" column with reset_index(), and {_RECORDS}"
        )
    return key


def _plain(name: str) -> str:
    return name.replace("_", "").casefold()
