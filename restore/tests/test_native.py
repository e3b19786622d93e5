"""What C packs is what Python would send, byte for byte; all else it declines, by name."""

from __future__ import annotations

import json
import os
import struct
from typing import TYPE_CHECKING, Any

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from restore.catalog import Column, Type
from restore.copy import ENCODE_ERRORS, packed
from restore.decode import Codec, make_codec
from restore.kinds import Shape, suspect
from restore.native import IS_BUILT, Packing
from restore.scan import DECODE_ERRORS
from restore.tests.everything import ANY, DATES, DOUBLES, JSON, TEXT, TIMES, UUIDS
from restore.values import Converter

if TYPE_CHECKING:
    from collections.abc import Iterator

if not IS_BUILT and os.environ.get("RESTOREBENCH_REQUIRE_NATIVE"):
    pytest.fail("restore._pack is not built, and RESTOREBENCH_REQUIRE_NATIVE is set")
pytestmark = pytest.mark.skipif(not IS_BUILT, reason="restore._pack is not built")

ENUM = Type(0, "public", "mood", "e", labels=("calm", "é", 'say "x"', "back\\slash"))
TEXTS = Type(0, "pg_catalog", "_text", "b", element=Type(25, "pg_catalog", "text", "b"))
NAMES = [
    *("bool", "bytea", "citext", "date", "float4", "float8", "int2", "int4", "int8", "json"),
    *("jsonb", "numeric", "text", "time", "timestamp", "timestamptz", "uuid", "bpchar", "varchar"),
]
# Of the same type, one that is bounded: characters, precision and scale, digits of a second.
BOUNDED = {
    "bpchar": 4 + 5,
    "varchar": 4 + 5,
    "numeric": 4 + (12 << 16 | 2),
    "time": 3,
    "timestamp": 3,
    "timestamptz": 0,
}


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
    yield column("text[]", TEXTS)


COLUMNS = {c.name: c for c in columns()}
BY_NAME = st.sampled_from(list(COLUMNS))


def codec_of(*of: Column, wide: bool = False, unknown: frozenset[str] = frozenset()) -> Codec:
    names = frozenset(c.name for c in of) if wide else frozenset()
    return make_codec(of, Shape(frozenset(), names, unknown), Converter())


CODECS = {
    (name, wide): codec_of(c, wide=wide) for name, c in COLUMNS.items() for wide in (False, True)
}


def by_python(codec: Codec, column: Column, record: bytes) -> bytes | None:
    """Return the row that decoding, packing and psycopg make of a record; None: they refuse it."""
    if suspect((column,), codec.shape, at_once=True)(record):
        return None
    try:
        rows = packed(codec, codec.decode(b"[%b]" % record))
    except (*DECODE_ERRORS, *ENCODE_ERRORS):
        return None
    return b"".join(rows.pieces(1 << 30))


def pack(codec: Codec, data: bytes) -> Packing | None:
    assert codec.native is not None
    return codec.native.pack(data)


def bytes_of(found: Packing, place: int) -> bytes:
    return b"".join(found.rows[place : place + 1].pieces(1 << 30))


def as_read(name: str, row: bytes) -> Any:
    """Return what a row says: PostgreSQL drops a numeric's zeros at both ends, and zero's sign."""
    if not name.startswith("numeric") or row[2:6] == b"\xff" * 4:
        return row
    size, count, weight, sign, scale = struct.unpack_from("!IHhHH", row, 2)
    digits = list(struct.unpack_from(f"!{count}H", row, 14))
    assert (size, len(row)) == (8 + 2 * count, 14 + 2 * count)
    while digits and digits[0] == 0:
        digits, weight = digits[1:], weight - 1
    while digits and digits[-1] == 0:
        digits.pop()
    scale = scale if name == "numeric" else 0  # else it becomes the column's
    return (digits, weight, sign, scale) if digits else scale


def check(name: str, value: bytes, *, wide: bool) -> bool:
    """See that a value is packed as in Python, or declined; say whether it was packed."""
    codec, record = CODECS[name, wide], b'{"%b": %b}' % (name.encode(), value)
    found = pack(codec, b"[%b]" % record)
    assert found is not None
    if found.count == len(found.declined):
        assert bytes_of(found, 0) == b""
        return False
    expected = by_python(codec, COLUMNS[name], record)
    assert expected is not None, f"Python refuses {value!r}"
    assert as_read(name, bytes_of(found, 0)) == as_read(name, expected)
    return True


# Usual values: they have to be packed.
USUAL: dict[str, st.SearchStrategy[str]] = {
    "bool": st.sampled_from(["true", "false"]),
    "bytea": st.binary(max_size=40).map(lambda b: json.dumps(msgspec.to_builtins(b))),
    "date": DATES.map(json.dumps),
    "float8": DOUBLES.filter(lambda x: float(x) != 0),
    "float4": st.floats(2**-100, 2**100, width=32).map(repr),
    **{f"int{n}": st.integers(-(2 ** (8 * n - 1)), 2 ** (8 * n - 1) - 1).map(str) for n in (2, 4)},
    "int8": st.integers(-(2**63), 2**63 - 1).map(str),
    "json": JSON,
    "jsonb": JSON.filter(lambda text: "\\u0000" not in text),
    "numeric": ANY["numeric"],
    "numeric()": st.decimals(-(10**9), 10**9, allow_nan=False, places=2).map(lambda d: f"{d:f}"),
    "numeric(20,6)": ANY["numeric(20,6)"],
    "text": TEXT.map(json.dumps),
    "citext": TEXT.map(lambda text: json.dumps(text, ensure_ascii=False)),
    "varchar()": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5).map(
        json.dumps
    ),
    "mood": st.sampled_from(ENUM.labels or ()).map(json.dumps),
    "text[]": st.lists(TEXT | st.none(), max_size=4).map(json.dumps),
    "time": TIMES.map(json.dumps),
    "timestamp": st.datetimes().map(lambda t: json.dumps(t.isoformat())),
    "timestamp()": st.datetimes().map(lambda t: json.dumps(t.isoformat(" ", "milliseconds"))),
    "timestamptz": st.datetimes().map(lambda t: json.dumps(f"{t.isoformat()}Z")),
    "uuid": UUIDS.map(json.dumps) | UUIDS.map(lambda u: json.dumps(u.upper())),
}


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("name", USUAL)
@hypothesis.given(data=st.data())
def test_usual_values_are_packed_as_in_python(
    *, name: str, wide: bool, data: st.DataObject
) -> None:
    if wide and COLUMNS[name].type.element is not None:
        assert CODECS[name, True].native is None
        return
    assert check(name, data.draw(USUAL[name]).encode(), wide=wide)


MARKS = st.text('0123456789eE+-.:TZ" \\u,[]{}nulltrfas\x00é€', max_size=12)
ODD = st.sampled_from(
    [
        *("null", "-0", "0.0", "-0.0", "1e400", "1e-400", "0e-400", "12.0", "1e3", "00", "1.50"),
        *(
            "1e-60",
            "3.4028235e38",
            "3.4028236e38",
            "9007199254740993",
            "0.1",
            "1.7976931348623159e308",
        ),
        *('"12"', '"-12"', '"-0"', '"007"', '" 12"', '"1.2.5"', '"1_0"', '"NaN"', '".5"', '"5."'),
        *("99999", "32768", "-32769", "2147483648", "9223372036854775808", "-9223372036854775808"),
        *('"\\u0000"', '"a\\u0000b"', '"\\ud83d\\ude00"', '"\\/"', '""', '"null"', "[null]", "[]"),
        *('"2024-02-29"', '"2023-02-29"', '"0000-01-01"', '"2024-13-01"', '"2024-1-1"'),
        *('"2024-02-29T00:00:00Z"', '"2024-02-29T00:00:00.000Z"', '"2024-02-29T00:00:01Z"'),
        *('"2024-02-29T24:00:00Z"', '"2024-02-29T23:59:60Z"', '"2024-02-29 10:00:00+01:00"'),
        *('"2024-02-29T10:00:00.1234567Z"', '"2024-02-29T10:00:00.123456Z"', '"2024-02-29T10:00Z"'),
        *('"0001-01-01T00:00:00+15:00"', '"9999-12-31T23:59:59-15:00"', '"2024-02-29T10:00:00,5Z"'),
        *('"2024-02-29t10:00:00z"', '"2024-02-29T10:00:00"', '"2024-02-29T00:00:00+0100"'),
        *('"10:00:00"', '"24:00:00"', '"10:00"', '"10:00:00.0005"', '"10:00:00Z"'),
        *(
            '"QQ=="',
            '"QR=="',
            '"QQ"',
            '"QQ=a"',
            '"Q==="',
            '"QUI="',
            '"QUI=QUI="',
            '"QU\\/B"',
            '"    "',
        ),
        *('"00000000-0000-4000-8000-000000000001"', '"0000000000-0000400080000-000000000001"'),
        *('["a",["b"]]', "[1]", '["\\u0000"]', "[[]]", '["a", null ,"b"]', '"calm"', '"Calm"'),
        *("1" * 200, "0." + "1" * 200, "1" * 600, '"' + "x" * 6 + '"', '"éééééé"', '"ééééé"'),
    ]
)


@hypothesis.settings(max_examples=1_500)
@hypothesis.given(name=BY_NAME, value=ODD | MARKS | MARKS.map(json.dumps), wide=st.booleans())
def test_no_value_is_packed_that_python_refuses_or_packs_otherwise(
    *, name: str, value: str, wide: bool
) -> None:
    codec = CODECS[name, wide]
    if codec.native is None:
        return
    try:
        msgspec.json.decode(value.encode(), type=msgspec.Raw)
    except DECODE_ERRORS:
        assert pack(codec, b'[{"%b": %b}]' % (name.encode(), value.encode())) is None
    else:
        check(name, value.encode(), wide=wide)


# But for numeric, whose forms may differ by zeros.
WHOLE = [
    column("id", Type(0, "", "int4", "b"), not_null=True),
    *(c for c in COLUMNS.values() if c.type.name != "numeric"),
]
SOUND = {
    "id": 1,
    "é": "ignored",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "jsonb": {"a": [1, None, {"b": "\U0001f600\n"}], "c": 1.5e-3},
    "text[]": ["a", None, 'q"'],
    "timestamptz": "2024-01-31T12:34:56.123Z",
    "text": "x\ty",
    "float8": 1.25,
}
BATCH = json.dumps([SOUND, {**SOUND, "id": 2, "text": "é" * 9}, {"id": 3}], ensure_ascii=False)
UNTIL_NOW = codec_of(*WHOLE, unknown=frozenset({"é"}))


def mutated(parts: list[tuple[int, int, bytes]]) -> bytes:
    data = BATCH.encode()
    for at, length, new in parts:
        data = data[:at] + new + data[at + length :]
    return data


@hypothesis.settings(max_examples=1_500)
@hypothesis.given(
    data=st.lists(
        st.tuples(
            st.integers(0, len(BATCH)),
            st.integers(0, 9),
            st.binary(max_size=3) | st.sampled_from([b'"', b"{", b"}", b"[", b"]", b",", b"\\u"]),
        ),
        max_size=3,
    ).map(mutated)
)
def test_damaged_bytes_are_never_taken_for_records(data: bytes) -> None:
    found = pack(UNTIL_NOW, data)
    try:
        raws = [bytes(raw) for raw in msgspec.json.decode(data, type=list[msgspec.Raw])]
    except DECODE_ERRORS:
        assert found is None
        return
    if found is None:
        assert any(raw[:1] != b"{" for raw in raws)
        return
    assert [found[n] for n in range(found.count)] == raws
    for n, raw in enumerate(raws):
        if n not in found.declined:
            row = packed(UNTIL_NOW, UNTIL_NOW.decode(b"[%b]" % raw))
            assert bytes_of(found, n) == b"".join(row.pieces(1 << 30))
            assert list(found.rows[n : n + 1].ignored()) == list(row.ignored())


def test_declined_records_are_named_and_their_neighbours_packed() -> None:
    codec = codec_of(
        column("id", Type(0, "", "int4", "b"), not_null=True),
        column("t", Type(0, "", "text", "b")),
    )
    records = [
        '{"id":1,"t":"a"}',
        '{"id":"2"}',  # a string
        '{"t":"c"}',  # no id
        ' {"t":"d","id":4}',
        '{"id":5,"id":5}',  # twice
        '{"id":6,"more":1}',
        '{"id":7,"t":"\\u0000"}',
        '{"id":null}',
        '{"id":9}',
        '{"\\u0069d":10}',
        "{}",
    ]
    found = pack(codec, f"[{','.join(records)}]".encode())
    assert found is not None
    assert list(found.declined) == [1, 2, 4, 5, 6, 7, 9, 10]
    assert found.hopeless == {6, 7}
    ids = [bytes_of(found, n)[6:10] for n in (0, 3, 8)]
    assert ids == [struct.pack("!i", n) for n in (1, 4, 9)]
    assert found[3] == records[3].strip().encode()


def test_nesting_is_left_to_msgspec_where_it_is_deep() -> None:
    codec = codec_of(COLUMNS["json"])
    for depth, taken in ((500, True), (100_000, False)):
        deep = b"[" * depth + b"]" * depth
        assert (pack(codec, b'[{"json":%b}]' % deep) is not None) == taken


def test_rows_are_cut_and_joined_as_lists_are() -> None:
    codec = codec_of(COLUMNS["int4"])
    found = pack(codec, b"[%b]" % b",".join(b'{"int4":%d}' % n for n in range(20)))
    assert found is not None
    texts = [bytes_of(found, n) for n in range(20)]
    for start, stop in ((0, 20), (3, 9), (9, 9), (19, 40), (0, 0)):
        rows = found.rows[start:stop]
        rows.extend(found.rows[2:4])
        expected = texts[start:stop] + texts[2:4]
        assert len(rows) == len(expected)
        assert [b"".join(rows[n : n + 1].pieces(5)) for n in range(len(rows))] == expected
        assert b"".join(rows.pieces(7)) == b"".join(expected)
        assert all(len(piece) <= 7 for piece in rows.pieces(7))


def test_plans_that_make_no_sense_are_refused() -> None:
    from restore._pack import Packer  # noqa: PLC0415 - where it is built

    field = (b"a", "int4", False, False, False, -1, -1, ())
    for plan, error in (
        (((*field[:1], "int5", *field[2:]),), ValueError),
        (((b"x", None, False, False, False, -1, -1, ()), field), ValueError),
        ((field,) * 3_000, ValueError),
        (((*field[:-1], ("no bytes",)),), TypeError),
        (("no tuple",), TypeError),
        (((),), TypeError),
    ):
        with pytest.raises(error):
            Packer(plan)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Packer((field,)).pack("[]")  # type: ignore[arg-type]
