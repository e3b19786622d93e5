"""Builds the codec of a shape: raw records become rows of a COPY.

What C does not pack (``packer.py``) is decoded by a Struct whose fields are the table's columns,
and encoded by psycopg, row by row. Which Struct that is depends on what the records are like, and
is learned from them (``shapes.py``):

- a column with a default is named only if the records have the field, so that the default applies
  to those without; if some have it, its value stands in for the others (``encode.py``), provided
  that is one for all of them;
- a column whose values come in another JSON type than usual (bigints as strings, instants as
  numbers) is *wide*: it is decoded as it stands in the file and converted by ``convert.py``;
- fields that no column takes are named, so that they are noticed, and left out.
"""

from __future__ import annotations

import functools
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from restore.decode.datetimes import fractional_digits
from restore.decode.encode import ABSENT, DecodedRow, RowEncoder
from restore.decode.packer import RecordPacker, make_packer
from restore.decode.types import BINARY_TEXTS, JSON_TYPES, Shape, needs_conversion, type_codec
from restore.errors import LossyValueError, UnsupportedFormError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from restore.decode.convert import Converter
    from restore.decode.encode import Default
    from restore.decode.rows import PackedRows
    from restore.target.catalog import Column

    # Decodes a JSON array into rows.
    _Read = Callable[[bytes], Iterable[DecodedRow]]

# A name that JSON has to escape, which msgspec refuses as the name of a field.
_ESCAPED = re.compile(r'[\x00-\x1f"\\\ud800-\udfff]')
# A Struct with more fields than this is no faster than a dictionary.
_MOST_FIELDS = 1_000
# With more unknown fields than this, the next record may have others: a dictionary takes any.
_MOST_IGNORED = 250

_ABSENT = msgspec.Raw(b"")
_NULL = msgspec.Raw(b"null")
_NOTHING = (None, ABSENT, _NULL)


class Codec(Struct, frozen=True):
    """Decodes records of one shape, and says what a COPY of them must be told.

    ``binary`` is false if some column has no binary form here: then the COPY is in text.
    ``native`` packs those records of an array that are surely of the shape.
    ``decode`` makes rows of any JSON array; it raises msgspec.DecodeError if a record is not of
    this shape, or may be more than its columns can hold.
    ``ignored`` are the fields of the shape for which there is no column; rows may have others.
    """

    shape: Shape
    columns: tuple[str, ...]
    oids: tuple[int, ...]
    binary: bool
    decode: Callable[[bytes], PackedRows]
    ignored: tuple[str, ...] = ()
    native: RecordPacker | None = None

    def unknown_in(self, rows: PackedRows) -> Iterator[Collection[str]]:
        """Yield the unknown fields of rows that have some; those of one row in two portions."""
        named = functools.cache(self._named)
        yield from map(named, rows.ignored())
        yield from rows.unknown()

    def _named(self, bits: int) -> tuple[str, ...]:
        return tuple(name for n, name in enumerate(self.ignored) if bits >> n & 1)


def can_name_field(name: str) -> bool:
    """Return whether msgspec takes a name as that of a Struct's field."""
    return _ESCAPED.search(name) is None


def make_codec(
    columns: tuple[Column, ...],
    shape: Shape,
    converter: Converter,
    defaults: Mapping[str, Default] = MappingProxyType({}),
) -> Codec:
    """Make the codec of a shape.

    Args:
        columns: the table's columns, less the generated ones.
        shape: the records' shape.
        converter: converts what is wide.
        defaults: those of the columns that are filled, by their fields.
    """
    used = tuple(c for c in columns if not c.takes_default or c.field in shape.named)
    ignored = tuple(sorted(shape.unknown))
    names = [column.field for column in used] + list(ignored)
    nameable = all(map(can_name_field, names))
    many = len(names) > _MOST_FIELDS or len(ignored) > _MOST_IGNORED
    by_name = many or not nameable
    readers = [ColumnReader(c, converter, shape, by_name=by_name) for c in used]
    binary = all(reader.codec.binary for reader in readers)
    if not binary:
        readers = [ColumnReader(c, converter, shape, by_name=by_name, binary=False) for c in used]
    filled = [defaults[column.field] if column.field in shape.filled else None for column in used]
    fills = tuple(d and (d.in_binary if binary else d.in_text) for d in filled)
    if by_name:
        read = _read_by_name(readers, shape, columns, converter)
    else:
        read = _read_by_struct(readers, shape, converter)
    oids = tuple(reader.codec.oid for reader in readers)
    encoder = RowEncoder(oids, fills if shape.filled else (), binary=binary)
    native = None
    if binary and nameable:
        others = [c.field for c in columns if c.takes_default and c.field not in shape.named]
        native = make_packer(used, shape, ignored, converter, fills=fills, others=others)
    return Codec(
        shape=shape,
        columns=tuple(column.name for column in used),
        oids=oids,
        binary=binary,
        decode=lambda data: encoder.encode(read(data)),
        ignored=ignored,
        native=native,
    )


class ColumnReader:
    """Makes what is encoded of a column's values.

    Args:
        column: the column.
        converter: converts what is wide.
        shape: the records' shape.
        by_name: records are decoded as dictionaries, so all but documents is converted.
        binary: the format of the COPY.

    Attributes:
        codec: how the values are decoded and encoded.
        convert: what is done in between; None: nothing.
    """

    def __init__(
        self,
        column: Column,
        converter: Converter,
        shape: Shape,
        *,
        by_name: bool = False,
        binary: bool = True,
    ) -> None:
        name = column.type.name
        wide = by_name or needs_conversion(column, shape)
        codec = type_codec(column, wide=wide)
        is_special = name in BINARY_TEXTS
        if is_special and not binary:
            codec, wide = type_codec(column, wide=True), True
        self.column = column
        self.codec = codec
        self.convert: Callable[[Any], Any] | None = None
        if name in JSON_TYPES:
            self.codec = type_codec(column, wide=False)
            if column.field in shape.wide:
                self.convert = _documents(column, converter)
        elif wide:
            self.convert = _nullable(column, converter.to_python)
        elif is_special:
            self.convert = _nullable(column, converter.to_binary)
        elif (step := 10 ** (6 - fractional_digits(column))) > 1 and name in _WITH_FRACTION:
            self.convert = functools.partial(_check_fraction, column.name, step)

    @property
    def annotation(self) -> Any:  # noqa: ANN401 - a type form
        """What msgspec decodes."""
        annotation = self.codec.annotation
        if self.column.not_null or annotation is msgspec.Raw:
            return annotation
        return annotation | None

    def field(self, number: int, *, filled: bool) -> tuple[Any, ...]:
        """Describe the column to msgspec; a field that may be absent is filled, or NULL."""
        name = f"f{number}"
        if filled:
            return (name, self.annotation, ABSENT)
        if self.column.not_null or self.column.takes_default:
            return (name, self.annotation)
        return (name, self.annotation, _NULL if self.codec.annotation is msgspec.Raw else None)


_WITH_FRACTION = frozenset({"time", "timestamp", "timestamptz"})


def _nullable(column: Column, convert: Callable[[Column, bytes], Any]) -> Callable[[Any], Any]:
    """Return what converts a value as it stands in the file, if it is not null."""

    def convert_value(value: msgspec.Raw) -> Any:  # noqa: ANN401 - a value
        raw = b"" + value
        value_or_null = None if raw == b"null" else convert(column, raw)
        if value_or_null is not None:
            return value_or_null
        if column.not_null:
            raise UnsupportedFormError("null in a column that must not be NULL")
        return None

    return convert_value


def _documents(column: Column, converter: Converter) -> Callable[[Any], Any]:
    """Return what makes a document of a value; null stays what it is."""

    def convert_value(value: msgspec.Raw) -> Any:  # noqa: ANN401 - a value
        raw = b"" + value
        text = converter.to_literal(column, raw)
        if text == "null" and raw != b"null":
            raise UnsupportedFormError(
                "JSON's own null, which a row of a COPY does not tell from NULL"
            )
        return None if text is None else msgspec.Raw(text.encode())

    return convert_value


def _check_fraction(name: str, step: int, value: Any) -> Any:  # noqa: ANN401 - a time
    if value.microsecond % step:
        raise LossyValueError(f"finer than column {name}")
    return value


def _read_by_struct(readers: Sequence[ColumnReader], shape: Shape, converter: Converter) -> _Read:
    """Return what decodes records by a Struct whose fields are the columns in their order."""
    ignored = sorted(shape.unknown)
    names = [reader.column.field for reader in readers] + ignored
    fields = [
        reader.field(n, filled=reader.column.field in shape.filled)
        for n, reader in enumerate(readers)
    ]
    fields += [(f"f{n}", msgspec.Raw, _ABSENT) for n in range(len(readers), len(names))]
    struct = msgspec.defstruct(
        "Row",
        fields,
        rename={f"f{n}": name for n, name in enumerate(names)},
        forbid_unknown_fields=True,
        gc=False,
        kw_only=True,  # lets fields with a default stand before others
    )
    decode_all = msgspec.json.Decoder(list[struct]).decode  # type: ignore[valid-type]
    converts = [(n, r.convert) for n, r in enumerate(readers) if r.convert is not None]
    width, take_changes = len(readers), converter.take_changes

    def make(row: Any) -> DecodedRow:  # noqa: ANN401 - a Struct
        take_changes()  # those of a record that was refused
        values = list(astuple(row))
        unknown: Collection[str] = ()
        if ignored:
            fields = zip(ignored, values[width:], strict=True)
            unknown = [name for name, raw in fields if raw is not _ABSENT]
            del values[width:]
            if unknown and all(value in _NOTHING for value in values):
                raise UnsupportedFormError("no field is a column")
        for n, convert in converts:
            value = values[n]
            if value is not None and value is not ABSENT:
                values[n] = convert(value)
        return DecodedRow(values, unknown, take_changes())

    return lambda data: map(make, decode_all(data))


def _read_by_name(
    readers: Sequence[ColumnReader],
    shape: Shape,
    columns: tuple[Column, ...],
    converter: Converter,
) -> _Read:
    """Return what decodes records as dictionaries, whatever the names of their fields."""
    decode_all = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
    optional = {c.field for c in columns if c.takes_default}
    named = {column.field for column in columns}
    required = shape.named - shape.filled

    def make(record: dict[str, msgspec.Raw]) -> DecodedRow:
        if not required <= record.keys() & optional <= shape.named:
            raise UnsupportedFormError("a record of another shape")
        if record and named.isdisjoint(record):
            raise UnsupportedFormError("no field is a column")
        converter.take_changes()  # those of a record that was refused
        values = [value_of(reader, record) for reader in readers]
        return DecodedRow(values, record.keys() - named, converter.take_changes())

    def value_of(reader: ColumnReader, record: dict[str, msgspec.Raw]) -> Any:  # noqa: ANN401
        name = reader.column.field
        raw = record.get(name)
        if raw is None and name in shape.filled:
            return ABSENT
        value = _NULL if raw is None else raw
        return value if reader.convert is None else reader.convert(value)

    return lambda data: map(make, decode_all(data))
