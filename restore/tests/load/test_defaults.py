"""Absent fields take their columns' defaults, as an INSERT without the column gives them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql

if TYPE_CHECKING:
    from restore.tests.support.target import Target

pytestmark = pytest.mark.server

# A column that the records lack, for which neither C nor a Struct, or no binary COPY, is used.
WAYS = {"usual": "", "text": "odd tsvector", "by name": '"a""b" int'}
TYPES = """
    CREATE SCHEMA other;
    CREATE TYPE other.pair AS (a int, b text);
    CREATE DOMAIN small AS numeric(6,2) DEFAULT 1.005 CHECK (VALUE < 10);
    CREATE FUNCTION other.answer() RETURNS text STABLE LANGUAGE plpgsql AS
        'BEGIN RETURN greeting(); END';
    CREATE FUNCTION greeting() RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT E'hi\\tthere\\\\'$$;
"""
# A column's type and default, and a value of a record that has it.
COLUMNS: dict[str, tuple[str, Any]] = {
    "i": ("int NOT NULL DEFAULT 7", 1),
    "big": ("bigint DEFAULT 2^40", "12345678901"),
    "n": ("numeric(8,3) DEFAULT 1.5", 2.25),
    "any_n": ("numeric DEFAULT 1.500", 2.25),
    "f": ("float8 DEFAULT '-0'", 0.5),
    "f4": ("float4 DEFAULT 0.1", 0.5),
    "t": (r"text NOT NULL DEFAULT E'a\tb\\n\n\r''é'", "x\ty"),
    "empty": ("text DEFAULT ''", "x"),
    "v": ("varchar(3) DEFAULT 'abc'", "x"),
    "c": ("char(4) DEFAULT 'a'", "x"),
    "nothing": ("text DEFAULT lower(NULL)", "x"),
    "tags": ("text[] DEFAULT ARRAY['a', NULL, 'b \"c']", ["x"]),
    "ints": ("int[] DEFAULT '{{1,2},{3,NULL}}'", [1]),
    "doc": ("jsonb DEFAULT '{\"a\": [1, null]}'", {"b": "c"}),
    "doc_null": ("jsonb NOT NULL DEFAULT 'null'", 1),
    "plain": ("json DEFAULT '{\"a\" : 1}'", {"b": "c"}),
    "mood": ("mood DEFAULT 'calm'", "wild"),
    "bytes": (r"bytea DEFAULT '\x00ff5c'", "aGk="),
    "at": ("timestamptz DEFAULT '2020-02-03 04:05:06.789+07'", "2021-01-01T00:00:00Z"),
    "clock": ("timestamp(3) DEFAULT '2020-02-03 04:05:06.789456'", "2021-01-01T00:00:00Z"),
    "day": ("date DEFAULT 'infinity'", "2021-01-01"),
    "hour": ("time DEFAULT '12:34:56.789'", "01:02:03"),
    "span": ("interval DEFAULT '1 mon -2 days 03:04:05'", "1 day"),
    "price": ("money DEFAULT 12.34", "$1.00"),
    "net": ("inet DEFAULT '10.0.0.1/8'", "::1"),
    "ranged": ("int4range DEFAULT '[1,5]'", "[2,3)"),
    "pair": ("other.pair DEFAULT ROW(1, 'x,\"y')", "(2,z)"),
    "d": ("small", 3),
    "d2": ("small DEFAULT 2", 3),
    "key": ("uuid DEFAULT '00000000-0000-4000-8000-000000000001'", f"{1:032x}"),
    "f_user": ("text DEFAULT other.answer()", "x"),
    "who": ("name DEFAULT current_user", "x"),
    "reg": ("regclass DEFAULT 'company'", "post"),
    'odd "\\% name': ("int DEFAULT 3", 1),
    "bit": ("bit(3) DEFAULT '101'", "111"),
}


def create(target: Target, names: list[str], table: str = "t", more: str = "") -> None:
    columns = sql.SQL(", ").join(
        sql.SQL("{} ").format(sql.Identifier(name)) + sql.SQL(COLUMNS[name][0]) for name in names
    )
    text = sql.SQL("CREATE TABLE {} (id int PRIMARY KEY, {}) ").format(
        sql.Identifier(table), columns
    )
    target.conn.execute(text + sql.SQL(more))


def some(names: list[str], count: int, share: float = 0.5) -> list[dict[str, Any]]:
    draw = random.Random(7)  # noqa: S311 - no secret
    return [
        {"id": n} | {name: COLUMNS[name][1] for name in names if draw.random() < share}
        for n in range(count)
    ]


def check(target: Target, names: list[str], records: list[dict[str, Any]], table: str) -> None:
    """See that what records lack is what an INSERT without it gives."""
    target.conn.execute(sql.SQL("INSERT INTO {} (id) VALUES (-1)").format(sql.Identifier(table)))
    texts = sql.SQL(", ").join(
        sql.SQL("{}::text").format(sql.Identifier(name)) for name in ["id", *names]
    )
    query = sql.SQL("SELECT {} FROM {} AS t ORDER BY t.id").format(texts, sql.Identifier(table))
    default, *rows = target.conn.execute(query).fetchall()
    assert len(rows) == len(records)
    given: dict[str, set[str]] = {}
    for record, (_, *values) in zip(records, rows, strict=True):
        for name, value, expected in zip(names, values, default[1:], strict=True):
            if name in record:
                given.setdefault(name, set()).add(value)
            else:
                assert value == expected, name
    for name, values in given.items():
        assert len(values) == 1, name
        assert values != {default[1 + names.index(name)]}, name


def in_batches(target: Target, table: str = "t") -> None:
    """See that no record came in by itself."""
    levels = {level: count for level, count in target.counts()[table]["levels"].items() if count}
    assert levels.keys() <= {"batch", "split"}, levels


# Names that a Struct or the packer knows, and those that neither does.
TYPED = ["i", "big", "n", "f", "f4", "t", "v", "c", "nothing", "tags", "doc", "doc_null", "plain"]
TYPED += ["mood", "bytes", "at", "clock", "day", "hour", "key", "empty"]


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("names", [TYPED, [*TYPED, "ints", "any_n"], list(COLUMNS)], ids=len)
def test_a_field_that_some_records_lack_is_the_default(
    *, target: Target, names: list[str], way: str, in_c: bool
) -> None:
    target.conn.execute(TYPES)
    create(target, names)
    if column := WAYS[way]:
        target.conn.execute(f"ALTER TABLE t ADD {column}")
    records = some(names, 300)
    target.write(t=records)
    target.restore()
    in_batches(target)
    check(target, names, records, "t")


@pytest.mark.slow
@pytest.mark.parametrize("options", ["", "append", "skip", "replace", "atomic", "jobs"])
@pytest.mark.parametrize("more", ["", "PARTITION BY HASH (id)"], ids=["plain", "partitioned"])
def test_defaults_are_the_same_however_rows_come_in(
    target: Target, options: str, more: str
) -> None:
    target.conn.execute(TYPES)
    create(target, TYPED, more=more)
    if more:
        target.conn.execute(
            "CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0)"
        )
        target.conn.execute(
            "CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1)"
        )
    records = some(TYPED, 300)
    arguments = {"append": ["--append"], "atomic": ["--atomic"], "jobs": ["--jobs=2"]}
    if options in {"skip", "replace"}:
        arguments[options] = ["--append", f"--on-conflict={options}"]
    target.write(t=records)
    target.restore(*arguments.get(options, []), "--keep-indexes")
    in_batches(target)
    check(target, TYPED, records, "t")


def test_a_replaced_row_takes_the_defaults_that_its_record_lacks(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY, a int DEFAULT 1, b int DEFAULT 2, c int);"
        "INSERT INTO t SELECT n, 7, 8, 9 FROM generate_series(0, 99) n"
    )
    target.write(t=[{"id": n} | ({"a": n} if n % 2 else {"b": n}) for n in range(100)])
    target.restore("--append", "--on-conflict=replace")
    in_batches(target)
    rows = [(n, n, 2, None) if n % 2 else (n, 1, n, None) for n in range(100)]
    assert target.rows("SELECT * FROM t ORDER BY id") == rows


def test_a_record_without_its_key_replaces_nothing(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY DEFAULT 1, v text DEFAULT 'x');"
        "INSERT INTO t VALUES (1, 'old'), (2, 'old')"
    )
    target.write(t=[{"id": 2}, {"v": "new"}] * 30)
    target.restore("--append", "--on-conflict=replace", exit_code=3)
    assert target.rows("SELECT id, v FROM t ORDER BY id") == [(1, "old"), (2, "x")]


def test_a_dry_run_fills_what_a_restore_fills(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, a int DEFAULT 1, b int CHECK (b > 0))")
    target.conn.execute("ALTER TABLE t ALTER b SET DEFAULT -1, ADD UNIQUE (a)")
    target.write(
        t=[{"id": 1, "a": 2, "b": 3}, {"id": 2, "b": 1}, {"id": 3, "a": 3}, {"id": 4, "b": 1}]
    )
    for arguments in (["--dry-run"], []):
        target.restore(*arguments, exit_code=3)
        assert (target.counts()["t"]["rejected"], target.counts()["t"]["duplicates"]) == (1, 1)


def test_a_default_that_fails_rejects_the_records_that_need_it(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY, a int DEFAULT 1 / 0, b int DEFAULT 3,"
        " c positive DEFAULT -1, d int NOT NULL DEFAULT abs(NULL), e int DEFAULT 4)"
    )
    whole = {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}
    lacking = [{k: v for k, v in whole.items() if k != name} for name in ("a", "b", "c", "d", "e")]
    target.write(t=[{"id": n} | record for n, record in enumerate([whole, *lacking] * 20)])
    target.restore(exit_code=3)
    refused = target.refused("t")
    assert {n % 6 for n in refused} == {1, 3, 4}
    assert refused[1]["message"] == "division by zero"
    assert "positive" in refused[3]["message"]
    assert "null value" in refused[4]["message"]
    assert target.rows("SELECT DISTINCT b, e FROM t ORDER BY b, e") == [(1, 1), (1, 4), (3, 1)]


def test_each_row_has_its_own_value_of_a_volatile_default(target: Target) -> None:
    target.conn.execute(
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT (random() * 1e9)::int';"
        "CREATE TABLE t (id int PRIMARY KEY, u uuid DEFAULT gen_random_uuid(),"
        " m int DEFAULT mine(),"
        " r float8 DEFAULT 1 + random(), a int DEFAULT 5, s timestamptz DEFAULT now())"
    )
    names = ("u", "m", "r", "a", "s")
    given = {"u": f"{1:032x}", "m": 1, "r": 1, "a": 1, "s": "2020-01-01T00:00:00Z"}
    draw = random.Random(3)  # noqa: S311 - no secret
    records = [
        {"id": n} | {name: given[name] for name in names if draw.random() < 0.5} for n in range(200)
    ]
    target.write(t=records)
    target.restore()
    in_batches(target)
    for name in ("u", "m", "r"):
        lacking = sum(name not in record for record in records)
        query = sql.SQL("SELECT count(DISTINCT {0}) - 1, count({0}) FROM t")
        found = target.conn.execute(query.format(sql.Identifier(name))).fetchall()
        assert found == [(lacking, 200)], name
    assert target.rows("SELECT count(DISTINCT s) FROM t") == [(2,)]


def test_who_may_make_no_temporary_table_restores_all_the_same(target: Target) -> None:
    create(target, ["i", "t"])
    records = some(["i", "t"], 100)
    target.write(t=records)
    with target.role() as role:
        target.conn.execute(
            sql.SQL("REVOKE TEMP ON DATABASE {} FROM PUBLIC; ALTER TABLE t OWNER TO {}").format(
                sql.Identifier(target.conn.info.dbname), sql.Identifier(role)
            )
        )
        target.restore()
        check(target, ["i", "t"], records, "t")
