"""Records become rows by way of dictionaries: of fields of any name and number."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from restore.decode.absent import ABSENT
from restore.decode.types import AS_IT_IS
from restore.errors import LossyValueError, UnsupportedFormError

if TYPE_CHECKING:
    from restore.decode.convert import Converter
    from restore.decode.types import Shape
    from restore.target.catalog import Column

_NULL = msgspec.Raw(b"null")

# What makes rows of a JSON array, rows' values, and the fields of a row that no column takes.
Functions = tuple[
    Callable[[bytes], list[Any]],
    Callable[[Any], Iterable[tuple[Any, ...]]],
    Callable[[Any], tuple[str, ...]] | None,
]


@dataclass(frozen=True, slots=True)
class _Row:
    """A row whose record was decoded as a dictionary."""

    values: tuple[Any, ...]
    unknown: tuple[str, ...]


def by_dictionary(
    used: tuple[Column, ...],
    shape: Shape,
    columns: tuple[Column, ...],
    converter: Converter,
) -> Functions:
    """Make a codec's functions for fields that no Struct can have: slower, and as exact.

    Args:
        used: the columns that the records' shape has.
        shape: the shape.
        columns: all columns, less the generated ones.
        converter: converts values.
    """
    decode_all = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
    optional = {c.name for c in columns if c.has_default}
    named = {column.name for column in columns}
    required = shape.named - shape.filled

    def make(record: dict[str, msgspec.Raw]) -> _Row:
        if not required <= record.keys() & optional <= shape.named:
            raise UnsupportedFormError("a record of another shape")
        if record and named.isdisjoint(record):
            raise UnsupportedFormError("no field is a column")
        return _Row(tuple(map(value_of, used, repeat(record))), tuple(record.keys() - named))

    def value_of(column: Column, record: dict[str, msgspec.Raw]) -> Any:  # noqa: ANN401 - a value
        raw = record.get(column.name)
        if raw is None:
            if column.name in shape.filled:
                return ABSENT
            raw = _NULL
        return raw if column.type.name in AS_IT_IS else converter.typed(column, bytes(raw))

    def decode(data: bytes) -> list[_Row]:
        rows: list[_Row] = []
        try:
            rows.extend(map(make, decode_all(data)))
        except (LossyValueError, UnsupportedFormError) as error:
            raise msgspec.ValidationError(f"{error} - at `$[{len(rows)}]`") from error
        return rows

    return decode, functools.partial(map, attrgetter("values")), attrgetter("unknown")
