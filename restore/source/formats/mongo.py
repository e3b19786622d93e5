"""MongoDB's Extended JSON, versions 1 and 2, canonical and relaxed (mongoexport, Compass)."""

from __future__ import annotations

import binascii
import re
import uuid
from typing import TYPE_CHECKING

import msgspec

from restore.source.formats.cursor import top_records
from restore.source.formats.format import FoundRecord
from restore.source.formats.refused import Refused
from restore.source.formats.rows import columns_of, encode, iso_timestamp, one_line, with_key
from restore.source.formats.start import first_objects
from restore.source.json_values import DECODE_ERRORS, check_value, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import TableColumns

# A value with its type around it. In sound JSON a brace, then a quote, can stand in no string: so
# each match is an object. What else an object with such a key holds keeps it as it is.
_TYPED = re.compile(
    rb'\{\s*"\$(?P<type>oid|date|number(?:Int|Long|Double|Decimal)|binary|uuid|symbol|undefined)"'
    rb'\s*:\s*(?:"(?P<text>(?:[^"\\]|\\/)*+)"|(?P<word>-?\d++|true)'
    rb'|\{\s*"\$numberLong"\s*:\s*"(?P<long>-?\d+)"\s*\}'
    rb'|\{\s*"base64"\s*:\s*"(?P<base64>(?:[^"\\]|\\/)*+)"\s*,'
    rb'\s*"subType"\s*:\s*"(?P<subtype>[0-9a-fA-F]{1,2})"\s*\})'
    rb'\s*(?:,\s*"\$type"\s*:\s*"(?P<subtype_1>[0-9a-fA-F]{1,2})"\s*)?\}'
)
# The usual ones of them; the group is the value. To split by it is four times as fast as calls.
_USUAL = re.compile(
    rb'\{\s*+"\$(?:(?:oid|date|symbol)"\s*+:\s*+(?=")'
    rb'|number(?:Int|Long|Double|Decimal)"\s*+:\s*+"(?=[-\d]))'
    rb'("[^"\\]*+"|-?(?:0|[1-9]\d*+)(?:\.\d++)?)"?+\s*+\}'
)
_NUMBER = re.compile(rb"-?(?:0|[1-9]\d*+)(?:\.\d++)?(?:[eE][+-]?\d++)?")
_OBJECT_ID = re.compile(rb'"[0-9a-f]{24}"')
_UUID_SUBTYPE = 4
_UUID_BYTES = 16
_NO_NUMBERS = (b"NaN", b"Infinity", b"-Infinity")
# The first field, or the second, is a call; neither is a string.
_SHELL = re.compile(
    rb"\[?\s*\{\s*(?:[\"']?\w++[\"']?\s*:\s*[^\s,{}\"'(]++\s*,\s*)?[\"']?\w++[\"']?\s*:\s*"
    rb"(?:ObjectId|ISODate|NumberLong|NumberInt|NumberDecimal|BinData|UUID|new Date)\("
)
_BSON = re.compile(rb".{3}\0[\x01-\x13]_id\0", re.DOTALL)


class _ExtendedJson:
    name = "mongo"
    title = "MongoDB's Extended JSON"
    recognised_by = 'records with values such as `{"$oid": ...}`, `{"$date": ...}`'
    wrapper: frozenset[str] = frozenset()

    def detect(self, start: bytes) -> bool:
        """Tell if a file is of this format."""
        return _TYPED.search(start) is not None and any(map(_is_document, first_objects(start)))

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        """Yield records with plain values; ``_id`` goes to ``id`` if only that is a column."""
        columns = columns_of(tables)
        keeps_id = columns is None or "_id" in columns.names
        for record in top_records(stream):
            data = record.raw
            try:
                check_value(data)
                data = b"".join(_USUAL.split(data))
                if b'"$' in data:
                    data = _without_types(data)
                if not keeps_id:
                    data = _with_key(values_of(data), columns)
            except DECODE_ERRORS:
                yield FoundRecord(None, record.raw, record.offset)
            else:
                yield FoundRecord(None, one_line(data), record.offset)


def _is_document(fields: dict[str, msgspec.Raw]) -> bool:
    """Tell if a field's value is typed, or one within it beside an ``_id``, which comes first."""
    if any(_TYPED.fullmatch(value) for value in fields.values()):
        return True
    return next(iter(fields), "") == "_id" and any(map(_TYPED.search, fields.values()))


def _with_key(row: dict[str, msgspec.Raw], columns: TableColumns | None) -> bytes:
    is_object_id = _OBJECT_ID.fullmatch(row.get("_id", b"")) is not None
    return encode(with_key(row, "_id", columns, is_text=is_object_id))


def _without_types(data: bytes) -> bytes:
    if b"$binary" not in data:
        return _TYPED.sub(_plain, data)
    row = {}
    for name, value in values_of(data).items():
        whole = _TYPED.fullmatch(value)
        row[name] = msgspec.Raw(
            _plain(whole, is_column=True) if whole else _TYPED.sub(_plain, bytes(value))
        )
    return encode(row)


def _plain(typed: re.Match[bytes], *, is_column: bool = False) -> bytes:
    """Return the value without its type; as it is, if it is none of that type."""
    kind, text, word = typed["type"], typed["text"], typed["word"]
    if text is not None:
        text = text.replace(b"\\/", b"/")
    if kind == b"date":
        milliseconds = typed["long"] or (text is None and word)
        if milliseconds and milliseconds != b"true":
            return b'"%b"' % iso_timestamp(int(milliseconds) * 1000).encode()
    elif kind.startswith(b"number"):
        digits = text if word is None else word
        if digits is not None and _NUMBER.fullmatch(digits):
            return digits
        if digits not in _NO_NUMBERS:
            return typed[0]
    elif kind in (b"binary", b"uuid"):
        return _bytes(typed, text, is_column=is_column) or typed[0]
    elif kind == b"undefined":
        return b"null"
    return typed[0] if text is None else b'"%b"' % text


def _bytes(typed: re.Match[bytes], text: bytes | None, *, is_column: bool) -> bytes | None:
    """Return the text of bytes or of a UUID; None: it is neither.

    Drivers differ in the order of the bytes of the old UUIDs (subtype 3): these stay bytes.
    """
    try:
        if typed["type"] == b"uuid":
            return None if text is None else b'"%b"' % str(uuid.UUID(text.decode())).encode()
        coded = text if typed["base64"] is None else typed["base64"].replace(b"\\/", b"/")
        data = binascii.a2b_base64(coded or b"", strict_mode=True)
    except ValueError:
        return None
    subtype = int(typed["subtype"] or typed["subtype_1"] or b"0", 16)
    if subtype == _UUID_SUBTYPE and len(data) == _UUID_BYTES:
        return b'"%b"' % str(uuid.UUID(bytes=data)).encode()
    return b'"\\\\x%b"' % data.hex().encode() if is_column else b'"%b"' % (coded or b"")


FORMAT = _ExtendedJson()
SHELL = Refused(
    "mongo-shell",
    "what MongoDB's shell prints",
    "values such as `ObjectId(...)`, `ISODate(...)`",
    "export the collection with mongoexport",
    _SHELL.match,
)
BSON = Refused(
    "bson",
    "BSON, as mongodump writes it",
    "the length of a document, then its `_id` in binary",
    "export the collection with mongoexport, or convert it with bsondump",
    _BSON.match,
)
