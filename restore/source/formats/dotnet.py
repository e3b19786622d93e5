""".NET's JSON with references kept: marks such as ``$id`` in objects, lists under ``$values``.

System.Text.Json writes it with ReferenceHandler.Preserve, Newtonsoft's Json.NET with
PreserveReferencesHandling or TypeNameHandling.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from restore.source.formats.cursor import Cursor, peek_head, top_records
from restore.source.formats.format import FormatError, FoundRecord
from restore.source.formats.paths import ANY, first_object, visit
from restore.source.formats.rows import encode, one_line
from restore.source.json_values import DECODE_ERRORS, members_of, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import TableColumns

_MARKED = re.compile(rb'"\$(?:id|values|ref|type)"\s*:')
_NUMBER = re.compile(rb'"\d+"')
_VALUES = "$values"
_MARKS = frozenset({"$id", "$type"})
_LIST = frozenset({"$id", "$type", "$values"})


class _DotNet:
    """A list under a key is of the table that the key names."""

    name = "dotnet"
    title = ".NET's JSON with references kept"
    recognised_by = "objects that begin with `$id` or `$type`, lists under `$values`"
    wrapper: frozenset[str] = frozenset()

    def detect(self, start: bytes) -> bool:
        fields = first_object(start)
        first = next(iter(fields), "")
        if _VALUES in fields:
            return fields.keys() <= _LIST
        if first == "$type":
            return fields["$type"].startswith(b'"')
        return first == "$id" and _NUMBER.match(fields["$id"]) is not None

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        del tables
        start, whole = peek_head(stream)
        fields = first_object(start)
        is_wrapped = start.startswith(b"{") and any(
            key == _VALUES or _VALUES in first_object(value)
            for key, value in fields.items()
            if key == _VALUES or value.startswith(b"{")
        )
        if not is_wrapped:
            for record in top_records(whole):
                yield FoundRecord(None, _row(record.raw), record.offset)
            return
        cursor = Cursor(whole)
        for path in visit(cursor, ((_VALUES,), (ANY, _VALUES))):
            for item in cursor.items():
                table = path[0] if len(path) > 1 else None
                yield FoundRecord(table, _row(item.raw), item.offset)
        cursor.end()


FORMAT = _DotNet()


def _row(data: bytes) -> bytes:
    """Return an object as a row; what is damaged stays as it is.

    Raises:
        FormatError: it is a reference to another object.
    """
    try:
        row = _unmarked(data)
    except DECODE_ERRORS:
        return data
    return one_line(row)


def _unmarked(data: bytes) -> bytes:
    """Return a value without the marks in it."""
    if not data.startswith((b"{", b"[")) or _MARKED.search(data) is None:
        members_of(b"[" + data + b"]")
        return data
    if data.startswith(b"["):
        return encode([msgspec.Raw(_unmarked(bytes(item))) for item in members_of(data)])
    fields = values_of(data)
    if "$ref" in fields:
        raise FormatError(
            "it refers to objects that stand elsewhere in it ($ref); export it with"
            " ReferenceHandler.IgnoreCycles, or ReferenceLoopHandling.Ignore"
        )
    if _VALUES in fields and fields.keys() <= _LIST:
        return _unmarked(bytes(fields[_VALUES]))
    return encode(
        {
            name: msgspec.Raw(_unmarked(bytes(value)))
            for name, value in fields.items()
            if name not in _MARKS
        }
    )
