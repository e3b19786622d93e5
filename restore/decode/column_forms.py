"""What is done to a column's values at once between decoding and COPY, and for which bytes.

Nothing here is done row by row: a batch's rows are turned into columns, each column becomes what
psycopg sends with code in C, and the columns are turned into rows again. For some types that is
PostgreSQL's own binary form, which is sent as it is (docs/performance.md says what each gave).
"""

from __future__ import annotations

import binascii
import datetime as dt
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from restore.decode.datetimes import kept_digits
from restore.decode.numeric_forms import MOST_PLACES, numerics
from restore.decode.scalars import INTEGER_BITS, MOST_DIGITS, numeric_scale, scale_check
from restore.errors import LossyValueError, UnsupportedFormError

if TYPE_CHECKING:
    import decimal

    from restore.decode.convert import Converter
    from restore.target.catalog import Column

# What takes a column's values and returns those to send; raises one of _REFUSALS.
Step = Callable[[Sequence[Any]], Sequence[Any]]
_REFUSALS = (
    LossyValueError,
    UnsupportedFormError,
    ValueError,
    TypeError,
    OverflowError,
    struct.error,
)

_BYTEA_OID, _TIMESTAMPTZ_OID, _TEXT_OID = 17, 1184, 25
_NULL = b"null"
# What is remembered of a column's values, to not convert it again, is bounded in number and size.
_MOST_KNOWN, _LARGEST_KNOWN = 1 << 12, 40
EXACT_UUID = Annotated[str, Meta(min_length=36, max_length=36)]
_HYPHENS = (8, 13, 18, 23)
_SIZE = struct.Struct("!i").pack


@dataclass(frozen=True, slots=True)
class Packing:
    """How values are decoded, and as what psycopg sends them once they are packed."""

    annotation: Any
    oid: int
    pack: Step


def packing_of(column: Column, converter: Converter) -> Packing | None:
    """Return how a column's values are sent in binary; None: as they are decoded."""
    element = column.type.element
    if element is not None:
        return _TEXT_ARRAYS if element.name == "text" and column.typmod < 0 else None
    scale = numeric_scale(column)
    if scale is not None and 0 <= scale <= MOST_PLACES:
        return Packing(msgspec.Raw, _BYTEA_OID, numerics(column, scale, converter))
    return _PACKINGS.get(column.type.name)


def in_utc(column: Sequence[dt.datetime | None]) -> list[dt.datetime | None]:
    """Make times without a zone aware: psycopg sends these in C, and a timestamp is the same."""
    return [v if v is None or v.tzinfo is not None else v.replace(tzinfo=dt.UTC) for v in column]


def conversion(column: Column, converter: Converter) -> Step:
    """Return what converts values that come in another form than usual."""
    typed, known = converter.typed, dict[bytes, Any]()

    def convert(values: Sequence[Any]) -> list[Any]:
        found = []
        for value in values:
            raw = b"" + value
            made = known.get(raw)
            if made is None:
                made = typed(column, raw)
                if made is None and column.not_null:
                    raise UnsupportedFormError("null in a column that must not be NULL")
                if len(raw) <= _LARGEST_KNOWN:
                    if len(known) >= _MOST_KNOWN:
                        known.clear()
                    known[raw] = made
            found.append(made)
        return found

    bits = INTEGER_BITS.get(column.type.name)
    if bits is None:
        return convert
    limit = 2 ** (bits - 1)

    def convert_integers(values: Sequence[Any]) -> Sequence[int | None]:
        """Read strings that hold an integer as one would write it; leave all others to convert."""
        raws = [b"" + value for value in values]
        try:
            numbers = [int(raw[1:-1]) for raw in raws]
        except ValueError:
            return convert(raws)
        plain = list(map(b'"%d"'.__mod__, numbers)) == raws
        in_range = -limit <= min(numbers) and max(numbers) < limit
        return numbers if plain and in_range else convert(raws)

    return convert_integers


def check_of(column: Column) -> Step | None:
    """Return what refuses a value that PostgreSQL would round; None: none can be there."""
    kind, name = column.type.name, column.name
    if kind == "numeric":
        scale = numeric_scale(column)
        check = _check_digits if scale is None else scale_check(scale, name)

        def check_numbers(values: Sequence[decimal.Decimal | None]) -> Sequence[Any]:
            for value in values:
                if value is not None:
                    check(value)
            return values

        return check_numbers
    step = 10 ** (6 - kept_digits(column))
    if kind in {"timestamp", "timestamptz", "time"} and step > 1:

        def check_steps(values: Sequence[dt.datetime | dt.time | None]) -> Sequence[Any]:
            if [1 for value in values if value is not None and value.microsecond % step]:
                raise LossyValueError(f"finer than column {name}")
            return values

        return check_steps
    return None


def _check_digits(number: decimal.Decimal) -> None:
    if number.is_finite() and number and abs(number.adjusted()) > MOST_DIGITS:
        raise LossyValueError("more digits than PostgreSQL keeps")


def take(step: Step, values: Sequence[Any]) -> Sequence[Any]:
    """Do one step to a column.

    Raises:
        msgspec.ValidationError: a value is refused; its place is named as msgspec does.
    """
    try:
        return step(values)
    except _REFUSALS as error:
        for at, value in enumerate(values):
            try:
                step((value,))
            except _REFUSALS as reason:
                raise msgspec.ValidationError(f"{reason} - at `$[{at}]`") from reason
        raise AssertionError("values that are taken one by one are refused together") from error


def _but_null(pack: Step) -> Step:
    """Return the same for columns in which None stands for NULL."""

    def pack_present(values: Sequence[Any]) -> Sequence[Any]:
        if None not in values:
            return pack(values)
        packed = iter(pack([value for value in values if value is not None]))
        return [None if value is None else next(packed) for value in values]

    return pack_present


@_but_null
def _uuids(values: Sequence[str]) -> Sequence[bytes]:
    """Turn the usual form of UUIDs, 36 characters long, into their bytes, all of them at once."""
    text, count = "".join(values), len(values)
    hyphens = "-" * count
    if any(text[at::36] != hyphens for at in _HYPHENS):
        raise UnsupportedFormError("no UUID")
    form = binascii.unhexlify(text.replace("-", ""))
    return struct.unpack("16s" * count, form)


def _jsonb(values: Sequence[msgspec.Raw]) -> Sequence[bytes | None]:
    """Put the version byte of jsonb's binary form before documents, which are sent as they came."""
    return [
        None if len(value) == len(_NULL) and value == _NULL_RAW else b"\x01" + value
        for value in values
    ]


def _json(values: Sequence[msgspec.Raw]) -> Sequence[msgspec.Raw | None]:
    return [None if len(v) == len(_NULL) and v == _NULL_RAW else v for v in values]


_NULL_RAW = msgspec.Raw(_NULL)


class _Elements(dict[str | None, bytes]):
    """Elements of text arrays with their sizes before them: mostly few that are there often."""

    def __missing__(self, text: str | None) -> bytes:
        if text is None:
            return _SIZE(-1)
        form = text.encode()
        form = _SIZE(len(form)) + form
        if len(form) <= _LARGEST_KNOWN and len(self) < _MOST_KNOWN:
            self[text] = form
        return form


_element = _Elements().__getitem__
# No dimensions, no nulls; one dimension, no nulls.
_EMPTY_ARRAY = struct.pack("!iii", 0, 0, _TEXT_OID)
_array_head = struct.Struct("!iiiii").pack


@_but_null
def _text_arrays(values: Sequence[list[str | None]]) -> Sequence[bytes]:
    """Turn lists into the binary form of arrays: array_recv in PostgreSQL's arrayfuncs.c."""
    return [
        b"".join([_array_head(1, None in value, _TEXT_OID, len(value), 1), *map(_element, value)])
        if value
        else _EMPTY_ARRAY
        for value in values
    ]


_TEXT_ARRAYS = Packing(list[str | None], _BYTEA_OID, _text_arrays)
_PACKINGS = {
    "json": Packing(msgspec.Raw, _BYTEA_OID, _json),
    "jsonb": Packing(msgspec.Raw, _BYTEA_OID, _jsonb),
    "timestamp": Packing(dt.datetime, _TIMESTAMPTZ_OID, in_utc),
    "uuid": Packing(EXACT_UUID, _BYTEA_OID, _uuids),
}
