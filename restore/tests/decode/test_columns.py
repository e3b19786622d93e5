"""Values arrive as the server would have read them, whether C packs them or not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from restore.tests.support.cells import LOST, Refused, check

if TYPE_CHECKING:
    from restore.tests.support.target import Target

KEY = "00000000-0000-4000-8000-00000000000"
NUMBERS = {
    "numeric(12, 2)": [
        *("0", "0.00", "0.5", "0.05", "1", "7.10", "4095.99", "4096", "9999.99", "10000"),
        *("12345678.9", "99999999.99", "100000000", "9999999999.99", "-0.01", "-4096.5"),
        *("-10000.25", "-99999999.99", "-100000000.00", "1.500", "1e3", "12E-1"),
    ],
    "numeric(4, 0)": ["0", "9999", "-9999", "5.0"],
    "numeric(12, 4)": ["0.0001", "0.1", "99999999.9999", "-12345678.0009"],
    "numeric(12, 5)": ["0.00001", "12.5"],
    "numeric(5, -2)": ["1200"],
    "numeric": ["1.50", "0.0", "123456789012345678901234567890.5"],
}


@pytest.mark.slow
def test_decimal_numbers_are_what_the_server_reads(target: Target) -> None:
    kinds = (
        NUMBERS if target.conn.info.server_version >= 150000 else dict(list(NUMBERS.items())[:4])
    )
    cases = {}
    for kind, numbers in kinds.items():
        read = {
            text: target.conn.execute(f"SELECT '{text}'::{kind}::text").fetchall()[0][0]
            for text in numbers
        }
        cases[kind] = [
            *((text, read[text]) for text in numbers),
            *((json.dumps(text), read[text]) for text in numbers),
            ("null", None),
        ]
    check(target, cases)


def test_numbers_that_do_not_fit_are_told_from_their_neighbours(target: Target) -> None:
    check(
        target,
        {
            "numeric(5, 2)": [
                ("1.25", "1.25"),
                ("1.255", LOST),
                ('"1.255"', LOST),
                ("1000", Refused("22003")),
                ('"1.2.5"', LOST),
                ('"\\"1"', LOST),
                ('"1_0"', LOST),
                ('"\\u0031.5"', "1.50"),
                ('" 1.5 "', "1.50"),
                ('"NaN"', "NaN"),
            ],
            "numeric(5, 2) NOT NULL": [("1.25", "1.25"), ("null", Refused("23502"))],
        },
    )


def test_uuids_that_are_long_and_short_by_one_are_not_made_good_by_each_other(
    target: Target,
) -> None:
    check(
        target,
        {
            "uuid": [
                (json.dumps(KEY + "1"), KEY + "1"),
                (json.dumps(KEY), Refused("22P02")),
                (json.dumps("1" + KEY + "1"), Refused("22P02")),
                (json.dumps("g" + KEY[1:] + "1"), Refused("22P02")),
                (json.dumps((KEY + "2").replace("-", "")), KEY + "2"),
                (json.dumps((KEY + "A").upper()), KEY + "a"),
                ("null", None),
            ],
        },
    )


def test_arrays_of_text(target: Target) -> None:
    check(
        target,
        {
            "text[]": [
                ("[]", "{}"),
                ('["a", "a", "é€😀"]', "{a,a,é€😀}"),
                ('["", null, "null", "a,b"]', '{"",NULL,"null","a,b"}'),
                ("null", None),
                (json.dumps(["x" * 100] * 3), "{" + ",".join(["x" * 100] * 3) + "}"),
                (r'["\u0000"]', Refused()),
            ],
        },
    )


def test_documents_keep_their_text_and_null_is_null(target: Target) -> None:
    cases = [('{"a": [1, null]}', '{"a": [1, null]}'), ("null", None), ('"null"', '"null"')]
    check(target, {"json": cases, "jsonb": cases})


@pytest.mark.slow
@pytest.mark.parametrize("white", ["", " "])
@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("float8", [("-0", "-0"), ("0", "0"), ("1e-320", "1e-320"), ("1e-400", Refused())]),
        ("float4", [("-0", "-0"), ("0.0", "0"), ("1e-60", Refused())]),
        ("float8[]", [("[0, -0]", "{0,-0}"), ("[1e-400]", Refused())]),
    ],
)
def test_numbers_that_a_float_would_lose(
    target: Target, kind: str, texts: list[tuple[str, str | Refused]], white: str
) -> None:
    check(target, {kind: [(white + text, expected) for text, expected in texts]})


def test_integers_in_strings(target: Target) -> None:
    check(
        target,
        {
            "int4": [
                ('"12"', "12"),
                ('"-12"', "-12"),
                ('"2147483647"', "2147483647"),
                ('"2147483648"', LOST),
                ('"012"', "12"),
                ('" 12"', "12"),
                ("13", "13"),
                ("null", None),
            ],
            "bigint": [
                *((f'"{n}"', str(n)) for n in range(100)),
                ('"9223372036854775807"', "9223372036854775807"),
                ('"9223372036854775808"', LOST),
            ],
        },
    )


@pytest.mark.slow
def test_arrays_of_numbers_and_others(target: Target) -> None:
    target.conn.execute("CREATE DOMAIN short AS text CHECK (length(VALUE) < 4)")
    key = KEY + "1"
    check(
        target,
        {
            "int4[]": [
                ("[]", "{}"),
                ("[1, null, -2147483648]", "{1,NULL,-2147483648}"),
                ("[[1,2],[3,4]]", "{{1,2},{3,4}}"),
                ('["7"]', "{7}"),
                ("[1.5]", LOST),
                ("[2147483648]", LOST),
                ("null", None),
            ],
            "int2[]": [("[32767,1]", "{32767,1}"), ("[32768]", LOST)],
            "int8[]": [("[9007199254740993]", "{9007199254740993}")],
            "uuid[]": [
                (json.dumps([key, None, key.upper()]), f"{{{key},NULL,{key}}}"),
                ('["1"]', Refused("22P02")),
            ],
            "numeric[]": [('[1.50, "2.0", 1e2]', "{1.50,2.0,100}")],
            "bool[]": [("[true,null,false]", "{t,NULL,f}")],
            "float4[]": [("[1.5,-2e3]", "{1.5,-2000}")],
            "timestamptz[]": [
                ('["2024-01-31T12:34:56.789Z"]', '{"2024-01-31 12:34:56.789+00"}'),
            ],
            "varchar(3)[]": [('["abc"]', "{abc}"), ('["abcd"]', LOST)],
            "short[]": [('["abc", null]', "{abc,NULL}"), ('["abcd"]', Refused("23514"))],
        },
    )


@pytest.mark.slow
def test_intervals(target: Target) -> None:
    whole = "1 year 2 mons 3 days 04:05:06.789"
    check(
        target,
        {
            "interval": [
                (json.dumps(whole), whole),
                ('"-1 years -2 mons +3 days -04:05:06"', "-1 years -2 mons +3 days -04:05:06"),
                ('"-1 days 02:00:00"', "-1 days +02:00:00"),
                ('"1 mon"', "1 mon"),
                ('"100:00:00.5"', "100:00:00.5"),
                ('"178956970 years 7 mons"', "178956970 years 7 mons"),
                ('"178956970 years 8 mons"', Refused("22008")),
                ('"P1DT2H"', "1 day 02:00:00"),
                ('"3 hours"', "03:00:00"),
                ('"00:00:01.1234567"', LOST),
                ('"1 yeard"', Refused("22007")),
                ("null", None),
            ],
            "interval(0)": [('"00:00:01"', "00:00:01"), ('"00:00:01.5"', LOST)],
        },
    )


def test_addresses(target: Target) -> None:
    check(
        target,
        {
            "inet": [
                ('"10.1.2.3"', "10.1.2.3/32"),
                ('"10.1.2.3/8"', "10.1.2.3/8"),
                ('"0.0.0.0/0"', "0.0.0.0/0"),
                ('"::1"', "::1/128"),
                ('"2001:db8::5/64"', "2001:db8::5/64"),
                ('"1:2:3:4:5:6:7::"', "1:2:3:4:5:6:7:0/128"),
                ('"::"', "::/128"),
                ('"::ffff:1.2.3.4"', "::ffff:1.2.3.4/128"),
                ('"1::2::3"', Refused("22P02")),
                ('"10.1.2.256"', Refused("22P02")),
                ('"10.1.2.3/33"', Refused("22P02")),
                ("null", None),
            ],
            "cidr": [
                ('"10.1.0.0/16"', "10.1.0.0/16"),
                ('"10.1.2.3"', "10.1.2.3/32"),
                ('"10.1"', "10.1.0.0/16"),
                ('"2001:db8::/32"', "2001:db8::/32"),
                ('"10.1.2.3/8"', Refused("22P02")),
            ],
        },
    )


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("interval", "PT5M", "00:05:00"),
        ("inet", "2001:db8::1", "2001:db8::1/128"),
        ("cidr", "10.1", "10.1.0.0/16"),
    ],
)
def test_texts_in_another_form_of_all_records_are_still_copied(
    target: Target, kind: str, text: str, expected: str
) -> None:
    target.conn.execute(f"CREATE TABLE t (id int PRIMARY KEY, v {kind})")
    target.write(t=[{"id": n, "v": text} for n in range(200)])
    [table] = target.load().tables
    assert table.levels.batch == 200
    assert target.rows("SELECT DISTINCT v::text FROM t") == [(expected,)]
