"""A table's columns become a Struct, and raw records become rows of it in one C call.

Which Struct that is depends on what the records are like, and is learned from them (``shapes.py``):

- a column with a default is named only if the records have the field, so that the default applies
  where they do not;
- a column whose values come in another JSON type than usual (bigints as strings, instants as
  numbers) is *wide*: it is decoded as it stands in the file and converted by ``values.py``;
- fields that no column takes are named, so that they are noticed, and left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import astuple

from restore.errors import LossError, NotTypedError
from restore.instants import kept_digits
from restore.kinds import AS_IT_IS, Kind, Shape, is_wide, kind_of
from restore.scalars import MOST_DIGITS, numeric_scale, scale_check

if TYPE_CHECKING:
    import datetime as dt
    import decimal

    from restore.catalog import Column
    from restore.options import Technique
    from restore.values import Converter

# msgspec refuses names that would need escaping.
_UNNAMEABLE = frozenset('"\\').union(map(chr, range(0x20)))
# A Struct with more fields than this is no faster than a dictionary.
_MOST_FIELDS = 1_000

_ABSENT = msgspec.Raw(b"")
_NULL = msgspec.Raw(b"null")

# What makes rows of a JSON array, a row's values, and the fields of a row that no column takes.
_Functions = tuple[
    Callable[[bytes], list[Any]],
    Callable[[Any], tuple[Any, ...]],
    Callable[[Any], tuple[str, ...]] | None,
]


@dataclass(frozen=True, slots=True)
class Codec:
    """What decodes records of one shape, and what a COPY of them must be told.

    ``binary`` is false where some column has no binary form here: then the COPY is in text.
    ``decode`` makes rows of a JSON array, ``values`` the values of a row's columns, in their order.
    ``unknown`` tells which of the fields without a column a row has.

    ``decode`` raises msgspec.DecodeError where a record is not of this shape, or may be more than
    its columns can hold.
    """

    shape: Shape
    columns: tuple[str, ...]
    oids: tuple[int, ...]
    binary: bool
    decode: Callable[[bytes], list[Any]]
    values: Callable[[Any], tuple[Any, ...]]
    unknown: Callable[[Any], tuple[str, ...]] | None


def make_codec(
    columns: tuple[Column, ...],
    shape: Shape,
    converter: Converter,
    without: frozenset[Technique] = frozenset(),
) -> Codec:
    """Make what decodes records of a shape.

    Args:
        columns: the table's columns, less the generated ones.
        shape: the records' shape.
        converter: converts what is wide.
        without: techniques that are left out.
    """
    used = tuple(c for c in columns if not c.has_default or c.name in shape.named)
    kinds = [kind_of(column, wide=is_wide(column, shape)) for column in used]
    ignored = sorted(shape.unknown)
    names = [column.name for column in used] + ignored
    untyped = "typed" in without or len(names) > _MOST_FIELDS
    if untyped or any(_UNNAMEABLE.intersection(name) for name in names):
        # All is converted then, so arrays too come as what the server reads.
        kinds = [kind_of(column, wide=column.type.name not in AS_IT_IS) for column in used]
        decode, values, unknown = _by_dictionary(used, shape, columns, converter)
    else:
        decode, values, unknown = _by_struct(used, kinds, shape, ignored, converter)
    return Codec(
        shape=shape,
        columns=tuple(column.name for column in used),
        oids=tuple(kind.oid for kind in kinds),
        binary="binary" not in without and all(kind.binary for kind in kinds),
        decode=decode,
        values=values,
        unknown=unknown,
    )


def _by_struct(
    used: tuple[Column, ...],
    kinds: list[Kind],
    shape: Shape,
    ignored: list[str],
    converter: Converter,
) -> _Functions:
    """Make a codec's functions from a Struct whose fields are the columns in their order."""
    names = [column.name for column in used] + ignored
    fields = [_field(n, c, k) for n, (c, k) in enumerate(zip(used, kinds, strict=True))]
    fields += [(f"f{n}", msgspec.Raw, _ABSENT) for n in range(len(used), len(names))]
    struct = msgspec.defstruct(
        "Row",
        fields,
        rename={f"f{n}": name for n, name in enumerate(names)},
        forbid_unknown_fields=True,
        gc=False,
        kw_only=True,  # lets fields with a default stand before others
    )
    decode_all = msgspec.json.Decoder(list[struct]).decode  # type: ignore[valid-type]
    refine = _refinements(used, shape, converter)

    def decode(data: bytes) -> list[Any]:
        rows = decode_all(data)
        for refine_one in refine:
            refine_one(rows)
        return rows

    width = len(used)
    if not ignored:
        return decode, astuple, None

    def unknown(row: Any) -> tuple[str, ...]:  # noqa: ANN401 - a Struct made above
        extra = astuple(row)[width:]
        return tuple(name for name, raw in zip(ignored, extra, strict=True) if raw is not _ABSENT)

    return decode, lambda row: astuple(row)[:width], unknown


def _field(number: int, column: Column, kind: Kind) -> tuple[Any, ...]:
    """Describe a column to msgspec: what may be absent is what NULL may stand for."""
    name, raw = f"f{number}", kind.annotation is msgspec.Raw
    if column.not_null:
        return (name, kind.annotation)
    optional = kind.annotation if raw else kind.annotation | None
    if column.has_default:
        return (name, optional)
    return (name, optional, _NULL if raw else None)


def _refinements(
    used: tuple[Column, ...], shape: Shape, converter: Converter
) -> list[Callable[[list[Any]], None]]:
    """Return what is done to decoded rows: conversion of wide values, checks of plain ones."""
    found = []
    for number, column in enumerate(used):
        name = f"f{number}"
        if is_wide(column, shape):
            if column.type.name not in AS_IT_IS:
                found.append(_conversion(name, column, converter))
        elif check := _check(column):
            found.append(_checking(name, check))
    return found


def _conversion(name: str, column: Column, converter: Converter) -> Callable[[list[Any]], None]:
    typed = converter.typed

    def convert(rows: list[Any]) -> None:
        at = 0
        try:
            for at, row in enumerate(rows):  # noqa: B007 - the handler below needs it
                setattr(row, name, typed(column, bytes(getattr(row, name))))
        except (LossError, NotTypedError) as error:
            raise msgspec.ValidationError(f"{error} - at `$[{at}]`") from error

    return convert


def _checking(name: str, check: Callable[[Any], None]) -> Callable[[list[Any]], None]:
    def check_all(rows: list[Any]) -> None:
        at = 0
        try:
            for at, row in enumerate(rows):  # noqa: B007 - the handler below needs it
                value = getattr(row, name)
                if value is not None:
                    check(value)
        except LossError as error:
            raise msgspec.ValidationError(f"{error} - at `$[{at}]`") from error

    return check_all


def _check(column: Column) -> Callable[[Any], None] | None:
    """Return what refuses a value that PostgreSQL would round; None where it cannot come to that.

    Raises, when called: LossError.
    """
    kind, name = column.type.name, column.name
    if kind == "numeric":
        scale = numeric_scale(column)
        if scale is None:
            return _check_digits
        return scale_check(scale, name)
    step = 10 ** (6 - kept_digits(column))
    if kind in {"timestamp", "timestamptz", "time"} and step > 1:

        def check_step(value: dt.datetime | dt.time) -> None:
            if value.microsecond % step:
                raise LossError(f"finer than column {name}")

        return check_step
    return None


def _check_digits(number: decimal.Decimal) -> None:
    if number.is_finite() and number and abs(number.adjusted()) > MOST_DIGITS:
        raise LossError("more digits than PostgreSQL keeps")


@dataclass(frozen=True, slots=True)
class _Row:
    """A row whose record was decoded as a dictionary."""

    values: tuple[Any, ...]
    unknown: tuple[str, ...]


def _by_dictionary(
    used: tuple[Column, ...],
    shape: Shape,
    columns: tuple[Column, ...],
    converter: Converter,
) -> _Functions:
    """Make a codec's functions for fields that no Struct can have: slower, and as exact."""
    decode_all = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
    optional = {c.name for c in columns if c.has_default}
    named = {column.name for column in columns}

    def make(record: dict[str, msgspec.Raw]) -> _Row:
        if record.keys() & optional != shape.named:
            raise NotTypedError("a record of another shape")
        return _Row(tuple(map(value_of, used, repeat(record))), tuple(record.keys() - named))

    def value_of(column: Column, record: dict[str, msgspec.Raw]) -> Any:  # noqa: ANN401 - a value
        raw = record.get(column.name, _NULL)
        return raw if column.type.name in AS_IT_IS else converter.typed(column, bytes(raw))

    def decode(data: bytes) -> list[_Row]:
        rows: list[_Row] = []
        try:
            rows.extend(map(make, decode_all(data)))
        except (LossError, NotTypedError) as error:
            raise msgspec.ValidationError(f"{error} - at `$[{len(rows)}]`") from error
        return rows

    return decode, lambda row: row.values, lambda row: row.unknown
