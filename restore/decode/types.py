"""How each type of column is decoded and encoded, and when its values need a closer look."""

from __future__ import annotations

import datetime as dt
import decimal
import re
import uuid
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from restore.decode.scalars import text_limit

if TYPE_CHECKING:
    from collections.abc import Callable

    from restore.target.catalog import Column

# More than six digits of a second (msgspec would round), wherever they stand in a record. What
# stands before the colon tells "10:00:52.1234567" from a number after its key: "lat":52.1234567.
_FINE_SECOND = re.compile(rb"\.\d{7}(?<=[^\"\s]:\d\d\.\d{7})")
# The number -0, whose sign msgspec drops, and numbers that may be too small for a float.
_UNSAFE_FLOAT = re.compile(rb"-(?:(?<=[:\[,\s]-)0|(?<=[eE]-)(?:[4-9]\d|\d{3,}))[,}\]\s]")


class TypeCodec(Struct, frozen=True):
    """How msgspec decodes values of one type, and the type for which psycopg encodes them."""

    annotation: Any
    oid: int
    binary: bool = True


def _integer(bits: int) -> Any:  # noqa: ANN401 - a type form
    return Annotated[int, Meta(ge=-(2 ** (bits - 1)), le=2 ** (bits - 1) - 1)]


_TEXT = TypeCodec(str, 25)
_AS_TEXT = TypeCodec(str, 25, binary=False)
# Of these the binary form is made here, and sent as bytes.
_BINARY_FORM = TypeCodec(msgspec.Raw, 17)
_RAW_AS_TEXT = TypeCodec(msgspec.Raw, 25, binary=False)

# Types with a binary form in psycopg, or one of ours (see target/adapters.py): by name, since those
# of extensions have no fixed oid. The oids are PostgreSQL's, from its pg_type.dat.
_CODECS: dict[str, TypeCodec] = {
    "bool": TypeCodec(bool, 16),
    "bpchar": _TEXT,
    "bytea": TypeCodec(bytes, 17),
    "cidr": _BINARY_FORM,
    "citext": _TEXT,
    "date": TypeCodec(dt.date, 1082),
    "float4": TypeCodec(float, 700),
    "float8": TypeCodec(float, 701),
    "inet": _BINARY_FORM,
    "int2": TypeCodec(_integer(16), 21),
    "int4": TypeCodec(_integer(32), 23),
    "int8": TypeCodec(_integer(64), 20),
    "interval": _BINARY_FORM,
    "json": TypeCodec(msgspec.Raw, 114),
    "jsonb": TypeCodec(msgspec.Raw, 3802),
    "numeric": TypeCodec(decimal.Decimal, 1700),
    "text": _TEXT,
    "time": TypeCodec(Annotated[dt.time, Meta(tz=False)], 1083),
    "timestamp": TypeCodec(dt.datetime, 1114),
    "timestamptz": TypeCodec(Annotated[dt.datetime, Meta(tz=True)], 1184),
    "uuid": TypeCodec(uuid.UUID, 2950),
    "varchar": _TEXT,
}
# Arrays whose elements psycopg encodes in binary, by the name of the element's type.
_ARRAY_OIDS = {
    "bool": 1000,
    "float4": 1021,
    "float8": 1022,
    "int2": 1005,
    "int4": 1007,
    "int8": 1016,
    "numeric": 1231,
    "text": 1009,
    "timestamptz": 1185,
    "uuid": 2951,
    "varchar": 1015,
}
# Types whose values are always converted: PostgreSQL would round, or cut off, some of their texts
# in silence, and so would msgspec.
_ALWAYS_CONVERTED = frozenset({"char", "money", "name", "numeric", "timetz"})
# Types whose usual texts become their binary form; other texts are left to the server.
BINARY_TEXTS = frozenset({"cidr", "inet", "interval"})
# Types whose values are sent as they stand in the file.
JSON_TYPES = frozenset({"json", "jsonb"})


class Shape(Struct, frozen=True):
    """What decides how records are decoded: see the head of codec.py. All are names of fields.

    ``named`` are those of the columns with a default that the records have. A record may lack those
    of them that are ``filled``: the default's value stands in its row then.
    """

    named: frozenset[str]
    wide: frozenset[str]
    unknown: frozenset[str]
    filled: frozenset[str] = frozenset()


def type_codec(column: Column, *, wide: bool) -> TypeCodec:
    """Return how a column is decoded and encoded; ``wide``: its values are converted."""
    type_ = column.type
    if type_.element is not None:
        return _array_codec(column, wide=wide)
    if type_.is_enum:
        labels = type_.labels or ()
        annotation = Literal[labels] if labels else str
        return TypeCodec(msgspec.Raw if wide else annotation, _TEXT.oid)
    codec = _CODECS.get(type_.name, _AS_TEXT)
    if wide and type_.name in BINARY_TEXTS:
        return _RAW_AS_TEXT
    if wide and codec.annotation is not msgspec.Raw:
        return TypeCodec(msgspec.Raw, codec.oid, codec.binary)
    limit = text_limit(column)
    if limit is not None and not wide:
        return TypeCodec(Annotated[str, Meta(max_length=limit)], codec.oid)
    return codec


def is_binary_array(column: Column) -> bool:
    """Return whether arrays of a column's type are sent in binary.

    Those of domains are not: the binary form names the type of the elements.
    """
    type_, element = column.type, column.type.element
    return (
        element is not None
        and element.name in _ARRAY_OIDS
        and (type_.schema, type_.name) == ("pg_catalog", f"_{element.name}")
        and column.typmod < 0
    )


def _array_codec(column: Column, *, wide: bool) -> TypeCodec:
    element = column.type.element
    if wide or element is None or not is_binary_array(column):
        return _RAW_AS_TEXT
    annotation = list[_CODECS[element.name].annotation | None]  # type: ignore[misc,valid-type]
    return TypeCodec(annotation, _ARRAY_OIDS[element.name])


def needs_conversion(column: Column, shape: Shape) -> bool:
    """Return whether a column's values are converted one by one."""
    if column.field in shape.wide or column.type.name in _ALWAYS_CONVERTED:
        return True
    if column.type.has_parts:
        return not is_binary_array(column)
    # "interval year to month" drops the other fields.
    return column.type.name == "interval" and column.typmod >= 0


def precision_check(columns: tuple[Column, ...], shape: Shape) -> Callable[[bytes], bool]:
    """Return what tells whether bytes may hold a value that msgspec would round.

    Args:
        columns: the table's columns, less the generated ones.
        shape: the shape of the records in these bytes; what is converted is checked anyway.
    """
    plain = [column for column in columns if not needs_conversion(column, shape)]
    names = {(column.type.element or column.type).name for column in plain}
    patterns = []
    if names & {"timestamp", "timestamptz", "time"}:
        patterns.append(_FINE_SECOND.search)
    if names & {"float4", "float8"}:
        patterns.append(_UNSAFE_FLOAT.search)
    return lambda data: any(search(data) is not None for search in patterns)
