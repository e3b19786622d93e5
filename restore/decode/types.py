"""How each type of column is decoded and encoded, and when its values need a closer look."""

from __future__ import annotations

import datetime as dt
import decimal
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from restore.decode.scalars import text_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from restore.target.catalog import Column, Type

# More than six digits of a second (msgspec would round), wherever they stand in a record. What
# stands before the colon tells "10:00:52.1234567" from a number after its key: "lat":52.1234567.
_FINE_SECOND = re.compile(rb"\.\d{7}(?<=[^\"\s]:\d\d\.\d{7})")
# The number -0, whose sign msgspec drops, and numbers that may be too small for a float.
ODD_FLOAT = re.compile(rb"-(?:(?<=[:\[,\s]-)0|(?<=[eE]-)(?:[4-9]\d|\d{3,}))[,}\]\s]")
# A float4 keeps all digits of no smaller number than this.
_TINY = 2.0**-126


@dataclass(frozen=True, slots=True)
class Kind:
    """How one type is decoded, and the type for which psycopg encodes it."""

    annotation: Any
    oid: int
    binary: bool = True


def _integer(bits: int) -> Any:  # noqa: ANN401 - a type form
    return Annotated[int, Meta(ge=-(2 ** (bits - 1)), le=2 ** (bits - 1) - 1)]


_TEXT = Kind(str, 25)
_AS_TEXT = Kind(str, 25, binary=False)

# Types with a binary form in psycopg, or one of ours (see copy.py): by name, since those of
# extensions have no fixed oid. The oids are PostgreSQL's, from its pg_type.dat.
_KINDS: dict[str, Kind] = {
    "bool": Kind(bool, 16),
    "bpchar": _TEXT,
    "bytea": Kind(bytes, 17),
    "citext": _TEXT,
    "date": Kind(dt.date, 1082),
    "float4": Kind(float, 700),
    "float8": Kind(float, 701),
    "int2": Kind(_integer(16), 21),
    "int4": Kind(_integer(32), 23),
    "int8": Kind(_integer(64), 20),
    "json": Kind(msgspec.Raw, 114),
    "jsonb": Kind(msgspec.Raw, 3802),
    "numeric": Kind(decimal.Decimal, 1700),
    "text": _TEXT,
    "time": Kind(Annotated[dt.time, Meta(tz=False)], 1083),
    "timestamp": Kind(dt.datetime, 1114),
    "timestamptz": Kind(Annotated[dt.datetime, Meta(tz=True)], 1184),
    "uuid": Kind(uuid.UUID, 2950),
    "varchar": _TEXT,
}
# Arrays whose members psycopg encodes in binary, by the name of the member's type.
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
# Types whose values are converted whatever they look like.
# PostgreSQL would round, or cut off, some texts of the others in silence.
_ALWAYS_WIDE = frozenset({"char", "interval", "money", "name", "timetz"})
# Types whose values are sent as they stand in the file.
AS_IT_IS = frozenset({"json", "jsonb"})


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides how records are decoded: see the head of this file.

    ``named`` are the columns with a default that the records have. A record may lack those of them
    that are ``filled``: the default's value stands in its row then.
    """

    named: frozenset[str]
    wide: frozenset[str]
    unknown: frozenset[str]
    filled: frozenset[str] = frozenset()


def kind_of(column: Column, *, wide: bool) -> Kind:
    """Return how a column is decoded, and encoded."""
    type_ = column.type
    if type_.element is not None:
        return _array_kind(type_.element, column.typmod, wide=wide)
    if type_.is_enum:
        labels = type_.labels or ()
        annotation = Literal[labels] if labels else str
        return Kind(msgspec.Raw if wide else annotation, _TEXT.oid)
    kind = _KINDS.get(type_.name, _AS_TEXT)
    if wide and kind.annotation is not msgspec.Raw:
        return Kind(msgspec.Raw, kind.oid, kind.binary)
    limit = text_limit(column)
    if limit is not None and not wide:
        return Kind(Annotated[str, Meta(max_length=limit)], kind.oid)
    return kind


def _array_kind(element: Type, typmod: int, *, wide: bool) -> Kind:
    oid = _ARRAY_OIDS.get(element.name)
    if wide or oid is None or typmod >= 0:
        return Kind(msgspec.Raw, _AS_TEXT.oid, binary=False)
    return Kind(list[_KINDS[element.name].annotation | None], oid)  # type: ignore[misc]


def is_wide(column: Column, shape: Shape) -> bool:
    """Tell whether a column's values are converted one by one."""
    if column.name in shape.wide or column.type.name in _ALWAYS_WIDE:
        return True
    array = column.type.element is not None
    return array and kind_of(column, wide=False).annotation is msgspec.Raw


def may_be_odd(column: Column) -> Callable[[Sequence[float | None]], bool]:
    """Return what tells whether floats of a column may be what ``ODD_FLOAT`` looks for.

    They are zero then, or near it where a column keeps less than was decoded.
    """
    if column.type.name != "float4":
        return lambda values: 0.0 in values
    return lambda values: any(isinstance(v, float) and -_TINY < v < _TINY for v in values)


def suspect(
    columns: tuple[Column, ...], shape: Shape, *, at_once: bool = False
) -> Callable[[bytes], bool]:
    """Return what tells whether bytes may hold a value that msgspec would round.

    Args:
        columns: the table's columns, less the generated ones.
        shape: the shape of the records in these bytes; what is wide is looked at anyway.
        at_once: leave out what a codec sees by the values.
    """
    plain = [column for column in columns if not is_wide(column, shape)]
    kinds = {(column.type.element or column.type).name for column in plain}
    inner = {column.type.element.name for column in plain if column.type.element}
    patterns = []
    if kinds & {"timestamp", "timestamptz", "time"}:
        patterns.append(_FINE_SECOND.search)
    if (inner if at_once else kinds) & {"float4", "float8"}:
        patterns.append(ODD_FLOAT.search)
    return lambda data: any(search(data) is not None for search in patterns)
