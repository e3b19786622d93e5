"""What is done in C (``native/``), where it is built: packing records, and finding them by keys.

A record in the usual form, of types that are known there, becomes the row that decoding, packing
and psycopg would make of it. A record that C declines is decoded in Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from restore.decode.datetimes import fractional_digits
from restore.decode.policies import DATED
from restore.decode.rows import PackedRows
from restore.decode.scalars import numeric_precision, numeric_scale, text_limit
from restore.decode.types import is_binary_array, needs_conversion

try:
    from restore.decode._native import Finder, Packer
except ImportError:  # there was no compiler
    Finder = Packer = None  # type: ignore[assignment,misc]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from restore.decode._native import Field, KeyField
    from restore.decode.convert import Converter
    from restore.decode.policies import ValuePolicies
    from restore.decode.types import Shape
    from restore.target.catalog import Column

IS_BUILT = Packer is not None

# Types that C knows, by name; it knows enums and arrays too.
_KNOWN = frozenset(
    {
        *("bool", "bpchar", "bytea", "cidr", "citext", "date", "float4", "float8", "inet", "int2"),
        *("int4", "int8", "interval", "json", "jsonb", "numeric", "text", "time", "timestamp"),
        *("timestamptz", "uuid", "varchar"),
    }
)
MOST_IGNORED = 64  # the bits of a mask
_NONE = -1
# A field's rules, as bits: values.h says what they mean.
_WIDE, _EMPTY_NULL, _ZERO_NULL, _ROUND, _HEX, _BASE64, _INFERRED, _UTC, _PARSES = (
    1 << n for n in range(9)
)
_UNIT_SHIFT, _ORDER_SHIFT, _SEPARATOR_SHIFT = 9, 12, 16
_UNITS = ("s", "ms", "us", "ns")
_ORDERS = ("DMY", "DYM", "MDY", "MYD", "YDM", "YMD")
_MICROSECOND_DIGITS = 6


class PackedBatch(Struct, frozen=True):
    """A batch that was packed: what is in which of its records, by their places.

    ``rows`` are those of all records; of those that were ``declined`` they hold nothing.
    ``unloadable`` are those of them for which a COPY would be refused. ``spans`` says where each
    record starts and ends in ``data``.
    """

    data: bytes
    rows: PackedRows
    count: int
    spans: Sequence[int]
    declined: Sequence[int]
    unloadable: frozenset[int]

    def __getitem__(self, place: int) -> bytes:
        """Return a record's bytes."""
        return self.data[self.spans[2 * place] : self.spans[2 * place + 1]]

    def chosen(self, places: Sequence[int]) -> PackedBatch:
        """Return what is left without the records at other places, which have no rows."""
        numbers = {place: number for number, place in enumerate(places)}
        return PackedBatch(
            self.data,
            self.rows.chosen(places),
            len(places),
            [self.spans[2 * place + end] for place in places for end in (0, 1)],
            [numbers[place] for place in self.declined if place in numbers],
            frozenset(numbers[place] for place in self.unloadable if place in numbers),
        )


class RecordPacker:
    """Packs records of one shape.

    Args:
        packer: what does it.
        names: the columns' names, in the order of the COPY.
        policies: what was done with values that a rule changed.
    """

    def __init__(self, packer: Packer, names: Sequence[str], policies: ValuePolicies) -> None:
        self._pack = packer.pack
        self._names = names
        self._options = {
            _EMPTY_NULL: "--empty-string null",
            _ZERO_NULL: "--zero-date null",
            _ROUND: f"--fraction {policies.fraction}",
        }

    def pack(self, data: bytes) -> PackedBatch | None:
        """Pack the records of a JSON array; None: msgspec decides what it is."""
        found = self._pack(data)
        if found is None:
            return None
        rows, *numbers = found
        ends, spans, declined, unloadable, ignored, unknown, changed = (
            memoryview(n).cast("Q") for n in numbers
        )
        names = _names(data, iter(unknown)) if unknown else {}
        changes = self._changes(iter(changed)) if changed else {}
        packed = PackedRows(rows, ends, ignored, names, changes)
        return PackedBatch(data, packed, len(ends), spans, declined, frozenset(unloadable))

    def _changes(self, found: Iterator[int]) -> dict[int, list[str]]:
        """Return what rules changed, by the record's place."""
        changes: dict[int, list[str]] = {}
        for place, change in zip(found, found, strict=True):
            column, rule = divmod(change, 1 << 16)
            changes.setdefault(place, []).append(f"{self._names[column]}: {self._options[rule]}")
        return changes


def _names(data: bytes, found: Iterator[int]) -> dict[int, dict[str, None]]:
    """Return the names of unknown fields, each once, by their record's place."""
    names: dict[int, dict[str, None]] = {}
    for place, start, end in zip(found, found, found, strict=True):
        names.setdefault(place, {})[data[start:end].decode()] = None
    return names


def make_packer(
    used: Sequence[Column],
    shape: Shape,
    ignored: Sequence[str],
    converter: Converter,
    *,
    fills: Sequence[bytes | None],
    others: Sequence[str],
) -> RecordPacker | None:
    """Return what packs records of a shape; None: it is not built, or does not know some type.

    Args:
        used: the columns, in the order of the COPY.
        shape: the records' shape.
        ignored: fields that are left out; others too, which takes longer.
        converter: converts what is wide.
        fills: for each of the columns what is put where the field is absent, if anything.
        others: fields of columns that records of this shape do not have.
    """
    fields = [
        _field(column, converter, fill, wide=needs_conversion(column, shape))
        for column, fill in zip(used, fills, strict=True)
    ]
    if not IS_BUILT or None in fields:
        return None
    fields += [
        (name.encode(), None, False, declined, None, 0, _NONE, _NONE, ())
        for names, declined in ((ignored[:MOST_IGNORED], False), (others, True))
        for name in names
    ]
    packer = Packer(tuple(field for field in fields if field is not None))
    return RecordPacker(packer, [column.name for column in used], converter.log.policies)


def _field(column: Column, converter: Converter, fill: bytes | None, *, wide: bool) -> Field | None:
    """Describe a column to the packer; None: it does not know its type."""
    type_, limit, digits = column.type, _NONE, _NONE
    kind = type_.name if type_.name in _KNOWN else None
    labels = tuple(label.encode() for label in type_.labels or ())
    if type_.element is not None:
        kind = f"{type_.element.name}[]" if is_binary_array(column) and not wide else None
        limit = _MICROSECOND_DIGITS if type_.element.name == "timestamptz" else _NONE
    elif type_.is_enum:
        kind = "enum" if labels else None
    elif kind == "numeric":
        scale, precision = numeric_scale(column), numeric_precision(column)
        if scale is not None and precision is not None:
            limit, digits = scale, precision - scale
            kind = kind if scale >= 0 and digits >= 0 else None
    elif kind in {"time", "timestamp", "timestamptz"}:
        limit = fractional_digits(column)
    elif kind == "date":
        wide = wide and converter.is_utc  # elsewhere, midnight may be that of another day
    elif (most := text_limit(column)) is not None:
        limit = most
    if kind is None:
        return None
    required = column.not_null or column.takes_default
    rules = _rules(column, converter) | (_WIDE if wide else 0)
    name = column.field.encode()
    return name, kind, column.not_null, required, fill, rules, limit, digits, labels


def _rules(column: Column, converter: Converter) -> int:
    """Return how a column's values are read, as bits."""
    if column.type.element is not None:
        return 0
    policies, reading = converter.log.policies, converter.log.policies.reading(column)
    rules = (
        (_EMPTY_NULL if policies.empties(column) else 0)
        | (_ZERO_NULL if policies.zero_date == "null" and column.type.name in DATED else 0)
        | (_ROUND if policies.fraction == "round" else 0)
        | {"auto": 0, "hex": _HEX, "base64": _BASE64}[reading.bytea]
        | (_INFERRED if reading.is_inferred else 0)
        | (_UTC if converter.is_utc else 0)
        | (_PARSES if reading.parses_strings else 0)
    )
    if reading.unit is not None:
        rules |= _UNITS.index(reading.unit) + 1 << _UNIT_SHIFT
    if policies.date_format is not None and column.type.name in DATED:
        rules |= _ORDERS.index(policies.date_format.order) + 1 << _ORDER_SHIFT
        separator = policies.date_format.separator
        rules |= (ord(separator) if separator else 0) << _SEPARATOR_SHIFT
    return rules


class Candidate(NamedTuple):
    """A record that may have a wanted key: its place in a batch, its start and end in the data."""

    place: int
    start: int
    end: int


class Candidates:
    """The records of a batch that may have a wanted key; ``len`` is how many the batch has."""

    __slots__ = ("_count", "_found")

    def __init__(self, count: int, found: bytes) -> None:
        self._count = count
        self._found = memoryview(found).cast("Q")

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Candidate]:
        numbers = iter(self._found)
        return map(Candidate, numbers, numbers, numbers)


def make_key_finder(
    fields: Sequence[KeyField], keys: Iterable[tuple[int, ...]]
) -> Callable[[bytes], Candidates | None]:
    """Return what finds candidates in a JSON array, or None where it is none of records.

    Args:
        fields: those that the keys have.
        keys: the places of each key's fields.
    """
    find = Finder(tuple(fields), tuple(keys)).find

    def found(data: bytes) -> Candidates | None:
        candidates = find(data)
        return None if candidates is None else Candidates(*candidates)

    return found
