"""Item 24: enum values that the type lacks; arrays; domains with checks; citext; ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from restore.tests.support.cells import LOST, Refused, check
from restore.tests.support.extensions import create_extension

if TYPE_CHECKING:
    from restore.tests.support.cells import Case
    from restore.tests.support.target import Target

REFUSED = Refused()
NO_LABEL = Refused(sqlstate="22P02")

TYPES = """
    CREATE TYPE colour AS ENUM ('red', 'Red', 'dark "red"', 'a,b', '', 'back\\slash');
    CREATE DOMAIN percent AS int CONSTRAINT percent_bounds CHECK (VALUE BETWEEN 0 AND 100);
    CREATE DOMAIN short AS varchar(5) CHECK (VALUE <> 'never');
    CREATE DOMAIN given AS text NOT NULL;
    CREATE DOMAIN fine AS numeric(6,3);
    CREATE DOMAIN stamp AS timestamp(3);
    CREATE DOMAIN document AS jsonb CHECK (VALUE ? 'k');
    CREATE DOMAIN numbers AS int[] CHECK (cardinality(VALUE) < 4);
    CREATE DOMAIN tint AS colour;
    CREATE DOMAIN tenth AS percent CHECK (VALUE % 10 = 0);
    CREATE TYPE pair AS (n int, t text, "At" timestamptz);
"""


def test_enums_and_domains(target: Target) -> None:
    target.conn.execute(TYPES)
    check(
        target,
        {
            "colour": [
                *(('"red"', "red"), ('"Red"', "Red"), (r'"dark \"red\""', 'dark "red"')),
                *(('""', ""), ('"a,b"', "a,b"), (r'"back\\slash"', "back\\slash"), ("null", None)),
                *(('"RED"', NO_LABEL), ('"blue"', NO_LABEL), ('"red "', NO_LABEL)),
                *(("1", NO_LABEL), ("{}", REFUSED), ("[]", REFUSED)),
            ],
            "colour[]": [
                (
                    '["red", "a,b", null, "", "dark \\"red\\""]',
                    r'{red,"a,b",NULL,"","dark \"red\""}',
                ),
                ('["blue"]', NO_LABEL),
                ("[]", "{}"),
            ],
            "percent": [
                *(("0", "0"), ("100", "100"), ('"50"', "50"), ("50.0", "50"), ("null", None)),
                *(("101", Refused(sqlstate="23514", constraint="percent_bounds")), ("1.5", LOST)),
            ],
            "tenth": [("10", "10"), ("11", Refused(sqlstate="23514")), ("110", REFUSED)],
            "short": [
                *(('"12345"', "12345"), ('"naïve"', "naïve"), ('"123456"', REFUSED)),
                *(('"12345 "', LOST), ('"never"', Refused(sqlstate="23514"))),
            ],
            "given": [('""', ""), ("null", Refused(sqlstate="23502"))],
            "fine": [("1.5", "1.500"), ("1.2345", LOST), ("1000", REFUSED)],
            "stamp": [
                ('"2024-01-31T12:00:00.123+02:00"', "2024-01-31 10:00:00.123"),
                ('"2024-01-31T12:00:00.1234"', LOST),
                ("1706704496789", "2024-01-31 12:34:56.789"),
                ('"now"', LOST),
            ],
            "document": [('{"k": "\\""}', '{"k": "\\""}'), ("[]", Refused(sqlstate="23514"))],
            "numbers": [("[1, 2]", "{1,2}"), ("[1,2,3,4]", Refused(sqlstate="23514"))],
            "tint": [('"red"', "red"), ('"blue"', NO_LABEL)],
        },
    )


def test_arrays(target: Target) -> None:
    check(
        target,
        {
            "text[]": [
                ('["a", "b c", "", null]', '{a,"b c","",NULL}'),
                (
                    r'["\"", "\\", ",", "{}", "NULL", "null", " x "]',
                    r'{"\"","\\",",","{}","NULL","null"," x "}',
                ),
                ("[]", "{}"),
                ('[["a", "b"], ["c", null]]', "{{a,b},{c,NULL}}"),
                ('"{a,\\"b c\\"}"', '{a,"b c"}'),  # as PostgreSQL writes it
                ("null", None),
                ("[1, true]", "{1,true}"),
                ('[["a"], ["b", "c"]]', REFUSED),  # ragged
                ('["a", ["b"]]', REFUSED),
                ('{"a": 1}', REFUSED),
                ("1", REFUSED),
            ],
            "int[]": [
                ("[1, null, -2]", "{1,NULL,-2}"),
                ("[[1, 2], [3, 4]]", "{{1,2},{3,4}}"),
                ("[[[1], [2]]]", "{{{1},{2}}}"),
                ('["1", 2.0]', "{1,2}"),
                ("[1.5]", LOST),
                ("[2147483648]", LOST),
                ('["x"]', REFUSED),
                ("[true]", REFUSED),
            ],
            "varchar(3)[]": [('["abc"]', "{abc}"), ('["abcd"]', REFUSED), ('["abc "]', LOST)],
            "uuid[]": [
                (
                    '["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", null]',
                    "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}",
                ),
                ('["a0ee"]', REFUSED),
            ],
            "date[]": [
                ('["2024-01-31T00:00:00.000Z"]', "{2024-01-31}"),
                ('["2024-01-31T12:00Z"]', LOST),
            ],
            "inet[]": [('["10.0.0.1", "::1/128"]', "{10.0.0.1,::1}"), ('["x"]', REFUSED)],
            "int[] NOT NULL": [("[]", "{}"), ("null", Refused(sqlstate="23502"))],
        },
    )


def test_texts_with_a_length(target: Target) -> None:
    check(
        target,
        {
            "varchar(5)": [
                *(('"12345"', "12345"), ('"naïve"', "naïve"), ("12345", "12345")),
                *(('"\U0001f600\U0001f600\U0001f600\U0001f600\U0001f600"', "\U0001f600" * 5),),
                *(('"123456"', REFUSED), ('"12345 "', LOST), ('"     "', "     ")),
                *(('"      "', LOST), ("{}", REFUSED), ("[]", REFUSED)),
            ],
            "name": [('"x"', "x"), (f'"{"x" * 64}"', LOST)],
            "char(5)": [('"ab"', "ab"), ('"12345"', "12345"), ('"123456"', REFUSED)],
            "bit(4)": [
                ('"1010"', "1010"),
                ('"101"', REFUSED),
                ('"10101"', REFUSED),
                ('"2"', REFUSED),
            ],
            "varbit(4)": [('"101"', "101"), ('"10101"', REFUSED), ('""', "")],
        },
    )


def test_ranges_addresses_and_other_types(target: Target) -> None:
    check(
        target,
        {
            "int4range": [
                *(
                    ('"[1,5)"', "[1,5)"),
                    ('"[1,5]"', "[1,6)"),
                    ('"empty"', "empty"),
                    ('"(,)"', "(,)"),
                ),
                *(('"[5,1)"', Refused(sqlstate="22000")), ('"1-5"', NO_LABEL)),
            ],
            "tstzrange": [
                (
                    r'"[\"2024-01-31 12:00:00+02\",)"',
                    '["2024-01-31 10:00:00+00",)',
                ),
            ],
            "int4multirange": [('"{[1,3),[2,5)}"', "{[1,5)}"), ('"{}"', "{}")],
            "inet": [('"10.0.0.1/8"', "10.0.0.1/8"), ('"::1"', "::1/128"), ('"10.0.0"', NO_LABEL)],
            "cidr": [('"10.0.0.0/8"', "10.0.0.0/8"), ('"10.0.0.1/8"', NO_LABEL)],
            "macaddr": [('"08:00:2B:01:02:03"', "08:00:2b:01:02:03"), ('"x"', NO_LABEL)],
            "uuid": [
                ('"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"', "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
                ('"a0eebc999c0b4ef8bb6d6bb9bd380a11"', "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
                (
                    '"{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"',
                    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                ),
                ('" a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1"', NO_LABEL),
                ('"a0eeb-c99-9c0b-4ef8-bb6d-6bb9bd380a11"', NO_LABEL),
                ('"a0ee"', NO_LABEL),
                ("12", NO_LABEL),
            ],
            "point": [('"(1.5,-2)"', "(1.5,-2)"), ('{"x": 1.5, "y": -2}', "(1.5,-2)")],
            "tsvector": [("\"'a':1 'b'\"", "'a':1 'b'")],
        },
    )


def test_composite_types(target: Target) -> None:
    target.conn.execute(TYPES)
    check(
        target,
        {
            "pair": [
                (r'"(1,\"a b\",)"', '(1,"a b",)'),
                (
                    r'{"n": 1, "t": "a,\"b\\", "At": "2024-01-31T12:00:00+00:00"}',
                    r'(1,"a,""b\\","2024-01-31 12:00:00+00")',
                ),
                ('{"n": null, "t": "", "At": null}', '(,"",)'),
                ("null", None),
                ('{"n": "x", "t": null, "At": null}', REFUSED),
                ('"(1"', REFUSED),
            ],
        },
    )


@pytest.mark.parametrize("extension", ["citext", "hstore"])
def test_types_of_extensions(target: Target, extension: str) -> None:
    create_extension(target, extension)
    cases: dict[str, dict[str, list[Case]]] = {
        "citext": {
            "citext UNIQUE": [('"Some"', "Some"), ('"other"', "other"), (r'"a\u0000"', REFUSED)],
            "citext[]": [('["A", null]', "{A,NULL}")],
        },
        "hstore": {
            "hstore": [
                (r'"\"a\"=>\"1\", \"b\"=>NULL"', '"a"=>"1", "b"=>NULL'),
                ('{"a": "1", "b": null}', '"a"=>"1", "b"=>NULL'),
                (r'{"q\"": "\\ , =>"}', r'"q\""=>"\\ , =>"'),
                ("{}", ""),
            ]
        },
    }
    check(target, cases[extension])


def test_a_field_that_a_composite_type_lacks_is_not_left_out(target: Target) -> None:
    target.conn.execute(
        "CREATE TYPE pair AS (a int, b text);"
        " CREATE TABLE t (id int PRIMARY KEY, one pair, many pair[])"
    )
    target.write(
        t=[
            {"id": 0, "one": {"a": 1, "b": "x"}, "many": [{"a": 2}, None]},
            {"id": 1, "one": {"a": 1, "b": "x", "gone": 42}},
            {"id": 2, "one": {"A": 7}},
            {"id": 3, "many": [{"a": 1, "zzz": 1}]},
        ]
    )
    target.restore(exit_code=3)
    assert sorted(target.rejected("t")) == [1, 2, 3]
    assert target.rows("SELECT one::text, many::text FROM t") == [("(1,x)", '{"(2,)",NULL}')]


def test_parts_of_values_are_as_exact_as_columns(target: Target) -> None:
    """What PostgreSQL would round, cut off or interpret in a part of a value."""
    target.conn.execute(
        "CREATE TYPE part AS (n numeric(4,1), at timestamp, b bytea, v varchar(3), d jsonb);"
        " CREATE TYPE whole AS (p part, l date[]); CREATE TABLE row_of (n numeric(4,1));"
        " CREATE DOMAIN fine AS numeric(6,3);"
        " CREATE DOMAIN stamp AS timestamp(3); CREATE DOMAIN short AS varchar(2);"
        " CREATE TYPE span AS RANGE (subtype = fine)"
    )
    check(
        target,
        {
            "part": [
                ('{"n": 1.50, "d": {"k": [1]}}', '(1.5,,,,"{""k"": [1]}")'),
                ('{"n": 1.55}', LOST),
                ('{"at": "2024-01-31T12:00:00+05:00"}', '(,"2024-01-31 07:00:00",,,)'),
                ('{"at": "2024-01-31 12:00:00 CET"}', LOST),
                ('{"at": "now"}', LOST),
                ('{"b": "SGVsbG8="}', '(,,"\\\\x48656c6c6f",,)'),
                ('{"v": "ab  "}', LOST),
                (
                    r'"(1.5,\"2024-01-31 12:00:00+05\",,\"a,\"\"\",)"',
                    '(1.5,"2024-01-31 07:00:00",,"a,""",)',
                ),
                ('"(1.55,,,,)"', LOST),
            ],
            "part[]": [('[{"n": 1.5}, null]', '{"(1.5,,,,)",NULL}'), ('[{"n": 1.55}]', LOST)],
            "whole": [('{"p": {"n": 1}, "l": ["2024-01-31"]}', '("(1.0,,,,)",{2024-01-31})')],
            "row_of": [('{"n": 1}', "(1.0)"), ('{"n": 1.55}', LOST), ('{"m": 1}', LOST)],
            "timestamp[]": [
                ('"{2024-01-31 12:00:00+05,NULL}"', '{"2024-01-31 07:00:00",NULL}'),
                ('["2024-01-31 12:00:00 CET"]', LOST),
                ('"[0:0]={infinity}"', "[0:0]={infinity}"),
                ('"{today}"', LOST),
            ],
            "date[]": [('"{2024-01-31 10:00}"', LOST)],
            "varchar(3)[]": [(r'"{a(b,\"a,b\"}"', '{a(b,"a,b"}'), (r'"{\"ab  \"}"', LOST)],
            "numeric(4,1)[]": [('"{{1.50},{2}}"', "{{1.5},{2.0}}"), ('"{1.55}"', LOST)],
            "point": [('{"x": 1, "y": 2, "z": 3}', LOST)],
            "fine[]": [("[1.234]", "{1.234}"), ("[1.2345]", LOST), ('"{1.2345}"', LOST)],
            "stamp[]": [('["2024-01-31T00:00:00.1234"]', LOST)],
            "short[]": [('["ab "]', LOST), ('["ab"]', "{ab}")],
            "span": [('"[1.2345,)"', LOST), ('"[1.5,)"', "[1.500,)")],
        },
    )


def test_bounds_of_ranges_are_as_exact_as_columns(target: Target) -> None:
    target.conn.execute("CREATE TYPE hours AS RANGE (subtype = time)")
    check(
        target,
        {
            "tsrange": [
                (
                    r'"[\"2024-01-31 12:00:00+05\",)"',
                    '["2024-01-31 07:00:00",)',
                ),
                ('"empty"', "empty"),
                ('"[2024-01-31 00:00:00.1234567,)"', LOST),
                ('"[now,)"', LOST),
                ('"(2024-01-31 12:00:00.5,]"', '("2024-01-31 12:00:00.5",)'),
                ('"[0000-00-00 00:00:00,)"', LOST),
            ],
            "tstzrange": [
                (
                    r'"[2024-01-31T12:00:00.5+05,\"2024-02-01 00:00:00Z\")"',
                    '["2024-01-31 07:00:00.5+00","2024-02-01 00:00:00+00")',
                ),
                ('"[2024-01-31 00:00:00.1234567Z,)"', LOST),
            ],
            "datemultirange": [
                ('"{[2024-01-31,2024-02-02),empty}"', "{[2024-01-31,2024-02-02)}"),
                ('"{[2024-01-31,now)}"', LOST),
            ],
            "numrange": [('"[-1.50,2]"', "[-1.50,2]"), ('"[1.5,1.4]"', LOST)],
            "tsmultirange": [('"{[2024-01-31,),[today,)}"', LOST), ('"{}"', "{}")],
            "daterange": [('"[2024-01-31 10:00,)"', LOST), ('"(,infinity)"', "(,infinity)")],
            "hours": [('"[10:00,12:00)"', "[10:00:00,12:00:00)"), ('"[10:00+05,)"', LOST)],
            "int4range": [('"[1,5]"', "[1,6)"), ("[1, 5]", LOST)],
        },
    )
