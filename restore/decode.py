"""A table's columns become a Struct, and raw records become rows of it in one C call.

Which columns a COPY names depends on the records' shape: a column with a default is named only if
the records have the field, so that the default applies where they do not.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Callable

    from restore.catalog import Column, Table, Type

# msgspec refuses names that would need escaping; records with such fields are loaded row by row.
_UNNAMEABLE = frozenset('"\\').union(map(chr, range(0x20)))

# Under these numbers, which PostgreSQL gives to no type, copy.py encodes values from strings.
QUOTED_OIDS = {
    "bool": 0xF000_0010,
    "float4": 0xF000_02BC,
    "float8": 0xF000_02BD,
    "int2": 0xF000_0015,
    "int4": 0xF000_0017,
    "int8": 0xF000_0014,
}


@dataclass(frozen=True, slots=True)
class Kind:
    """How one type is decoded, and the type for which psycopg encodes it."""

    annotation: Any
    oid: int


def _integer(bits: int) -> Any:  # noqa: ANN401 - a type form
    return Annotated[int, Meta(ge=-(2 ** (bits - 1)), le=2 ** (bits - 1) - 1)]


TEXT_OID = 25
TEXT_ARRAY_OID = 1009
_TEXT = Kind(str, TEXT_OID)

# Types with a binary form in psycopg, or one of ours (see copy.py): by name, since those of
# extensions have no fixed oid. The oids are PostgreSQL's, from its pg_type.dat.
_KINDS: dict[str, Kind] = {
    "bool": Kind(bool, 16),
    "bpchar": _TEXT,
    "bytea": Kind(msgspec.Raw, 17),
    "citext": _TEXT,
    "date": Kind(str, 1082),
    "float4": Kind(float, 700),
    "float8": Kind(float, 701),
    "int2": Kind(_integer(16), 21),
    "int4": Kind(_integer(32), 23),
    "int8": Kind(_integer(64), 20),
    "json": Kind(msgspec.Raw, 114),
    "jsonb": Kind(msgspec.Raw, 3802),
    "numeric": Kind(Decimal, 1700),
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
    "timestamp": 1115,
    "timestamptz": 1185,
    "uuid": 2951,
    "varchar": 1015,
}


# What makes records need another codec: a field that is there, and whether its value is a string
# where the column holds something else (JavaScript writes bigints so, CSV converters everything).
Shape = frozenset[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Codec:
    """What decodes records of one shape, and what a COPY of them must be told.

    ``unknown`` are fields of the shape that the table has no column for, each with the attribute of
    a row that holds it; they are not copied. ``binary`` is false where some column has no binary
    form here: then the COPY is in text.
    """

    columns: tuple[str, ...]
    oids: tuple[int, ...]
    binary: bool
    unknown: tuple[tuple[str, str], ...]
    decode: Callable[[bytes], list[Any]]


class Codecs:
    """The codecs of one table, made when a shape is first met."""

    def __init__(self, table: Table) -> None:
        self._columns = [column for column in table.columns if not column.generated]
        self._named = {column.name for column in table.columns}
        # Fields that a record may lack, or have without a change of shape.
        self._plain = {column.name for column in self._columns if not column.has_default}
        self._quotable = {
            column.name for column in self._columns if column.type.name in QUOTED_OIDS
        }
        self._by_shape: dict[Shape, Codec | None] = {}

    def usual(self) -> Codec | None:
        """Return the codec for records that have every column, numbers as numbers."""
        return self._of(frozenset((name, False) for name in self._named - self._plain))

    def of(self, record: dict[str, msgspec.Raw]) -> Codec | None:
        """Return the codec for a record; None: it can only be loaded by itself."""
        shape = {(name, False) for name in record.keys() - self._plain}
        for name in self._quotable & record.keys():
            if bytes(record[name])[:1] == b'"':
                shape.discard((name, False))
                shape.add((name, True))
        return self._of(frozenset(shape))

    def _of(self, shape: Shape) -> Codec | None:
        if shape not in self._by_shape:
            self._by_shape[shape] = self._make(dict(shape))
        return self._by_shape[shape]

    def _make(self, shape: dict[str, bool]) -> Codec | None:
        columns = [c for c in self._columns if c.name in shape or c.name in self._plain]
        ignored = sorted(shape.keys() - {column.name for column in columns})
        names = [column.name for column in columns] + ignored
        if any(_UNNAMEABLE.intersection(name) for name in names):
            return None
        kinds = [_kind(column.type, quoted=shape.get(column.name, False)) for column in columns]
        fields = [_field(n, c, k[0]) for n, (c, k) in enumerate(zip(columns, kinds, strict=True))]
        fields += [(f"f{n}", msgspec.Raw, None) for n in range(len(fields), len(names))]
        struct = msgspec.defstruct(
            "Row",
            fields,
            rename={f"f{n}": name for n, name in enumerate(names)},
            forbid_unknown_fields=True,
            gc=False,
            kw_only=True,  # lets fields with a default stand before others
        )
        return Codec(
            columns=tuple(column.name for column in columns),
            oids=tuple(kind.oid for kind, _ in kinds),
            binary=all(binary for _, binary in kinds),
            unknown=tuple(
                (name, f"f{n}")
                for n, name in enumerate(ignored, len(columns))
                if name not in self._named
            ),
            decode=msgspec.json.Decoder(list[struct]).decode,  # type: ignore[valid-type]
        )


def _kind(type_: Type, *, quoted: bool) -> tuple[Kind, bool]:
    """Return how a type is decoded, and whether it can be sent in binary."""
    if quoted:
        return Kind(str, QUOTED_OIDS[type_.name]), True
    if type_.element is not None:
        oid = _ARRAY_OIDS.get(type_.element.name)
        if oid is None:
            return Kind(list[str | None], TEXT_ARRAY_OID), False
        member: Any = _KINDS[type_.element.name].annotation | None
        return Kind(list[member], oid), True
    if type_.is_enum:
        return _TEXT, True
    kind = _KINDS.get(type_.name)
    return (kind, True) if kind is not None else (_TEXT, False)


def _field(number: int, column: Column, kind: Kind) -> tuple[Any, ...]:
    """Describe a column to msgspec: what may be absent is what NULL may stand for."""
    name = f"f{number}"
    if column.not_null:
        return (name, kind.annotation)
    optional = kind.annotation if kind.annotation is msgspec.Raw else kind.annotation | None
    return (name, optional) if column.has_default else (name, optional, None)
