"""Rows that foreign keys forbid, found by the keys' own comparison, whatever things are called."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import memray
import psycopg
import pytest
from psycopg import sql

from restore.constraints import orphan_rows, orphans
from restore.rejects.ordinals import OrdinalSet
from restore.tests.load.test_memory import recorded_peak

if TYPE_CHECKING:
    from pathlib import Path

    from restore.tests.support.target import Target

SIZES = (10_000, 100_000)

# A type as citext is one, in a schema that is on nobody's search path.
FOLDED = """
    CREATE SCHEMA far;
    CREATE TYPE far.folded;
    CREATE FUNCTION far.folded_in(cstring) RETURNS far.folded
        AS 'textin' LANGUAGE internal IMMUTABLE STRICT;
    CREATE FUNCTION far.folded_out(far.folded) RETURNS cstring
        AS 'textout' LANGUAGE internal IMMUTABLE STRICT;
    CREATE TYPE far.folded (
        INPUT = far.folded_in, OUTPUT = far.folded_out, INTERNALLENGTH = VARIABLE,
        STORAGE = extended, COLLATABLE = true, CATEGORY = 'S'
    );
    CREATE CAST (far.folded AS text) WITHOUT FUNCTION AS IMPLICIT;
    CREATE CAST (text AS far.folded) WITHOUT FUNCTION AS ASSIGNMENT;
"""
COMPARE = """
    CREATE FUNCTION far.folded_{name}(a far.folded, b far.folded) RETURNS {result} LANGUAGE sql
        IMMUTABLE STRICT RETURN {expression};
"""
LOWER = "pg_catalog.lower({}::pg_catalog.text)"
OPERATORS = {"lt": "<", "le": "<=", "eq": "=", "ge": ">=", "gt": ">"}
CLASS = """
    CREATE OPERATOR CLASS far.folded_ops DEFAULT FOR TYPE far.folded USING btree AS
        OPERATOR 1 far.<, OPERATOR 2 far.<=, OPERATOR 3 far.=, OPERATOR 4 far.>=, OPERATOR 5 far.>,
        FUNCTION 1 far.folded_cmp(far.folded, far.folded);
"""


def folded(target: Target) -> None:
    """Make the type, its operators and its operator class."""
    target.conn.execute(FOLDED)
    a, b = LOWER.format("a"), LOWER.format("b")
    for name, operator in OPERATORS.items():
        expression = f"{a} OPERATOR(pg_catalog.{operator}) {b}"
        target.conn.execute(COMPARE.format(name=name, result="boolean", expression=expression))
        target.conn.execute(
            f"CREATE OPERATOR far.{operator} (LEFTARG = far.folded, RIGHTARG = far.folded,"
            f" FUNCTION = far.folded_{name})"
        )
    compared = f"pg_catalog.bttextcmp({a}, {b})"
    target.conn.execute(COMPARE.format(name="cmp", result="int", expression=compared))
    target.conn.execute(CLASS)


KINDS: dict[str, tuple[str, str, list[Any], list[Any]]] = {
    "folded": ("far.folded", "far.folded", ["Ab", "C"], ["aB", "c", "no"]),
    "varchar": ("text", "varchar(9)", ["a", "b"], ["a", "b", "no"]),
    "bigint": ("bigint", "int", [1, 2], [1, 2, 3]),
    "enum": ("far.e", "far.e", ["x", "y"], ["x", "y", "z"]),
    "array": ("int[]", "int[]", [[1, 2], [3]], [[1, 2], [3], [4]]),
    "enum array": ("far.e[]", "far.e[]", [["x"], []], [["x"], [], ["z"]]),
    "range": ("int4range", "int4range", ["[1,3)", "[4,6)"], ["[1,2]", "[4,6)", "[7,8)"]),
    "domain": ("far.d", "text", ["a", "b"], ["a", "b", "no"]),
    "row": ("far.pair", "far.pair", ["(1,a)", "(2,b)"], ["(1,a)", "(2,b)", "(3,c)"]),
    "char": ("char(5)", "char(3)", ["a", "b"], ["a", "b ", "no"]),
    "numeric": ("numeric(9,3)", "numeric(6,2)", ["1.500", "2"], ["1.5", "2.00", "3.1"]),
}


def make_types(target: Target) -> None:
    folded(target)
    target.conn.execute("""
        CREATE TYPE far.e AS ENUM ('x', 'y', 'z'); CREATE TYPE far.pair AS (n int, t text);
        CREATE DOMAIN far.d AS text
    """)


@pytest.mark.slow
def test_the_constraint_s_own_operators_compare(target: Target) -> None:
    """Also in a dry run, and one orphan alone leaves; where they are not on the search path."""
    make_types(target)
    for number, (parent, child, parents, children) in enumerate(KINDS.values()):
        target.conn.execute(f"""
            CREATE TABLE p{number} (k {parent} PRIMARY KEY);
            CREATE TABLE c{number} (id int PRIMARY KEY, k {child} REFERENCES p{number})
        """)
        target.write(
            **{
                f"p{number}": [{"k": each} for each in parents],
                f"c{number}": [{"id": n, "k": each} for n, each in enumerate(children)],
            }
        )
    for arguments in (["--dry-run"], []):
        target.restore(*arguments, exit_code=3)
        for number, kind in enumerate(KINDS):
            assert target.counts()[f"c{number}"]["rejected"] == 1, kind
    for number, kind in enumerate(KINDS):
        assert sorted(target.refused(f"c{number}")) == [2], kind
        assert target.rows(f"SELECT id FROM c{number} ORDER BY 1") == [(0,), (1,)], kind


def test_a_collation_that_folds_case(target: Target) -> None:
    try:
        target.conn.execute(
            "CREATE COLLATION folding"
            " (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this server is built without ICU")
    target.conn.execute("""
        CREATE TABLE p (k text COLLATE folding PRIMARY KEY);
        CREATE TABLE c (id int PRIMARY KEY, k text COLLATE folding REFERENCES p)
    """)
    target.write(p=[{"k": "Abc"}], c=[{"id": n, "k": k} for n, k in enumerate(["aBC", "no"])])
    target.restore(exit_code=3)
    assert sorted(target.refused("c")) == [1]
    assert target.rows("SELECT k FROM c") == [("aBC",)]


def test_a_planted_operator_never_runs(target: Target) -> None:
    target.conn.execute("""
        CREATE TABLE ran (); GRANT INSERT ON ran TO PUBLIC;
        CREATE FUNCTION public.spy(varchar, varchar) RETURNS boolean LANGUAGE plpgsql
            AS $$ BEGIN INSERT INTO public.ran DEFAULT VALUES; RETURN true; END $$;
        CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = public.spy);
        CREATE TABLE p (k varchar PRIMARY KEY);
        CREATE TABLE c (id int PRIMARY KEY, k varchar REFERENCES p)
    """)
    target.write(p=[{"k": "a"}], c=[{"id": 1, "k": "a"}, {"id": 2, "k": "b"}])
    target.restore(exit_code=3)
    assert sorted(target.refused("c")) == [1]
    assert target.rows("SELECT count(*) FROM ran") == [(0,)]


# Aliases of generated SQL, words of SQL, system columns, and what formats could take for theirs.
NAMES = [
    *("c", "p", "l", "r", "s", "o", "t", "w", "k", "v", "x", "old", "new", "gone", "taken"),
    *("restore_child", "restore_parent", "restore_gone", "restore_taken", "restore_note"),
    *("key_table", "key_name", "key_values", "row_key", "row_id", "records", "sought", "rows"),
    *("orphans", "orphans_links", "orphans_gone", "orphans_left", "restore_orphans", "number"),
    *("select", "user", "values", "row", "order", "text", "place", "t0", "v0", "row_to_json"),
    *('a"b', "a%b", "%s", "a{b}", "{}", "{store}", "a'b", "ä", "A b", "n" * 63, "store"),
]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["compared", "matched", "circle", "dry run"])
def test_no_name_of_a_user_s_is_taken_for_ours(
    target: Target, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "matched":
        monkeypatch.setattr(orphans, "_MOST_VALUES", 0)
    if way == "circle":
        monkeypatch.setattr(orphan_rows, "_MOST_LEVELS", 0)
    for name in NAMES:
        parts = {
            "t": sql.Identifier(name),
            "c": sql.Identifier(name),
            "id": sql.Identifier("the id"),
        }
        target.conn.execute(
            sql.SQL(
                "CREATE TABLE {t} ({id} int PRIMARY KEY, {c} int, a int, CONSTRAINT {c}"
                " FOREIGN KEY ({c}) REFERENCES {t} ({id}))"
            ).format(**parts)
        )
        records = [{"the id": 1, name: 1}, {"the id": 2, name: 9}, {"the id": 3, name: 2}]
        file = f"f{NAMES.index(name)}"
        target.write(**{file: records})
    mapping = {f"f{n}": name for n, name in enumerate(NAMES)}
    report = target.load(map=mapping, dry_run=way == "dry run")
    assert report.error is None
    assert {(t.loaded, t.rejected) for t in report.tables} == {(1, 2)}
    assert all(r.first_ordinal is not None for t in report.tables for r in t.reasons)


def test_periods_are_covered_by_all_parents_together(target: Target) -> None:
    if target.conn.info.server_version < 180_000:
        pytest.skip("PERIOD came with PostgreSQL 18")
    target.conn.execute("""
        CREATE TABLE room (id int4range, valid daterange, name text,
            PRIMARY KEY (id, valid WITHOUT OVERLAPS));
        CREATE TABLE booking (id int PRIMARY KEY, rid int4range, valid daterange,
            CONSTRAINT booked FOREIGN KEY (rid, PERIOD valid) REFERENCES room (id, PERIOD valid))
    """)
    whole = {"rid": "[1,2)", "valid": "[2020-05-01,2021-05-01)"}
    target.write(
        room=[
            {"id": "[1,2)", "valid": "[2020-01-01,2021-01-01)"},
            {"id": "[1,2)", "valid": "[2021-01-01,2022-01-01)"},
        ],
        booking=[
            *({"id": n} | whole for n in range(3)),
            {"id": 3, "rid": "[9,10)", "valid": "[2020-05-01,2021-05-01)"},
            {"id": 4, "rid": "[1,2)", "valid": "[2021-05-01,2023-05-01)"},
            {"id": 5, "rid": None, "valid": "[2021-05-01,2023-05-01)"},
            {"id": 6, "rid": "[9,10)", "valid": None},
        ],
    )
    for arguments in (["--dry-run"], []):
        target.restore(*arguments, exit_code=3)
        assert target.counts()["booking"]["rejected"] == 2
    assert sorted(target.refused("booking")) == [3, 4]
    assert target.rows("SELECT id FROM booking ORDER BY 1") == [(0,), (1,), (2,), (5,), (6,)]


def lines(target: Target, table: str) -> list[dict[str, Any]]:
    path = target.rejects / f"{table}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_of_records_with_and_without_a_field_each_is_rejected_once(target: Target) -> None:
    """Some have the default's value, written or not; those without a key are left for the last."""
    target.conn.execute("""
        CREATE TABLE p (k int PRIMARY KEY);
        CREATE TABLE c (id int PRIMARY KEY, k int DEFAULT 5 REFERENCES p, z int REFERENCES p);
        CREATE TABLE d (id serial, k int DEFAULT 5 REFERENCES p, t text)
    """)
    target.write(
        p=[{"k": 1}],
        c=[{"id": 1, "k": 5}, {"id": 2}, {"id": 3, "k": 1}, {"id": 4}, {"id": 5, "k": 1, "z": 5}],
        d=[{"k": 5, "t": "a"}, {"t": "b"}, {"k": 1, "t": "c"}],
    )
    target.restore("--absent-fields", "default", exit_code=3)
    assert sorted(target.refused("c")) == [0, 1, 3, 4]
    assert target.rows("SELECT id FROM c") == [(3,)]
    assert target.counts()["d"]["rejected"] == len(lines(target, "d")) == 2


def test_a_record_that_two_keys_forbid_is_rejected_once(target: Target) -> None:
    """It is taken out for one of them, and may be found by the other."""
    target.conn.execute("""
        CREATE TABLE a (id int PRIMARY KEY, up int REFERENCES a);
        CREATE TABLE c (id int PRIMARY KEY, a int REFERENCES a, b timestamptz, n int REFERENCES a);
        CREATE TABLE q (at timestamptz PRIMARY KEY);
        ALTER TABLE c ADD FOREIGN KEY (b) REFERENCES q
    """)
    at = "2024-01-31T12:00:00+01:00"
    target.write(
        a=[{"id": 1, "up": 2}, {"id": 2, "up": 3}, {"id": 4}],
        q=[],
        c=[
            *({"id": 1, "a": 1, "n": 9}, {"id": 2, "a": 2, "n": 1}, {"id": 3, "a": 4, "b": at}),
            *({"id": 4, "a": 1, "b": at}, {"id": 5, "a": 4, "n": 9, "b": at}, {"id": 6, "a": 4}),
        ],
    )
    target.restore(exit_code=3)
    assert sorted(target.refused("c")) == [0, 1, 2, 3, 4]
    assert target.rows("SELECT id FROM c") == [(6,)]


def test_a_record_that_is_found_by_another_key_is_not_rejected_as_a_row_too(
    target: Target,
) -> None:
    """Record 1 is taken out for its other parent; that its a is missing, too, is known later."""
    target.conn.execute("""
        CREATE TABLE a (id int PRIMARY KEY, up int); CREATE TABLE b (id int PRIMARY KEY);
        CREATE TABLE c (id int PRIMARY KEY, a int REFERENCES a, other int REFERENCES b);
        ALTER TABLE a ADD FOREIGN KEY (up) REFERENCES c
    """)
    target.write(a=[{"id": 1, "up": 1}], b=[{"id": "x"}])
    target.write(
        c=[{"id": 1, "other": 2}, {"id": 2, "a": 1, "other": 2}, {"id": 3, "a": 1}, {"id": 4}]
    )
    target.restore(exit_code=3)
    assert sorted(target.refused("c")) == [0, 1, 2]
    assert sorted(target.refused("a")) == [0]


def test_a_record_that_was_skipped_is_no_orphan(target: Target) -> None:
    target.conn.execute("""
        CREATE TABLE t (id int PRIMARY KEY, up int REFERENCES t);
        INSERT INTO t VALUES (1, NULL)
    """)
    target.write(t=[{"id": 1, "up": 99}, {"id": 2, "up": 99}, {"id": 3, "up": 1}])
    report = target.load(append=True, on_conflict="skip")
    [table] = report.tables
    assert (table.loaded, table.skipped, table.rejected) == (1, 1, 1)
    assert [line["ordinal"] for line in lines(target, "t")] == [1]
    assert target.rows("SELECT id FROM t ORDER BY 1") == [(1,), (3,)]


def test_a_long_chain_takes_no_pass_for_each_level(target: Target) -> None:
    """Also where two tables lead in a circle: levels would take minutes."""
    count = 6_000
    target.conn.execute("""
        CREATE TABLE t (id int PRIMARY KEY, up int REFERENCES t, v text NOT NULL);
        CREATE TABLE a (id int PRIMARY KEY, b int, v text NOT NULL);
        CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
        ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b
    """)
    chain = [{"id": n, "up": n - 1 or None, "v": "x"} for n in range(1, count)]
    del chain[10]["v"]
    target.write(
        t=chain,
        a=[{"b" if name == "up" else name: v for name, v in r.items()} for r in chain[::2]],
        b=[{"id": n, "a": n - 1} for n in range(2, count, 2)],
    )
    target.restore(exit_code=3)
    for table, last in (("t", 10), ("a", 9), ("b", 10)):
        assert target.rows(f"SELECT max(id) FROM {table}") == [(last,)]
        assert len(target.refused(table)) == target.counts()[table]["rejected"]


def test_triggers_that_fire_for_orphans_find_their_names(target: Target) -> None:
    target.conn.execute("""
        CREATE TABLE p (k int PRIMARY KEY); CREATE TABLE gone (id int);
        CREATE TABLE c (id int PRIMARY KEY, k int REFERENCES p);
        CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN INSERT INTO gone VALUES (old.id); RETURN NULL; END $$;
        CREATE TRIGGER noted AFTER DELETE ON c FOR EACH ROW EXECUTE FUNCTION noted()
    """)
    target.write(p=[{"k": 1}, {"k": "x"}], c=[{"id": 1, "k": 1}, {"id": 2, "k": 7}])
    target.restore("--triggers", exit_code=3)
    assert sorted(target.refused("c")) == [1]
    assert target.rows("SELECT id FROM gone") == [(2,)]


@pytest.mark.slow
@pytest.mark.parametrize("most", [0, 50_000])
def test_a_kill_while_records_are_rejected_loses_none(
    target: Target, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows have left the table; the next process goes on with those that are stored."""
    monkeypatch.setattr(orphans, "_MOST_VALUES", most)
    target.conn.execute("""
        CREATE TABLE p (k int PRIMARY KEY);
        CREATE TABLE c (id int PRIMARY KEY, k int REFERENCES p, z int REFERENCES p)
    """)
    target.write(
        p=[{"k": 1}, {"k": "x"}],
        c=[{"id": n, "k": n % 3, "z": 1 if n % 2 else 7} for n in range(60)],
    )
    target.kill("constraints.orphans._reason", "--rejects", str(target.rejects))
    assert target.rows("SELECT count(*) FROM c") == [(10,)]
    target.restore("--resume", exit_code=3)
    assert sorted(target.refused("c")) == [n for n in range(60) if n % 3 != 1 or n % 2 == 0]
    assert target.rows("SELECT to_regnamespace('restore_journal')") == [(None,)]


def peak_of_orphans(target: Target, count: int, path: Path) -> int:
    """Return the peak of a restore of which each record is an orphan, of a parent of its own."""
    target.conn.execute("TRUNCATE p, c")
    target.write(p=[{"k": "x"}], c=[{"id": n, "k": n} for n in range(count)])
    with memray.Tracker(path):
        report = target.load()
    [_, table] = sorted(report.tables, key=lambda each: each.rejected)
    assert (table.loaded, table.rejected) == (0, count)
    assert table.reasons[0].first_ordinal == 0
    return recorded_peak(path)


@pytest.mark.slow
def test_peak_is_the_same_for_ten_times_the_orphans(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "_MOST_VALUES", 1_000)
    target.conn.execute("""
        CREATE TABLE p (k int PRIMARY KEY);
        CREATE TABLE c (id int PRIMARY KEY, k int REFERENCES p)
    """)
    small, large = [peak_of_orphans(target, n, tmp_path / f"{n}") for n in SIZES]
    assert large < small + (SIZES[1] - SIZES[0]) * 20  # bytes a row: a value in memory takes 200


def test_ordinals_are_a_set_in_little_memory() -> None:
    numbers = [0, 1, 4095, 4096, 10**9, 7, 7]
    ordinals = OrdinalSet()
    for number in numbers:
        ordinals.add(number)
    assert len(ordinals) == len(set(numbers))
    assert all(number in ordinals for number in numbers)
    assert not any(number in ordinals for number in (2, 8, 4094, 4097, 10**9 + 1))
    ordinals.clear()
    assert not len(ordinals)
    assert 0 not in ordinals
