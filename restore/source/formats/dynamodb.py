"""DynamoDB's typed values: exports to S3 and the output of ``aws dynamodb scan``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from restore.source.formats.cursor import Cursor, top_records
from restore.source.formats.format import FormatError
from restore.source.formats.paths import documents, visit
from restore.source.formats.rows import Fields, converted, hex_text
from restore.source.formats.start import first_objects, value_at
from restore.source.json_values import DECODE_ERRORS, members_of, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import FoundRecord, TableColumns

_NUMBER = re.compile(rb'"(-?(?:0|[1-9]\d*+)(?:\.\d++)?(?:[eE][+-]?\d++)?)"')
# What the value of each type begins with.
_FIRST = {
    "S": b'"',
    "N": b'"',
    "B": b'"',
    "BOOL": b"tf",
    "NULL": b"t",
    "M": b"{",
    "L": b"[",
    "SS": b"[",
    "NS": b"[",
    "BS": b"[",
}
# As AWS Data Pipeline wrote them.
_OLD_TYPES = {
    "s": "S",
    "n": "N",
    "b": "B",
    "bOOL": "BOOL",
    "nULLValue": "NULL",
    "m": "M",
    "l": "L",
    "sS": "SS",
    "nS": "NS",
    "bS": "BS",
}
_NEXT_PAGE = (("LastEvaluatedKey",), ("NextToken",))


class _Items:
    name = "dynamodb"
    title = "an export of DynamoDB"
    recognised_by = '`{"Item": ...}` a line, or records whose values are all such as `{"S": "Ann"}`'
    wrapper = frozenset({"Item"})

    def detect(self, start: bytes) -> bool:
        """Tell if a file is of this format."""
        items = [_item_of(fields) for fields in first_objects(start)]
        if items == [{}]:
            items = first_objects(value_at(start, "Item"))
        return bool(items) and all(map(_is_typed, items))

    def records(
        self,
        stream: ByteSource,
        tables: Mapping[str, TableColumns] | None,  # noqa: ARG002 - as in the protocol
    ) -> Iterator[FoundRecord]:
        """Yield the items with plain values."""
        return converted(top_records(stream), lambda fields: _row(_item_of(fields)))


class _Scan:
    name = "dynamodb-scan"
    title = "what aws dynamodb scan prints"
    recognised_by = '`Items`, whose values are such as `{"S": "Ann"}`, and `ScannedCount`'
    wrapper: frozenset[str] = frozenset()

    def detect(self, start: bytes) -> bool:
        """Tell if a file is of this format."""
        items = value_at(start, "Items")
        found = first_objects(items) if items.startswith(b"[") else []
        if not any(found):
            return b'"ScannedCount"' in start and items[1:].lstrip()[:1] in (b"]", b"{")
        return all(map(_is_typed, found))

    def records(
        self,
        stream: ByteSource,
        tables: Mapping[str, TableColumns] | None,  # noqa: ARG002 - as in the protocol
    ) -> Iterator[FoundRecord]:
        """Yield the items of each page with plain values.

        Raises:
            FormatError: the last page tells of a next one.
        """
        cursor = Cursor(stream)
        following = b"null"
        for _ in documents(cursor):
            following = b"null"
            for path in visit(cursor, (("Items",), *_NEXT_PAGE)):
                if path == ("Items",):
                    yield from converted(cursor.records(), _row)
                else:
                    following = cursor.value()
        if following != b"null":
            raise FormatError(
                "it ends with a page that others follow; scan the table without limits"
            )


def _item_of(fields: Fields) -> Fields:
    """Return the item in a line of an export to S3; a record that is none is an item itself."""
    if fields.keys() != {"Item"}:
        return fields
    try:
        return values_of(fields["Item"])
    except DECODE_ERRORS:
        return fields


def _is_typed(item: Fields) -> bool:
    return bool(item) and all(map(_typed, item.values()))


def _typed(value: msgspec.Raw) -> tuple[str, msgspec.Raw] | None:
    """Return a value and the type that it has around it; None: it is not typed."""
    try:
        ((kind, inner),) = values_of(value).items()
    except ValueError:
        return None
    kind = _OLD_TYPES.get(kind, kind)
    return (kind, inner) if bytes(inner)[:1] in _FIRST.get(kind, ()) else None


def _row(item: Fields) -> dict[str, object]:
    return {name: _plain(value, is_column=True) for name, value in item.items()}


def _plain(value: msgspec.Raw, *, is_column: bool = False) -> object:
    """Return a value without its type.

    Raises:
        ValueError: it has no type, or is none of it.
    """
    typed = _typed(value)
    if typed is None:
        raise ValueError("has a value that is not typed as DynamoDB does")
    kind, inner = typed
    match kind:
        case "N":
            return _number(inner)
        case "NULL":
            return None
        case "M":
            return {name: _plain(member) for name, member in values_of(inner).items()}
        case "L" | "NS":
            convert = _number if kind == "NS" else _plain
            return [convert(member) for member in members_of(bytes(inner))]
        case "B" if is_column:
            return hex_text(inner)
    return inner


def _number(text: msgspec.Raw) -> msgspec.Raw:
    digits = _NUMBER.fullmatch(text)
    if digits is None:
        raise ValueError("has a value of type N that is not a number")
    return msgspec.Raw(digits[1])


FORMAT = _Items()
SCAN = _Scan()
