"""Rows made of an export's records: their keys, and times as PostgreSQL reads them."""

from __future__ import annotations

import binascii
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import msgspec

from restore.source.bare_numbers import mark_bare_numbers, unmark_bare_numbers
from restore.source.formats.format import FormatError, FoundRecord
from restore.source.json_values import DECODE_ERRORS, check_value, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from restore.source.formats.format import TableColumns
    from restore.source.records import RawRecord

Fields = dict[str, msgspec.Raw]
T = TypeVar("T")

_NUMBER_TYPES = frozenset({"smallint", "integer", "bigint", "numeric"})
_DIGITS = re.compile(rb'"?-?\d+"?')
_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The Gregorian calendar repeats itself after so many years, which have so many days.
_CYCLE_YEARS = 400
_CYCLE = timedelta(days=146_097)
_MICROSECOND = timedelta(microseconds=1)

encode = msgspec.json.encode


def one_line(data: bytes) -> bytes:
    """Return a JSON value on one line: line ends can only be white space in it.

    What has one in a string is not JSON, and is returned as it is.
    """
    if b"\n" not in data and b"\r" not in data:
        return data
    try:
        check_value(data)
    except DECODE_ERRORS:
        return data
    return data.translate(_LINE_ENDS)


def converted(
    found: Iterable[RawRecord],
    convert: Callable[[Fields], Mapping[str, object] | None],
    table: str | None = None,
) -> Iterator[FoundRecord]:
    """Yield records as rows of a table; damaged ones as they are.

    Args:
        found: the records.
        convert: returns the row of a record's fields; None: it is left out. A ValueError says why
            that cannot be done.
        table: as in ``FoundRecord``.

    Raises:
        FormatError: a sound record is none of this format.
    """
    for record in found:
        fields, is_marked = decode_record(record.raw, values_of)
        if fields is None:
            yield FoundRecord(table, record.raw, record.offset)
            continue
        try:
            row = convert(fields)
        except DECODE_ERRORS as error:
            raise FormatError(
                f"the record at byte {record.offset:,} does not fit this format: {error}"
            ) from None
        except ValueError as error:
            raise FormatError(f"the record at byte {record.offset:,} {error}") from None
        if row is not None:
            data = one_line(encode(row))
            data = unmark_bare_numbers(data) if is_marked else data
            yield FoundRecord(table, data, record.offset)


def decode_record(raw: bytes, decode: Callable[[bytes], T]) -> tuple[T | None, bool]:
    """Decode a record; return None if it is damaged, and whether its bare numbers are marked.

    A row that is made of a marked record is to be unmarked.
    """
    try:
        return decode(raw), False
    except DECODE_ERRORS:
        marked, count = mark_bare_numbers(raw)
    try:
        return (decode(marked), True) if count else (None, False)
    except DECODE_ERRORS:
        return None, False


def columns_of(
    tables: Mapping[str, TableColumns] | None, name: str | None = None
) -> TableColumns | None:
    """Return the columns of a table; of the only one, if the records do not name theirs."""
    if not tables:
        return None
    if name is None:
        return next(iter(tables.values())) if len(tables) == 1 else None
    return tables.get(name)


def with_key(
    row: Fields, own: str, columns: TableColumns | None, *, is_text: bool = False
) -> Fields:
    """Return a row with its document's identifier in the column for it.

    Args:
        row: the row, with the identifier.
        own: the identifier's field. It stays there if that is a column, or if no other column may
            take it: ``id``, or the only one of the primary key, if the row does not fill that.
        columns: the table's columns, if they are known.
        is_text: the identifier is a text, which a column of numbers cannot take.
    """
    if columns is None or own in columns.names or own not in row:
        return row
    types = dict(zip(columns.names, columns.types, strict=False))
    for column in ("id", *(columns.key if len(columns.key) == 1 else ())):
        fits = not (is_text and types.get(column) in _NUMBER_TYPES)
        if column in columns.names and column not in row and fits:
            return {column if name == own else name: value for name, value in row.items()}
    return row


def document_row(key: msgspec.Raw | None, fields: Fields, columns: TableColumns | None) -> Fields:
    """Return the row of a document whose store keeps its identifier beside the fields.

    The identifier goes where ``with_key`` puts it. It is left out if the row has one of its own.
    """
    if key is None or "_id" in fields:
        return with_key(fields, "_id", columns)
    is_text = _DIGITS.fullmatch(key) is None
    row = with_key({"_id": key, **fields}, "_id", columns, is_text=is_text)
    if columns is not None and "_id" in row and "_id" not in columns.names:
        own = {"id", *columns.key} & fields.keys()
        return fields if own else row
    return row


def hex_text(base64: msgspec.Raw) -> str:
    """Return bytes as PostgreSQL writes them, of their base64 in JSON.

    Raises:
        ValueError: it is none.
    """
    try:
        text = msgspec.json.decode(base64, type=str)
        return "\\x" + binascii.a2b_base64(text, strict_mode=True).hex()
    except ValueError:
        raise ValueError("has bytes that are not in base64") from None


def iso_timestamp(microseconds: int) -> str:
    """Return a time since 1970 in UTC as PostgreSQL reads it, in any year."""
    cycles, rest = divmod(microseconds, _CYCLE // _MICROSECOND)
    moment = (_EPOCH + timedelta(microseconds=rest)).replace(tzinfo=None)
    year = moment.year + _CYCLE_YEARS * cycles
    text = moment.isoformat()[4:]
    if moment.microsecond:
        text = text.rstrip("0")
    return f"{year:04}{text}Z" if year > 0 else f"{1 - year:04}{text}Z BC"
