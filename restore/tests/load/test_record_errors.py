"""Whose error it is: a record's, which is rejected, or its table's, which stops the restore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from restore.load.record_errors import LONGEST_RUN
from restore.report.events import Progress
from restore.target.sqlstate import describe
from restore.tests.support.target import FULL_DISK

if TYPE_CHECKING:
    from restore.tests.support.target import Target

# A type, a value that it takes, and one that it refuses, each with an SQLSTATE of its own.
VALUES = [
    ("tsvector", "a:1", "a:b"),
    ("tsquery", "a & b", "a &"),
    ("jsonpath", "$.a", "$["),
    ("regclass", "pg_class", "nowhere"),
    ("regclass", "pg_class", "no.where"),
    ("regtype", "int", "no type"),
    ("regrole", "pg_monitor", "nobody at all"),
    ("regproc", "now", "never"),
    ("regprocedure", "now()", "now(int)"),
    ("regconfig", "simple", "difficult"),
    ("regnamespace", "public", "private"),
    ("numeric", 1, "1e131072"),
    ("numeric[]", "{1}", ["1e131072"]),
    ("bit(3)", "101", "10"),
    ("int4multirange", "{[1,2]}", "{[2,1]}"),
    ("pg_lsn", "0/1", "x"),
    ("hstore", '"a"=>"1"', "a"),
    ("ltree", "a.b", "a..b"),
    ("lquery", "a.*", "a.{"),
    ("cube", "(1,2)", "(1"),
    ("seg", "1..2", "a"),
    ("isbn", "978-0-393-04002-9", "978-0-393-04002-8"),
    ("geometry", "POINT(1 2)", "POINT(1)"),
    ("query_int", "1&2", "1&"),
]
EXTENSIONS = {
    "cube": "cube",
    "geometry": "postgis",
    "hstore": "hstore",
    "isbn": "isn",
    "lquery": "ltree",
    "ltree": "ltree",
    "query_int": "intarray",
    "seg": "seg",
}
RAISED = ["45000", "42501", "21000", "42883", "42P01", "XX000", "XX001", "0A000", "25006", "53100"]
RAISED += ["55P03", "40001", "57014", "57P01", "58030", "08006", "P0001", "23514"]

# What a record says is raised, each in another way.
RAISE = """
    CREATE FUNCTION judge(what text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
        IF what <> '' THEN RAISE 'no %', what USING ERRCODE = what, HINT = 'ask the owner'; END IF;
        RETURN what;
    END $$;
    CREATE FUNCTION judge_row() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM judge(NEW.v); RETURN NEW; END $$;
"""
WAYS = {
    "check": "CREATE TABLE t (id int PRIMARY KEY, v text CHECK (judge(v) = v))",
    "domain": "CREATE DOMAIN d AS text CHECK (judge(VALUE) = VALUE);"
    "CREATE TABLE t (id int PRIMARY KEY, v d)",
    "generated": "CREATE TABLE t (id int PRIMARY KEY, v text,"
    " g text GENERATED ALWAYS AS (judge(v)) STORED)",
    "index": "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE INDEX ON t (judge(v))",
    "trigger": "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TRIGGER judge"
    " BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION judge_row()",
    "deferred": "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE CONSTRAINT TRIGGER judge"
    " AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION judge_row()",
}


def make_extension(target: Target, type_name: str) -> None:
    name = EXTENSIONS.get(type_name)
    if name is None:
        return
    try:
        target.conn.execute(f"CREATE EXTENSION {name}")
    except psycopg.errors.FeatureNotSupported:
        pytest.skip(f"this server has no {name}")


def ids(target: Target) -> list[int]:
    return [number for (number,) in target.rows("SELECT id FROM t ORDER BY id")]


def broken(count: int, *, at: range) -> list[dict[str, Any]]:
    """Return records of which some make a function fail that lacks its table."""
    return [{"id": n, "v": "x" if n in at else ""} for n in range(count)]


@pytest.fixture
def lacking(target: Target) -> Target:
    """A table with a CHECK function that for some records reads a table that is not there."""
    target.conn.execute(
        "CREATE FUNCTION look(v text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN"
        " IF v = '' THEN RETURN true; END IF; RETURN EXISTS (SELECT FROM rules); END $$;"
        "CREATE TABLE t (id int PRIMARY KEY, v text CHECK (look(v)))"
    )
    return target


@pytest.mark.slow
@pytest.mark.parametrize(("type_", "good", "bad"), VALUES)
def test_a_value_that_its_type_refuses(target: Target, type_: str, good: Any, bad: Any) -> None:
    make_extension(target, type_)
    target.conn.execute(f"CREATE TABLE t (id int PRIMARY KEY, v {type_})")
    target.write(t=[{"id": 1, "v": good}, {"id": 2, "v": bad}, {"id": 3, "v": good}])
    target.restore(exit_code=3)
    assert ids(target) == [1, 3]
    assert target.refused("t").keys() == {1}


@pytest.mark.slow
@pytest.mark.parametrize("type_", ["tsvector", "hstore"])
def test_a_type_may_refuse_any_number_of_records(target: Target, type_: str) -> None:
    make_extension(target, type_)
    target.conn.execute(f"CREATE TABLE t (id int PRIMARY KEY, v {type_})")
    target.write(t=[{"id": n, "v": "a:b"} for n in range(LONGEST_RUN * 2)])
    report = target.load()
    assert (report.error, report.tables[0].rejected) == (None, LONGEST_RUN * 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sqlstate", "way"),
    [(each, "check") for each in RAISED] + [("42501", way) for way in WAYS if way != "check"],
)
def test_a_function_may_raise_any_sqlstate(target: Target, sqlstate: str, way: str) -> None:
    target.conn.execute(RAISE + WAYS[way])
    target.write(t=[{"id": n, "v": sqlstate if n == 2 else ""} for n in range(5)])
    target.restore(*(["--triggers"] if way in {"trigger", "deferred"} else []), exit_code=3)
    assert ids(target) == [0, 1, 3, 4]
    [reject] = target.refused("t").values()
    assert reject["message"] == f"no {sqlstate}: ask the owner"
    assert reject["sqlstate"] == sqlstate


@pytest.mark.parametrize(
    "options",
    [
        ["--atomic"],
        ["--append", "--on-conflict", "skip"],
        ["--append", "--on-conflict", "replace"],
        ["--dry-run"],
    ],
    ids=" ".join,
)
def test_however_rows_go_in(target: Target, options: list[str]) -> None:
    target.conn.execute(RAISE + WAYS["check"])
    target.write(t=[{"id": n, "v": "42501" if n == 2 else ""} for n in range(5)])
    target.restore(*options, exit_code=3)
    assert ids(target) == ([] if "--dry-run" in options else [0, 1, 3, 4])
    assert target.rejected("t").keys() == {2}


def test_an_index_that_was_dropped_for_the_load(target: Target) -> None:
    target.conn.execute(RAISE + WAYS["index"])
    records = [{"id": n, "v": "42501" if n == 2 else "", "x": "y" * 100} for n in range(40_000)]
    target.write(t=records)
    target.restore(exit_code=3)
    assert target.refused("t").keys() == {2}
    assert len(target.rows("SELECT FROM pg_indexes WHERE tablename = 't'")) == 2


def test_what_a_function_lacks_is_the_records_error_at_first(lacking: Target) -> None:
    lacking.write(t=broken(10, at=range(3, 5)))
    lacking.restore(exit_code=3)
    assert lacking.refused("t").keys() == {3, 4}
    assert lacking.rejected("t")[3]["message"] == 'relation "rules" does not exist'


def test_what_all_records_lack_stops_the_restore(lacking: Target) -> None:
    first, count = 5, LONGEST_RUN + 50
    lacking.write(t=broken(count, at=range(first, count)))
    said = lacking.restore(exit_code=1)
    [line] = [line for line in said.splitlines() if line.startswith("restore: ")]
    offset = len("[" + "".join(f'{{"id": {n}, "v": ""}}, ' for n in range(first)))
    assert 'table t: relation "rules" does not exist' in line
    assert f"{LONGEST_RUN} records in a row" in line
    assert f"at byte {offset} of t.json" in line
    assert ids(lacking) == list(range(first))
    assert len(lacking.rejected("t")) == LONGEST_RUN
    lacking.conn.execute("CREATE TABLE rules AS SELECT 1")
    lacking.restore("--resume")  # the rejects are tried again when all is in
    assert len(ids(lacking)) == count


def test_a_record_that_goes_in_ends_a_row_of_errors(lacking: Target) -> None:
    count = LONGEST_RUN + 50
    lacking.write(t=[{"id": n, "v": "" if n == LONGEST_RUN - 5 else "x"} for n in range(count)])
    report = lacking.load()
    assert report.error is None
    assert ids(lacking) == [LONGEST_RUN - 5]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE t RENAME TO u", "the table was dropped while it was restored"),
        ("ALTER TABLE t RENAME v TO w", "the table was altered while it was restored"),
        ("REVOKE INSERT ON t FROM {role}", "permission denied for table t"),
    ],
)
def test_a_table_that_takes_no_more_rows(target: Target, change: str, said: str) -> None:
    target.conn.execute("CREATE TABLE t (id int, v text)")
    target.write(t=[{"id": n, "v": "x" * 100} for n in range(100)])
    batches = 0

    def watch(event: object) -> None:
        nonlocal batches
        batches += isinstance(event, Progress)
        if isinstance(event, Progress) and batches == 1:
            target.conn.execute(change.format(role=role))

    with target.role() as role:
        target.conn.execute(f"GRANT SELECT, INSERT ON t TO {role}")
        report = target.load(watch=watch, chunk_bytes=1024)
    assert report.error is not None
    assert said in report.error
    assert "; the record that failed is at byte " in report.error
    assert report.tables[0].loaded > 0
    assert report.tables[0].rejected == 0


def test_a_server_that_fails_is_no_records_error(target: Target) -> None:
    target.conn.execute(
        f"CREATE FUNCTION fail() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN {FULL_DISK} END $$;"
        "CREATE TABLE t (id int CHECK (id <> 3 OR fail()))"
    )
    target.write(t=[{"id": n} for n in range(5)])
    report = target.load()
    assert report.error is not None
    assert "disk is full: make room there" in report.error
    assert "at byte" in report.error
    assert not target.rejects.exists()


def test_postgresqls_own_hint_is_shown(target: Target) -> None:
    with pytest.raises(psycopg.errors.UndefinedFunction) as caught:
        target.conn.execute("SELECT nowhere(1)")
    said = describe(caught.value)
    assert said.startswith("function nowhere(integer) does not exist; ")
    assert "explicit type casts" in said
