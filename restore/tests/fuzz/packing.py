"""What must hold of the packer: a row made in C is the row that Python would send."""

from __future__ import annotations

import json
import struct
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from restore.decode.codec import Codec, make_codec
from restore.decode.convert import Converter
from restore.decode.types import Shape
from restore.source.json_values import members_of, values_of
from restore.source.recovery import DECODE_ERRORS
from restore.target.catalog import Column, Type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.decode.packer import PackedBatch

ENUM = Type(0, "public", "mood", "e", labels=("calm", "é", 'say "x"', "back\\slash"))
ELEMENTS = [
    *("text", "bool", "float4", "float8", "int2", "int4", "int8", "numeric", "timestamptz", "uuid"),
    "varchar",
]
NAMES = [
    *("bool", "bytea", "citext", "date", "float4", "float8", "int2", "int4", "int8", "json"),
    *("jsonb", "numeric", "text", "time", "timestamp", "timestamptz", "uuid", "bpchar", "varchar"),
]
MORE = ["cidr", "inet", "interval"]
# Of the same type, one that is bounded: characters, precision and scale, digits of a second.
BOUNDED = {
    "bpchar": 4 + 5,
    "varchar": 4 + 5,
    "numeric": 4 + (12 << 16 | 2),
    "time": 3,
    "timestamp": 3,
    "timestamptz": 0,
}
# The scan of json.h is that deep; deeper records are left to msgspec.


def column(name: str, type_: Type, *, typmod: int = -1, not_null: bool = False) -> Column:
    return Column(name, type_, not_null=not_null, has_default=False, generated=False, typmod=typmod)


def columns() -> Iterator[Column]:
    for name in NAMES:
        type_ = Type(0, "pg_catalog", name, "b")
        yield column(name, type_)
        if name in BOUNDED:
            yield column(f"{name}()", type_, typmod=BOUNDED[name])
    yield column("numeric(20,6)", Type(0, "", "numeric", "b"), typmod=4 + (20 << 16 | 6))
    yield column("mood", ENUM)
    for name in ELEMENTS:
        element = Type(0, "pg_catalog", name, "b")
        yield column(f"{name}[]", Type(0, "pg_catalog", f"_{name}", "b", element=element))
    for name in MORE:
        yield column(name, Type(0, "pg_catalog", name, "b"))


COLUMNS = {c.name: c for c in columns()}


def codec_of(*of: Column, wide: bool = False, unknown: frozenset[str] = frozenset()) -> Codec:
    names = frozenset(c.name for c in of) if wide else frozenset()
    return make_codec(of, Shape(frozenset(), names, unknown), Converter())


CODECS = {
    (name, wide): codec_of(c, wide=wide) for name, c in COLUMNS.items() for wide in (False, True)
}
# But for numeric, whose forms may differ by zeros.
WHOLE = [
    column("id", Type(0, "", "int4", "b"), not_null=True),
    *(c for c in COLUMNS.values() if c.type.name not in {"numeric", "_numeric"}),
]
WHOLE_CODEC = codec_of(*WHOLE, unknown=frozenset({"é"}))


_FLOATS = frozenset({"float4", "float8", "_float4", "_float8"})


def loses(column: Column, raw: msgspec.Raw | None) -> bool:
    """Tell whether msgspec loses a number of a float column: its sign, or all of it."""
    value = None if raw is None else json.loads(bytes(raw), parse_float=Decimal, parse_int=Decimal)
    least = 2.0**-126 if column.type.name.endswith("4") else 2.0**-1074
    return any(
        isinstance(number, Decimal)
        and (abs(float(number)) < least if number else number.is_signed())
        for number in (value if isinstance(value, list) else [value])
    )


def by_python(codec: Codec, columns: tuple[Column, ...], record: bytes) -> bytes | None:
    """Return the row that msgspec and psycopg make of a record; None: they refuse it, or lose."""
    if any(c.type.name in _FLOATS and loses(c, values_of(record).get(c.name)) for c in columns):
        return None
    try:
        rows = codec.decode(b"[%b]" % record)
    except DECODE_ERRORS:
        return None
    return b"".join(rows.pieces(1 << 30))


def pack(codec: Codec, data: bytes) -> PackedBatch | None:
    assert codec.native is not None
    return codec.native.pack(data)


def bytes_of(found: PackedBatch, place: int) -> bytes:
    return b"".join(found.rows[place : place + 1].pieces(1 << 30))


def as_read(name: str, row: bytes) -> Any:
    """Return what a row says: PostgreSQL drops a numeric's zeros at both ends, and zero's sign."""
    if not name.startswith("numeric") or row[2:6] == b"\xff" * 4:
        return row
    if name != "numeric[]":
        return number_as_read(name, row[2:])
    if row[6:10] == b"\0" * 4:  # no dimensions
        return row
    elements, at = [row[6:26]], 26
    while at < len(row):
        size = max(0, struct.unpack_from("!i", row, at)[0])
        elements.append(number_as_read("numeric", row[at : at + 4 + size]) if size else b"")
        at += 4 + size
    return elements


def number_as_read(name: str, value: bytes) -> Any:
    """Return the same of a numeric behind its size."""
    size, count, weight, sign, scale = struct.unpack_from("!IHhHH", value)
    digits = list(struct.unpack_from(f"!{count}H", value, 12))
    assert (size, len(value)) == (8 + 2 * count, 12 + 2 * count)
    while digits and digits[0] == 0:
        digits, weight = digits[1:], weight - 1
    while digits and digits[-1] == 0:
        digits.pop()
    scale = scale if name == "numeric" else 0  # else it becomes the column's
    return (digits, weight, sign, scale) if digits else scale


def records_of(data: bytes) -> list[bytes] | None:
    """Return the members of a JSON array as they stand there; None: it is none."""
    try:
        return list(map(bytes, members_of(data)))
    except DECODE_ERRORS:
        return None


def may_be_declined(raws: list[bytes] | None) -> bool:
    """Tell whether what is in C may take none of an array: it is none of records."""
    return raws is None or any(raw[:1] != b"{" for raw in raws)


def check_packed(codec: Codec, of: tuple[Column, ...], data: bytes) -> None:
    """Check what is packed of any bytes against what Python makes of them.

    Raises:
        AssertionError: a row differs, or a record was taken or left that must not be.
    """
    found, raws = pack(codec, data), records_of(data)
    if found is None:
        assert may_be_declined(raws)
        return
    assert raws is not None
    assert [found[n] for n in range(found.count)] == raws
    declined = frozenset(found.declined)
    assert found.unloadable <= declined <= frozenset(range(found.count))
    for n, raw in enumerate(raws):
        row = bytes_of(found, n)
        if n in declined:
            assert row == b""
            continue
        fields = values_of(raw)
        unknown = set().union(*found.rows[n : n + 1].unknown())
        ignored = set(codec.ignored) & fields.keys()
        assert unknown == fields.keys() - ignored - set(codec.columns)
        known = {name: fields[name] for name in fields.keys() - unknown}
        expected = by_python(codec, of, msgspec.json.encode(known) if unknown else raw)
        assert expected is not None, f"Python refuses {raw!r}"
        assert as_read(of[0].name, row) == as_read(of[0].name, expected)
        names = list(codec.unknown_in(found.rows[n : n + 1]))
        assert set().union(*names) == unknown | ignored


_PLANS = [
    (WHOLE_CODEC, tuple(WHOLE)),
    *((codec, (COLUMNS[name],)) for (name, _), codec in CODECS.items() if codec.native is not None),
]


def check(data: bytes) -> None:
    """Check the rest of some bytes, of which the first one chooses the columns.

    Raises:
        AssertionError: something does not hold of it.
    """
    if data:
        check_packed(*_PLANS[data[0] % len(_PLANS)], data[1:])


def seeds() -> Iterator[bytes]:
    """Yield a record of each plan, to start from."""
    for n, (_, of) in enumerate(_PLANS):
        fields = b",".join(b'"%b":%b' % (c.name.encode(), SEEDS[c.type.name]) for c in of)
        yield bytes([n]) + b"[{%b}]" % fields


SEEDS = {
    "_bool": b"[true,null]",
    "_float4": b"[1.5, -2e3]",
    "_float8": b"[0.1]",
    "_int2": b"[-12, 32767]",
    "_int4": b"[-12,null,2147483647]",
    "_int8": b"[null,9007199254740993]",
    "_numeric": b'[-12.50,"0.10"]',
    "_text": b'["a",null,"\\u00e9"]',
    "_timestamptz": b'["2024-02-29 10:00:00.123+01:00"]',
    "_uuid": b'["00000000-0000-4000-8000-000000000001"]',
    "_varchar": b'["a\\n"]',
    "bool": b"true",
    "bytea": b'"QUI="',
    "cidr": b'"10.1.0.0/16"',
    "date": b'"2024-02-29"',
    "float4": b"-1.5e3",
    "float8": b"0.1",
    "inet": b'"10.1.2.3/8"',
    "interval": b'"-1 years +2 mons 3 days -04:05:06.789"',
    "json": b'{"a":[1,{}]}',
    "jsonb": b'"\\ud83d\\ude00"',
    "mood": b'"calm"',
    "numeric": b"-12.50",
    "time": b'"10:00:00.5"',
    "timestamp": b'"2024-02-29T10:00:00"',
    "timestamptz": b'"2024-02-29 10:00:00.123+01:00"',
    "uuid": b'"00000000-0000-4000-8000-000000000001"',
    **dict.fromkeys(("int2", "int4", "int8"), b"-12"),
    **dict.fromkeys(("bpchar", "citext", "text", "varchar"), '"é\\n"'.encode()),
}
