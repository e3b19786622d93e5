"""A table's columns become a Struct, and raw records become rows of it in one C call.

Which Struct that is depends on what the records are like, and is learned from them (``shapes.py``):

- a column with a default is named only if the records have the field, so that the default applies
  where they do not; where some do, its value stands in for the others (``defaults.py``), if that is
  one for all of them;
- a column whose values come in another JSON type than usual (bigints as strings, instants as
  numbers) is *wide*: it is decoded as it stands in the file and converted by ``values.py``;
- fields that no column takes are named, so that they are noticed, and left out.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import astuple

from restore.decode.absent import ABSENT, but_absent
from restore.decode.column_forms import check_of, conversion, packing_of, take
from restore.decode.dictionaries import Functions, by_dictionary
from restore.decode.packer import Native, native_of
from restore.decode.rows import Packed
from restore.decode.types import AS_IT_IS, ODD_FLOAT, Kind, Shape, is_wide, kind_of, may_be_odd

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from restore.decode.absent import Default
    from restore.decode.column_forms import Step
    from restore.decode.convert import Converter
    from restore.decode.rows import Rows
    from restore.target.catalog import Column

# A name that JSON has to escape, which msgspec refuses as the name of a field.
_ESCAPED = re.compile(r'[\x00-\x1f"\\\ud800-\udfff]')
# A Struct with more fields than this is no faster than a dictionary.
_MOST_FIELDS = 1_000
# With more unknown fields than this, the next record may have others: a dictionary takes any.
_MOST_IGNORED = 250

_ABSENT = msgspec.Raw(b"")
_NULL = msgspec.Raw(b"null")
_NOTHING = (None, ABSENT, _NULL)


@dataclass(frozen=True, slots=True)
class Codec:
    """What decodes records of one shape, and what a COPY of them must be told.

    ``binary`` is false where some column has no binary form here: then the COPY is in text.
    ``decode`` makes rows of a JSON array, ``values`` gives of such rows those of their values that
    are sent, in the order of the columns; some are in PostgreSQL's binary form already.
    ``unknown`` tells which of the ``ignored`` fields, for which there is no column, a row has;
    rows of ``native`` may have others.
    ``native`` makes rows, as they are sent, of those records of an array that it knows surely.
    ``fills`` are what is sent for ABSENT in each of the columns; empty: it stands in none.

    ``decode`` raises msgspec.DecodeError where a record is not of this shape, or may be more than
    its columns can hold.
    """

    shape: Shape
    columns: tuple[str, ...]
    oids: tuple[int, ...]
    binary: bool
    decode: Callable[[bytes], list[Any]]
    values: Callable[[Any], Iterable[tuple[Any, ...]]]
    unknown: Callable[[Any], tuple[str, ...]] | None
    ignored: tuple[str, ...] = ()
    native: Native | None = None
    fills: tuple[bytes | None, ...] = ()

    def unknown_in(self, rows: Rows) -> Iterator[Collection[str]]:
        """Yield the ignored fields of rows; of one that was packed in two portions, if any."""
        if isinstance(rows, Packed):
            named = functools.cache(self._named)
            yield from map(named, rows.ignored())
            yield from rows.unknown()
        elif self.unknown is not None:
            yield from map(self.unknown, rows)

    def unknown_by_place(self, rows: list[Any]) -> dict[int, tuple[str, ...]]:
        """Return the ignored fields of decoded rows, of those that have some."""
        if self.unknown is None:
            return {}
        return {n: names for n, row in enumerate(rows) if (names := self.unknown(row))}

    def _named(self, bits: int) -> tuple[str, ...]:
        return tuple(name for n, name in enumerate(self.ignored) if bits >> n & 1)


def can_name_field(name: str) -> bool:
    """Tell whether msgspec takes a column's name as the name of a Struct's field."""
    return _ESCAPED.search(name) is None


def make_codec(
    columns: tuple[Column, ...],
    shape: Shape,
    converter: Converter,
    defaults: Mapping[str, Default] = MappingProxyType({}),
) -> Codec:
    """Make what decodes records of a shape.

    Args:
        columns: the table's columns, less the generated ones.
        shape: the records' shape.
        converter: converts what is wide.
        defaults: those of the columns that are filled.
    """
    used = tuple(c for c in columns if not c.has_default or c.name in shape.named)
    kinds = [kind_of(column, wide=is_wide(column, shape)) for column in used]
    binary = all(kind.binary for kind in kinds)
    ignored = sorted(shape.unknown)
    names = [column.name for column in used] + ignored
    nameable = all(map(can_name_field, names))
    many = len(names) > _MOST_FIELDS or len(ignored) > _MOST_IGNORED
    if many or not nameable:
        # All is converted then, so arrays too come as what the server reads.
        kinds = [kind_of(column, wide=column.type.name not in AS_IT_IS) for column in used]
        decode, values, unknown = by_dictionary(used, shape, columns, converter)
    else:
        fields = [
            _way(column, kind, converter, shape, binary=binary)
            for column, kind in zip(used, kinds, strict=True)
        ]
        kinds = [kind for kind, _ in fields]
        decode, values, unknown = _by_struct(used, fields, ignored, shape)
    binary = binary and all(kind.binary for kind in kinds)
    filled = [defaults[column.name] if column.name in shape.filled else None for column in used]
    fills = tuple(d and (d.in_binary if binary else d.in_text) for d in filled)
    native = None
    if binary and nameable:
        others = [c.name for c in columns if c.has_default and c.name not in shape.named]
        native = native_of(used, shape, ignored, converter, fills=fills, others=others)
    return Codec(
        shape=shape,
        columns=tuple(column.name for column in used),
        oids=tuple(kind.oid for kind in kinds),
        binary=binary,
        decode=decode,
        values=values,
        unknown=unknown,
        ignored=tuple(ignored),
        native=native,
        fills=fills if shape.filled else (),
    )


def _way(
    column: Column, kind: Kind, converter: Converter, shape: Shape, *, binary: bool
) -> tuple[Kind, list[Step]]:
    """Return how a column is decoded and encoded, and what is done to its values between."""
    wide = is_wide(column, shape)
    kind, steps = _way_of_present(column, kind, converter, wide=wide, binary=binary)
    return kind, [but_absent(step) for step in steps] if column.name in shape.filled else steps


def _way_of_present(
    column: Column, kind: Kind, converter: Converter, *, wide: bool, binary: bool
) -> tuple[Kind, list[Step]]:
    packing = packing_of(column, converter) if binary else None
    if packing is not None and packing.annotation is msgspec.Raw:
        return Kind(msgspec.Raw, packing.oid), [packing.pack]
    if wide:
        steps = [] if column.type.name in AS_IT_IS else [conversion(column, converter)]
        if packing is not None and packing.annotation is kind_of(column, wide=False).annotation:
            return Kind(kind.annotation, packing.oid), [*steps, packing.pack]
        return kind, steps
    check = check_of(column)
    steps = [check] if check else []
    if packing is None:
        return kind, steps
    return Kind(packing.annotation, packing.oid), [*steps, packing.pack]


def _by_struct(
    used: tuple[Column, ...],
    ways: list[tuple[Kind, list[Step]]],
    ignored: list[str],
    shape: Shape,
) -> Functions:
    """Make a codec's functions from a Struct whose fields are the columns in their order."""
    names = [column.name for column in used] + ignored
    fields = [
        _field(n, column, kind, filled=column.name in shape.filled)
        for n, (column, (kind, _)) in enumerate(zip(used, ways, strict=True))
    ]
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
    steps = [(n, step) for n, (_, of_column) in enumerate(ways) for step in of_column]
    floats = [(n, may_be_odd(c)) for n, c in enumerate(used) if ways[n][0].annotation is float]

    width = len(used)

    def decode(data: bytes) -> list[Any]:
        rows = list(map(astuple, decode_all(data)))
        if ignored:
            _check_fit(rows, width)
        if not (rows and (steps or floats)):
            return rows
        columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
        for n, odd in floats:
            if odd(columns[n]) and ODD_FLOAT.search(data) is not None:
                raise msgspec.ValidationError("a number that may be none that a float can hold")
        if not steps:
            return rows
        for n, step in steps:
            columns[n] = take(step, columns[n])
        return list(zip(*columns, strict=True))

    if not ignored:
        return decode, iter, None

    def unknown(row: tuple[Any, ...]) -> tuple[str, ...]:
        return tuple(
            name for name, raw in zip(ignored, row[width:], strict=True) if raw is not _ABSENT
        )

    return decode, functools.partial(map, itemgetter(slice(width))), unknown


def _check_fit(rows: list[tuple[Any, ...]], width: int) -> None:
    """Raise if a row may have been made of a record of which no field is a column.

    Raises:
        msgspec.ValidationError: the row's values are absent or NULL, and it has other fields.
    """
    for number, row in enumerate(rows):
        if all(value in _NOTHING for value in row[:width]) and any(
            raw is not _ABSENT for raw in row[width:]
        ):
            raise msgspec.ValidationError(f"no field is a column - at `$[{number}]`")


def _field(number: int, column: Column, kind: Kind, *, filled: bool) -> tuple[Any, ...]:
    """Describe a column to msgspec: what may be absent is filled, or what NULL may stand for."""
    name, raw = f"f{number}", kind.annotation is msgspec.Raw
    optional = kind.annotation if raw or column.not_null else kind.annotation | None
    if filled:
        return (name, optional, ABSENT)
    if column.not_null or column.has_default:
        return (name, optional)
    return (name, optional, _NULL if raw else None)
