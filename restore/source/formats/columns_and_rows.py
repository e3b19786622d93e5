"""Exports that name the columns once: the names under one key, the rows under another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from restore.source.formats.cursor import Cursor
from restore.source.formats.following import check_last
from restore.source.formats.format import FormatError, FoundRecord
from restore.source.formats.paths import (
    ITEM,
    column_names,
    first_object,
    named_row,
    plain_row,
    visit,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import TableColumns
    from restore.source.formats.paths import Path

# Rows that stand before their columns are held up to this size.
_LARGEST_HELD_BYTES = 1 << 26


class ColumnsAndRows(Struct):
    """A format with its columns and its rows under these paths.

    Args:
        name: as in ``Format``.
        title: as in ``Format``.
        recognised_by: as in ``Format``.
        columns: where the list of names, or of objects with a ``name``, is.
        rows: where the list of rows is: objects, or lists of values.
        others: the keys that may be at the top beside these; None: any.
        following: keys that tell if the rows are not all.
    """

    name: str
    title: str
    recognised_by: str
    columns: Path
    rows: Path
    others: frozenset[str] | None = None
    following: tuple[str, ...] = ()
    wrapper: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.wrapper = frozenset({self.columns[0], self.rows[0]})

    def detect(self, start: bytes) -> bool:
        """As in ``Format``."""
        if not start.startswith(b"{"):
            return False
        fields = first_object(start)
        if self.others is not None and not fields.keys() <= self.wrapper | self.others:
            return False
        names, rows = _at(fields, self.columns), _at(fields, self.rows)
        if names is None or rows is None:
            return False
        try:
            return bool(column_names(names)) and rows.startswith(b"[") and _may_hold_rows(rows)
        except FormatError:
            return False

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        """As in ``Format``."""
        del tables  # all is in the file
        cursor = Cursor(stream)
        names: list[str] | None = None
        held: list[tuple[bytes, int]] = []
        size = 0
        for path in self._visit(cursor):
            if path == self.columns:
                others, names = names, column_names(cursor.value())
                if others not in (None, names):
                    raise FormatError("it holds results of several queries: export each to a file")
                continue
            for item in cursor.items():
                data, offset = item.raw, item.offset
                if data.startswith(b"{"):
                    yield FoundRecord(None, plain_row(data), offset)
                elif names is not None:
                    yield FoundRecord(None, named_row(data, names), offset)
                else:
                    held.append((data, offset))
                    size += len(data)
                    if size > _LARGEST_HELD_BYTES:
                        raise FormatError(
                            "its rows stand before the names of their columns, and are too large to"
                            " be held: export each row as an object"
                        )
        if names is None:
            raise FormatError(f"it has no list of columns under {'.'.join(self.columns)}")
        for data, offset in held:
            yield FoundRecord(None, named_row(data, names), offset)

    def _visit(self, cursor: Cursor) -> Iterator[Path]:
        """Stop at the columns and at the rows; see, at the end, if the rows are all."""
        beside: dict[str, bytes] = {}
        for path in visit(cursor, (self.columns, self.rows, *((key,) for key in self.following))):
            if path[-1] in self.following:
                beside[path[-1]] = cursor.value()
            else:
                yield path
        cursor.end()
        check_last(beside)


def _at(fields: Mapping[str, bytes], path: Path) -> bytes | None:
    """Return what is known of the value at a path; None: it is not there."""
    value = fields.get(path[0])
    for key in path[1:]:
        if key != ITEM:
            value = first_object(value).get(key) if value else None
    return value


def _may_hold_rows(rows: bytes) -> bool:
    return rows[1:].lstrip()[:1] in (b"[", b"{", b"]", b"")
