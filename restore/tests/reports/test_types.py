"""Public reports of types that bulk loaders do not write, or write wrongly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from restore.tests.support.cells import Refused, check
from restore.tests.support.extensions import create_extension

if TYPE_CHECKING:
    from restore.tests.support.cells import Case
    from restore.tests.support.target import Target

REFUSED = Refused()


def test_bit_strings(target: Target) -> None:
    """timescale/pgai#494: COPY in binary does not take text as bit(4) or bpchar."""
    check(
        target,
        {
            "bit(4)": [('"1010"', "1010"), ('"10"', REFUSED), ('"2222"', REFUSED)],
            "varbit(8)": [('"101"', "101"), ('""', ""), ('"101010101"', REFUSED)],
            "bpchar": [('"ab"', "ab"), ('"a much longer one"', "a much longer one")],
        },
    )


def test_arrays_of_each_type_of_text(target: Target) -> None:
    """duckdb/duckdb-postgres#206: COPY in binary wants the array's own element type."""
    check(
        target,
        {
            "text[]": [('["a", null]', "{a,NULL}"), ("[]", "{}")],
            "varchar[]": [('["a", null]', "{a,NULL}"), ("[]", "{}")],
            "varchar(2)[]": [('["ab"]', "{ab}"), ('["abc"]', REFUSED)],
            "char(2)[]": [('["a"]', '{"a "}'), ('["abc"]', REFUSED)],
            "name[]": [('["a"]', "{a}")],
        },
    )


def test_arrays_of_an_enum(target: Target) -> None:
    """MagicStack/asyncpg#112: an array of an enum has no codec."""
    cases: list[Case] = [
        ('["calm", null, "wild"]', "{calm,NULL,wild}"),
        ("[]", "{}"),
        ('["odd"]', REFUSED),
    ]
    check(target, {"mood[]": cases})


def test_arrays_of_domains_and_domains_over_arrays(target: Target) -> None:
    """MagicStack/asyncpg#886: a domain over numeric[] cannot be inserted."""
    target.conn.execute(
        "CREATE DOMAIN prices AS numeric[] CHECK (array_length(VALUE, 1) < 3);"
        " CREATE DOMAIN mail AS text NOT NULL CHECK (VALUE LIKE '%@%')"
    )
    check(
        target,
        {
            "prices": [("[1, 2.50]", "{1,2.50}"), ("[1, 2, 3]", Refused("23514"))],
            "mail[]": [
                ('["a@b"]', "{a@b}"),
                ('["ab"]', Refused("23514")),
                ("[null]", Refused("23502")),
            ],
        },
    )


def test_arrays_of_nothing(target: Target) -> None:
    """psycopg/psycopg#1349: lists of empty lists stop a COPY in binary."""
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, v int[], d jsonb[])")
    target.write(t=[{"id": 1, "v": [[], []]}, {"id": 2, "v": []}, {"id": 3, "d": [[], []]}])
    target.restore(exit_code=None)
    # PostgreSQL reads them from version 17 on.
    refused = {} if target.conn.info.server_version >= 170_000 else {0: "22P02"}
    assert {at: one["sqlstate"] for at, one in target.refused("t").items()} == refused
    assert target.rows("SELECT v, d FROM t WHERE id > 1") == [([], None), (None, [[], []])]


def test_composites_in_their_own_text_form(target: Target) -> None:
    """brianc/node-postgres#1127: values of composite types are exported as PostgreSQL's text."""
    target.conn.execute("CREATE TYPE pair AS (n int, t text)")
    check(
        target,
        {
            "pair": [(r'"(1,\"a b\")"', '(1,"a b")'), ('{"n": 2, "t": "x"}', "(2,x)")],
            "pair[]": [('["(1,x)", {"n": 2, "t": "y"}, null]', '{"(1,x)","(2,y)",NULL}')],
        },
    )


def test_lists_in_documents(target: Target) -> None:
    """brianc/node-postgres#442: a JSON array is written as an array of PostgreSQL."""
    listed = '[{"a": 1}, null, [2, "x"]]'
    check(target, {"json": [(listed, listed)], "jsonb": [(listed, listed), ("[]", "[]")]})


def test_numbers_beyond_jsonb(target: Target) -> None:
    """MaterializeInc/materialize#28169: a number in jsonb overflows."""
    digits = "1" * 200_000
    check(
        target,
        {
            "jsonb": [
                ('{"n": 1e5}', '{"n": 100000}'),
                (f'{{"n": {digits}}}', Refused("22003")),
                ('{"n": 1e200000}', Refused("22003")),
                ('{"n": 12345678901234567890.5}', '{"n": 12345678901234567890.5}'),
            ],
        },
    )


def test_vectors(target: Target) -> None:
    """jackc/pgx#2280: a vector in a COPY is refused for its dimensions."""
    create_extension(target, "vector", is_packaged=False)
    check(
        target,
        {
            "vector(3)": [
                ("[1, 2.5, 3e-2]", "[1,2.5,0.03]"),
                ('"[1,2,3]"', "[1,2,3]"),
                ("[1, 2]", Refused("22000")),
                ("[1, null, 3]", Refused("22P02")),
                ("[]", Refused("22000")),
            ],
            "halfvec(2)": [("[1, 2]", "[1,2]"), ("[1e9, 2]", Refused("22003"))],
        },
    )


def test_geometries(target: Target) -> None:
    """prisma/orm#21756: rows with a geometry cannot be created."""
    create_extension(target, "postgis")
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY, g geometry(Point,4326), h geography(Point))"
    )
    target.write(
        t=[
            {"id": 1, "g": {"type": "Point", "coordinates": [1, 2]}},
            {"id": 2, "h": "0101000020E6100000000000000000F03F0000000000000040"},
            {"id": 3, "g": "SRID=4326;POINT(1 2)", "h": "POINT(1 2)"},
            {"id": 4, "g": "0101000020E6100000000000000000F03F0000000000000040"},
            {"id": 5, "g": {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}},
        ]
    )
    target.restore(exit_code=3)
    assert [*target.refused("t")] == [4]
    point = "SRID=4326;POINT(1 2)"
    assert target.rows("SELECT id, st_asewkt(g), st_asewkt(h) FROM t ORDER BY id") == [
        *[(1, point, None), (2, None, point), (3, point, point), (4, point, None)],
    ]


def test_a_geometry_that_is_none(target: Target) -> None:
    """ekylibre/ekylibre#1196: parse error - invalid geometry."""
    create_extension(target, "postgis")
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, g geometry)")
    shapes = ["POINT(1 2)", "GEOMETRYCOLLECTION()", {"type": "Nothing", "coordinates": []}, "x"]
    target.write(t=[{"id": n, "g": shape} for n, shape in enumerate(shapes)])
    target.restore(exit_code=3)
    assert [*target.refused("t")] == [1, 2, 3]
    assert target.rows("SELECT id FROM t") == [(0,)]


def test_amounts_of_money(target: Target) -> None:
    """tlocke/pg8000#69, hasura/graphql-engine#6482: signs and currencies of money."""
    cases: list[Case] = [
        ('"-$5.00"', "-$5.00"),
        ('"($1,234.50)"', "-$1,234.50"),
        ("12.5", "$12.50"),
        ('"12.345"', REFUSED),
        ('"£120.00"', Refused("22P02")),
    ]
    check(target, {"money": cases})


@pytest.mark.slow
def test_types_of_the_catalog(target: Target) -> None:
    """duckdb/duckdb-postgres#22: types that only PostgreSQL's own tables use are not supported."""
    check(
        target,
        {
            "oid": [("4294967295", "4294967295"), ("4294967296", REFUSED)],
            "regtype": [('"int4"', "integer")],
            '"char"': [('"i"', "i"), ('"ij"', REFUSED)],
            "name": [(json.dumps("x" * 63), "x" * 63), (json.dumps("x" * 64), REFUSED)],
            "aclitem": [('"=r/postgres"', "=r/postgres")],
            "pg_lsn": [('"16/B374D848"', "16/B374D848"), ('"16"', REFUSED)],
            "xid8": [('"18446744073709551615"', "18446744073709551615")],
            "tid": [('"(0,1)"', "(0,1)"), ('"(0"', REFUSED)],
            "int2vector": [('"1 2"', "1 2")],
        },
    )


def test_names_that_the_database_lacks(target: Target) -> None:
    """duckdb/duckdb-postgres#22: a value of a reg* type names what is not in this database."""
    missing = Refused()
    check(
        target,
        {
            "regproc": [('"now"', "now"), ('"no_function"', missing)],
            "regrole": [('"postgres"', "postgres"), ('"no role"', missing)],
            "regconfig": [('"english"', "english"), ('"no_config"', missing)],
            "regnamespace": [('"public"', "public"), ('"no_schema"', missing)],
        },
    )


def test_a_text_search_document_that_is_too_long(target: Target) -> None:
    """miniflux/v2#871: string is too long for tsvector."""
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text,"
        " words tsvector GENERATED ALWAYS AS (to_tsvector('simple', v)) STORED)"
    )
    long = " ".join(f"w{number}" for number in range(150_000))
    target.write(t=[{"id": 1, "v": "a b"}, {"id": 2, "v": long}, {"id": 3, "v": "c"}])
    target.restore(exit_code=3)
    assert {at: one["sqlstate"] for at, one in target.refused("t").items()} == {1: "54000"}
    assert target.rows("SELECT words::text FROM t") == [("'a':1 'b':2",), ("'c':1",)]
