"""What C packs is what Python would send, byte for byte; all else it declines, by name."""

from __future__ import annotations

import itertools
import json
import os
import random
import struct
import time

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from restore.decode.codec import make_codec
from restore.decode.convert import Converter
from restore.decode.encode import Default
from restore.decode.packer import IS_BUILT, make_key_finder
from restore.decode.types import BINARY_TEXTS, Shape
from restore.source.recovery import DECODE_ERRORS
from restore.target.catalog import Type
from restore.tests.fuzz import finding, packing
from restore.tests.fuzz.corpus import NATIVE_FINDINGS
from restore.tests.fuzz.packing import (
    CODECS,
    COLUMNS,
    ENUM,
    WHOLE,
    WHOLE_CODEC,
    bytes_of,
    check_packed,
    codec_of,
    column,
    pack,
)
from restore.tests.support.everything import ANY, DATES, DOUBLES, JSON, TEXT, TIMES, UUIDS
from restore.tests.support.examples import examples

if not IS_BUILT and os.environ.get("RESTOREBENCH_REQUIRE_NATIVE"):
    pytest.fail("restore.decode._native is not built, and RESTOREBENCH_REQUIRE_NATIVE is set")
pytestmark = pytest.mark.skipif(not IS_BUILT, reason="restore.decode._native is not built")

BY_NAME = st.sampled_from(list(COLUMNS))


def check(name: str, value: bytes, *, wide: bool) -> bool:
    """Check that a value is packed as in Python, or declined; tell whether it was packed."""
    codec, data = CODECS[name, wide], b'[{"%b": %b}]' % (name.encode(), value)
    check_packed(codec, (COLUMNS[name],), data)
    found = pack(codec, data)
    assert found is not None
    return not found.declined


def arrays(elements: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    found = st.lists(elements | st.just("null"), max_size=4)
    return found.map(lambda texts: f"[{', '.join(texts)}]")


ELEMENTS = {
    "bool": st.sampled_from(["true", "false"]),
    "float4": st.floats(2**-100, 2**100, width=32).map(repr),
    "float8": DOUBLES.filter(lambda x: float(x) != 0),
    **{
        f"int{n}": st.integers(-(2 ** (8 * n - 1)), 2 ** (8 * n - 1) - 1).map(str)
        for n in (2, 4, 8)
    },
    "numeric": ANY["numeric"],
    "text": TEXT.map(json.dumps),
    "timestamptz": st.datetimes().map(lambda t: json.dumps(f"{t.isoformat()}Z")),
    "uuid": UUIDS.map(json.dumps),
    "varchar": TEXT.map(json.dumps),
}
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
    **{f"{name}[]": arrays(values) for name, values in ELEMENTS.items()},
    "cidr": st.ip_addresses().map(lambda address: f'"{address}/{address.max_prefixlen}"'),
    "inet": st.builds('"{}/{}"'.format, st.ip_addresses(), st.integers(0, 32)),
    "interval": st.builds(
        '"{} years {} mons {:+} days {}{}:{}"'.format,
        *(st.integers(-9999, 9999), st.integers(-11, 11), st.integers(-999_999_999, 999_999_999)),
        *(st.sampled_from("+-"), st.integers(10, 9_999_999), st.times().map("{:%M:%S.%f}".format)),
    ),
    "time": TIMES.map(json.dumps),
    "timestamp": st.datetimes().map(lambda t: json.dumps(t.isoformat())),
    "timestamp()": st.datetimes().map(lambda t: json.dumps(t.isoformat(" ", "milliseconds"))),
    "timestamptz": st.datetimes().map(lambda t: json.dumps(f"{t.isoformat()}Z")),
    "uuid": UUIDS.map(json.dumps) | UUIDS.map(lambda u: json.dumps(u.upper())),
}


@pytest.mark.slow
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("name", USUAL)
@hypothesis.given(data=st.data())
def test_usual_values_are_packed_as_in_python(
    *, name: str, wide: bool, data: st.DataObject
) -> None:
    if wide and (COLUMNS[name].type.element is not None or name in BINARY_TEXTS):
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
            '"QUJD\\nQUI="',
            '"QUJD\\r\\nQUJD\\r\\n"',
            '"QUI=\\nQUJD"',
            '"QU\\nJD"',
            '"\\nQUJD"',
            '"-_-_"',
        ),
        *('"00000000-0000-4000-8000-000000000001"', '"0000000000-0000400080000-000000000001"'),
        *('["a",["b"]]', "[1]", '["\\u0000"]', "[[]]", '["a", null ,"b"]', '"calm"', '"Calm"'),
        *(
            "[1.5]",
            "[-0.0]",
            "[1,[2]]",
            "[true, 1]",
            '["1"]',
            "[{}]",
            "[9999999999]",
            "[null,null]",
        ),
        *('"1 year"', '"1 mon 1 year"', '"1 day "', '"-00:00:01"', '"1 days -00:00:00.000001"'),
        *('"P1D"', '"04:05"', '"1:02:03"', '"00:00:60"', '"+1 mons"', '"1 mon2 days"', '"1 mons "'),
        *(
            '"999999999 years"',
            '"00:00:01.1234567"',
            '"- 1 day"',
            '"1"',
            '"1 dayss"',
            '"100:00:00"',
        ),
        *('"10.0.0.1"', '"10.0.0.1/33"', '"10.0.0.01"', '"10.0.0.0/8"', '"10.0.0"', '"256.0.0.1"'),
        *(
            '"10.0.0.1/08"',
            '"::1"',
            '"::ffff:1.2.3.4/128"',
            '"fe80::1%eth0"',
            '"10.0.0.1/"',
            '"0.0.0.0/0"',
        ),
        *("1" * 200, "0." + "1" * 200, "1" * 600, '"' + "x" * 6 + '"', '"éééééé"', '"ééééé"'),
    ]
)


@pytest.mark.slow
@hypothesis.settings(max_examples=examples(1_500))
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


def mutated(parts: list[tuple[int, int, bytes]]) -> bytes:
    data = BATCH.encode()
    for at, length, new in parts:
        data = data[:at] + new + data[at + length :]
    return data


@pytest.mark.slow
@hypothesis.settings(max_examples=examples(1_500))
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
    check_packed(WHOLE_CODEC, tuple(WHOLE), data)


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
    assert list(found.declined) == [1, 2, 4, 6, 7, 9, 10]
    assert found.unloadable == {6, 7}
    ids = [bytes_of(found, n)[6:10] for n in (0, 3, 5, 8)]
    assert ids == [struct.pack("!i", n) for n in (1, 4, 6, 9)]
    assert list(found.rows.unknown()) == [{"more": None}]
    assert found[3] == records[3].strip().encode()


def test_a_column_that_the_shape_does_not_name_is_no_unknown_field() -> None:
    of = (
        column("id", Type(0, "", "int4", "b"), not_null=True),
        replace(column("n", Type(0, "", "int8", "b")), has_default=True),
    )
    codec = make_codec(of, Shape(frozenset(), frozenset(), frozenset({"more"})), Converter())
    found = pack(
        codec, b'[{"id":1,"n":1},{"id":2,"more":1},{"id":3,"more":1,"n":1},{"id":4,"x":1}]'
    )
    assert found is not None
    assert list(found.declined) == [0, 2]
    assert list(codec.unknown_in(found.rows)) == [("more",), ("more",), {"x": None}]


def test_an_absent_field_is_filled_as_in_python() -> None:
    of = (
        column("id", Type(0, "", "int4", "b"), not_null=True),
        replace(column("n", Type(0, "", "int8", "b"), not_null=True), has_default=True),
        replace(column("t", Type(0, "", "text", "b")), has_default=True),
    )
    names = frozenset({"n", "t"})
    for text in (b"a\tb", b"x" * 5_000, None):
        defaults = {"n": Default(b"7", struct.pack("!q", 7)), "t": Default(text, text)}
        shape = Shape(names, frozenset(), frozenset(), names)
        codec = make_codec(of, shape, Converter(), defaults=defaults)
        records = ['{"id":1}', '{"id":2,"n":2,"t":null}', '{"id":3,"t":"c"}', '{"id":4,"n":null}']
        found = pack(codec, f"[{','.join(records)}]".encode())
        assert found is not None
        assert list(found.declined) == [3]
        expected = codec.decode(f"[{','.join(records[:3])}]".encode())
        assert b"".join(found.rows.pieces(1 << 30)) == b"".join(expected.pieces(1 << 30))
        none = b"\xff" * 4
        filled = none if text is None else struct.pack("!i", len(text)) + text
        assert bytes_of(found, 0)[10:] == struct.pack("!iq", 8, 7) + filled
        assert bytes_of(found, 1)[10:] == struct.pack("!iq", 8, 2) + none


@pytest.mark.parametrize("depth", [511, 512, 513, 1_024, 1_025, 100_000])
def test_nesting_is_packed_however_deep_it_is(depth: int) -> None:
    codec = codec_of(COLUMNS["json"])
    for opening, closing in ((b"[", b"]"), (b'{"a":[', b"]}"), (b'[[],{"":', b"}]")):
        deep = opening * depth + b"1" + closing * depth
        found = pack(codec, b'[{"json":%b}]' % deep)
        assert found is not None
        assert bytes_of(found, 0)[6:] == deep
        for wrong in (deep[:-1], deep + b"]", deep[:-1] + b",", deep.replace(b"1", b"tru")):
            assert pack(codec, b'[{"json":%b}]' % wrong) is None


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


@pytest.mark.parametrize("name", ['a"b', "a\\q", "a\x01b", "a\nb"])
def test_no_record_is_taken_for_one_with_a_name_that_json_escapes(name: str) -> None:
    """Its bytes as they are would not be JSON."""
    from restore.decode._native import Finder, Packer  # noqa: PLC0415 - where it is built

    data = b'[{"%b":1}]' % name.encode()
    assert (
        Packer(((name.encode(), "int4", False, False, None, False, -1, -1, ()),)).pack(data) is None
    )
    assert Finder(((name.encode(), True, False, (b"1",)),), ((0,),)).find(data) is None


FNV_PRIME, FNV_START = 16777619, 2166136261


def colliding(blocks: int) -> list[bytes]:
    """Make 2 ** ``blocks`` texts that are equal in the low 16 bits of FNV-1a, which has no seed."""
    texts, state = [b""], FNV_START & 0xFFFF
    for _ in range(blocks):
        seen: dict[int, bytes] = {}
        for block in map(bytes, itertools.product(b"abcdefghijklmnop", repeat=3)):
            after = state
            for byte in block:
                after = (after ^ byte) * FNV_PRIME & 0xFFFF
            if after in seen:
                texts = [text + end for text in texts for end in (seen[after], block)]
                state = after
                break
            seen[after] = block
    return texts


@pytest.mark.slow
def test_no_values_of_a_backup_make_a_search_slow() -> None:
    """Both are texts of the same length; of one, an attacker has chosen where they are kept.

    A table without a secret would compare all of them in pairs: hundreds of times the work.
    """
    chosen = colliding(16)
    generator = random.Random(1)  # noqa: S311 - no secret
    usual = [bytes(generator.choices(b"abcdefghijklmnop", k=45)) for _ in chosen]
    assert len(set(chosen)) == 2**16

    def search_s(wanted: list[bytes]) -> float:
        started = time.process_time()
        find = make_key_finder([(b"a", False, False, tuple(wanted))], [(0,)])
        found = find(b"[%b]" % b",".join(b'{"a":"%b"}' % text for text in wanted))
        assert found is not None
        assert len(list(found)) == len(wanted)
        return time.process_time() - started

    least_s = min(search_s(usual) for _ in range(3))
    assert min(search_s(chosen) for _ in range(3)) < 30 * least_s


@pytest.mark.parametrize("seed", [*packing.seeds(), *NATIVE_FINDINGS.get("packer", {}).values()])
def test_what_fuzzing_of_the_packer_starts_from_or_found(seed: bytes) -> None:
    packing.check(seed)


@pytest.mark.parametrize("seed", [*finding.seeds(), *NATIVE_FINDINGS.get("finder", {}).values()])
def test_what_fuzzing_of_the_finder_starts_from_or_found(seed: bytes) -> None:
    finding.check(seed)


PIECES = st.sampled_from(
    [
        *('{"a":', '"b":', '"é":', '"\\u0061":', "{", "}", "},{", ",", " ", "[", "]", "null"),
        *("1", "-10", "1e0", "10.0", "-0", '"1"', '"x"', '"\\u0078"', '"é"', "true", "{}"),
    ]
)


@hypothesis.settings(max_examples=examples(500))
@hypothesis.given(
    head=st.integers(0, 255).filter(lambda bits: bits != ord("\n")),
    wanted=st.lists(st.sampled_from(["1", "-10", "x", "é", "0", ""]), max_size=4),
    pieces=st.lists(PIECES, max_size=16),
)
def test_no_record_with_a_wanted_key_is_left_out(
    *, head: int, wanted: list[str], pieces: list[str]
) -> None:
    records = f'[{{"a":1}},{"".join(pieces)}]'
    finding.check(bytes([head]) + f"{','.join(wanted)}\n{records}".encode())


def test_plans_that_make_no_sense_are_refused() -> None:
    from restore.decode._native import Finder, Packer  # noqa: PLC0415 - where it is built

    field = (b"a", "int4", False, False, None, False, -1, -1, ())
    for plan, error in (
        (((*field[:1], "int5", *field[2:]),), ValueError),
        (((*field[:1], "enum[]", *field[2:]),), ValueError),
        (((*field[:1], "int4[][]", *field[2:]),), ValueError),
        (((b"x", None, False, False, None, False, -1, -1, ()), field), ValueError),
        ((field,) * 3_000, ValueError),
        (((*field[:4], "no bytes", *field[5:]),), TypeError),
        (((*field[:-1], ("no bytes",)),), TypeError),
        (("no tuple",), TypeError),
        (((),), TypeError),
    ):
        with pytest.raises(error):
            Packer(plan)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Packer((field,)).pack("[]")  # type: ignore[arg-type]
    key = (b"a", True, False, (b"1",))
    for fields, keys, error in (
        (("no tuple",), (), TypeError),
        (((b"a",),), (), TypeError),
        (((*key[:-1], ("no bytes",)),), (), TypeError),
        ((key,) * 3_000, (), ValueError),
        ((key,), ("no tuple",), TypeError),
        ((key,), (("0",),), TypeError),
        ((key,), ((1,),), ValueError),
        ((key,), ((-1,),), ValueError),
    ):
        with pytest.raises(error):
            Finder(fields, keys)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Finder((key,), ((0,),)).find("[]")  # type: ignore[arg-type]
