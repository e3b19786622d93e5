"""Item 12: foreign keys to rows that were rejected. Rejects cascade, and say why."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from restore.tests.support.target import Target

BAD = "x"  # no integer


def orphans(target: Target, table: str, constraint: str) -> list[int]:
    """Return which records of a table a foreign key took out, once each says so in full."""
    refused = target.refused(table)
    found = [at for at, reject in refused.items() if reject["level"] == "constraint"]
    for at in found:
        reject = refused[at]
        assert (reject["kind"], reject["sqlstate"]) == ("rejected", "23503"), reject
        assert reject["constraint"] == constraint, reject
        assert constraint in reject["message"]
    return sorted(found)


def ids(target: Target, table: str) -> list[Any]:
    return [row for (row,) in target.rows(f"SELECT id FROM {table} ORDER BY id")]


def without(count: int, *missing: Iterable[int]) -> list[int]:
    gone = {number for numbers in missing for number in numbers}
    return [number for number in range(count) if number not in gone]


@pytest.mark.parametrize("action", ["NO ACTION", "CASCADE", "SET NULL", "SET DEFAULT"])
def test_four_generations(target: Target, action: str) -> None:
    """Whatever the key does when a row is deleted: no record may go or change in silence."""
    names = "abcd"
    target.conn.execute("CREATE TABLE a (id int PRIMARY KEY, n int)")
    for parent, name in itertools.pairwise(names):
        target.conn.execute(
            f"CREATE TABLE {name} (id int PRIMARY KEY, up int DEFAULT 0,"
            f" CONSTRAINT {name}_up FOREIGN KEY (up) REFERENCES {parent} ON DELETE {action})"
        )
    target.write(
        a=[{"id": n, "n": BAD if n in {3, 7} else n} for n in range(10)],
        **{
            name: [{"id": n, "up": n % 10 if n != 19 else None} for n in range(20)] for name in "bc"
        },
        d=[{"id": n, "up": n} for n in range(20)],
    )
    target.restore(exit_code=3)
    assert sorted(target.refused("a")) == [3, 7]
    assert orphans(target, "b", "b_up") == [3, 7, 13, 17]
    assert orphans(target, "c", "c_up") == [3, 7, 13, 17]
    assert orphans(target, "d", "d_up") == [3, 7, 13, 17]
    for name in "bcd":
        assert ids(target, name) == without(20, [3, 7, 13, 17])


def test_chains_within_a_table(target: Target) -> None:
    """One bad record takes along all that hang on it, however deep, and nothing else."""
    target.conn.execute(
        """CREATE TABLE t (id int PRIMARY KEY, n int, up int,
        CONSTRAINT t_up FOREIGN KEY (up) REFERENCES t)"""
    )
    # Ten chains of twenty, deepest first, so that a child stands before its parent.
    records: list[dict[str, Any]] = [
        {"id": chain * 20 + depth, "n": 0, "up": chain * 20 + depth - 1 if depth else None}
        for chain in range(10)
        for depth in reversed(range(20))
    ]
    at = {record["id"]: ordinal for ordinal, record in enumerate(records)}
    records[at[4 * 20 + 5]]["n"] = BAD
    records[at[6 * 20]]["n"] = BAD
    target.write(t=records)
    target.restore(exit_code=3)
    gone = [*range(4 * 20 + 6, 5 * 20), *range(6 * 20 + 1, 7 * 20)]
    assert orphans(target, "t", "t_up") == sorted(at[number] for number in gone)
    assert ids(target, "t") == without(200, gone, [4 * 20 + 5, 6 * 20])


def test_cycles_of_tables(target: Target) -> None:
    target.conn.execute(
        """CREATE TABLE a (id int PRIMARY KEY, n int, b int); CREATE TABLE b (id int PRIMARY KEY,
        a int, CONSTRAINT b_a FOREIGN KEY (a) REFERENCES a);
        ALTER TABLE a ADD CONSTRAINT a_b FOREIGN KEY (b) REFERENCES b"""
    )
    # a0 -> b1 -> a2 -> b3 -> ...: what comes before the bad one falls, what comes after stays.
    target.write(
        a=[{"id": n, "n": BAD if n == 10 else 0, "b": n + 1} for n in range(0, 20, 2)],
        b=[{"id": n, "a": n + 1 if n < 19 else None} for n in range(1, 20, 2)],
    )
    target.restore(exit_code=3)
    assert ids(target, "a") == [12, 14, 16, 18]
    assert ids(target, "b") == [11, 13, 15, 17, 19]
    assert orphans(target, "a", "a_b") == [0, 1, 2, 3, 4]
    assert orphans(target, "b", "b_a") == [0, 1, 2, 3, 4]


def test_keys_of_several_columns_and_with_nulls(target: Target) -> None:
    target.conn.execute(
        """CREATE TABLE p (a int, b text, PRIMARY KEY (a, b));
        CREATE TABLE c (id int PRIMARY KEY, a int, b text,
            CONSTRAINT c_ab FOREIGN KEY (a, b) REFERENCES p);
        CREATE TABLE f (id int PRIMARY KEY, a int, b text,
            CONSTRAINT f_ab FOREIGN KEY (a, b) REFERENCES p MATCH FULL)"""
    )
    children = [
        {"id": 0, "a": 1, "b": "x"},
        {"id": 1, "a": 1, "b": "y"},  # refers to none
        {"id": 2, "a": None, "b": "nowhere"},  # half a key refers to nothing, unless MATCH FULL
        {"id": 3, "a": None, "b": None},
        {"id": 4, "a": 2, "b": "x,y\"'\\"},
        {"id": 5, "a": 9, "b": "x"},
        {"id": 6, "b": "x"},
    ]
    target.write(p=[{"a": 1, "b": "x"}, {"a": 2, "b": "x,y\"'\\"}, {"a": BAD, "b": "x"}])
    target.write(c=children, f=children)
    target.restore(exit_code=3)
    assert orphans(target, "c", "c_ab") == [1, 5]
    assert ids(target, "c") == [0, 2, 3, 4, 6]
    assert orphans(target, "f", "f_ab") == [1, 2, 5, 6]
    assert ids(target, "f") == [0, 3, 4]


def test_a_record_is_found_again_whatever_its_key_looks_like(target: Target) -> None:
    """A key's text in the file and the server's differ; still the record is named, not the row."""
    keys = {
        "uuid": '"A0EEBC999C0B4EF8BB6D6BB9BD380A11"',
        "numeric": "1.50",
        "bigint": '"9007199254740993"',
        "timestamptz": '"2024-01-31T12:00:00.000+05:30"',
        "timestamp(3)": '"2024-01-31T12:00:00.120Z"',
        "date": '"2024-01-31T00:00:00.000Z"',
        "char(5)": '"ab "',
        "text": r'"a\u00e9\"\\"',
        "bytea": '{"type":"Buffer","data":[1,2]}',
        "boolean": '"yes"',
        "int4": "3.0",
        "inet": '"::1/128"',
        "jsonb": '{"b": 1.0,  "a": 2}',
        "int[]": "[1, 2]",
    }
    sound = '{"id": 0, "up": null}'
    for number, (kind, key) in enumerate(keys.items()):
        target.conn.execute(
            f"CREATE TABLE p{number} (id {kind} PRIMARY KEY);"
            f" CREATE TABLE c{number} (id int PRIMARY KEY, up {kind},"
            f" CONSTRAINT c_up FOREIGN KEY (up) REFERENCES p{number})"
        )
        same = [f'{{"id": {n}, "up": {key}}}' for n in (1, 2)]
        broken = f'{{"id": "x", "up": {key}}}'  # the same key, and lost for another reason
        target.write_raw({f"p{number}": [], f"c{number}": [sound, broken, *same, sound]})
    target.restore(exit_code=3)
    for number, kind in enumerate(keys):
        assert orphans(target, f"c{number}", "c_up") == [2, 3], kind
        assert sorted(target.refused(f"c{number}")) == [1, 2, 3, 4], kind
        assert ids(target, f"c{number}") == [0], kind


def test_parents_that_are_not_in_the_backup(target: Target) -> None:
    target.conn.execute(
        """CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1), (2);
        CREATE TABLE c (id int PRIMARY KEY, up int,
            CONSTRAINT c_up FOREIGN KEY (up) REFERENCES p)"""
    )
    target.write(c=[{"id": n, "up": n} for n in range(5)])
    target.restore(exit_code=3)
    refused = target.refused("c")
    assert sorted(refused) == [0, 3, 4]
    assert {(r["sqlstate"], r["constraint"]) for r in refused.values()} == {("23503", "c_up")}
    assert ids(target, "c") == [1, 2]
    assert ids(target, "p") == [1, 2]


def test_two_keys_and_which_of_them_is_named(target: Target) -> None:
    target.conn.execute(
        """CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE q (id int PRIMARY KEY, p int
            REFERENCES p);
        CREATE TABLE c (id int PRIMARY KEY, p int, q int,
            CONSTRAINT c_p FOREIGN KEY (p) REFERENCES p,
            CONSTRAINT c_q FOREIGN KEY (q) REFERENCES q)"""
    )
    target.write(p=[{"id": 1}], q=[{"id": 1, "p": 1}, {"id": 2, "p": 7}])
    target.write(
        c=[
            *({"id": 0, "p": 1, "q": 1}, {"id": 1, "p": 5, "q": 1}, {"id": 2, "p": 1, "q": 2}),
            *({"id": 3, "p": 5, "q": 5}, {"id": 4, "p": None, "q": None}),
        ]
    )
    target.restore(exit_code=3)
    refused = target.refused("c")
    assert {at: refused[at]["constraint"] for at in (1, 2)} == {1: "c_p", 2: "c_q"}
    assert refused[3]["constraint"] in {"c_p", "c_q"}
    assert ids(target, "c") == [0, 4]


def test_the_keys_are_there_again_and_hold(target: Target) -> None:
    target.conn.execute(
        """CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, up int,
        CONSTRAINT c_up FOREIGN KEY (up) REFERENCES p ON DELETE CASCADE
        DEFERRABLE INITIALLY DEFERRED)"""
    )
    query = "SELECT conname, convalidated, pg_get_constraintdef(oid) FROM pg_constraint"
    query += " WHERE conrelid = 'c'::regclass AND contype = 'f'"
    before = target.rows(query)
    target.write(p=[{"id": 1}], c=[{"id": 1, "up": 1}, {"id": 2, "up": 2}])
    target.restore(exit_code=3)
    assert orphans(target, "c", "c_up") == [1]
    assert target.rows(query) == before
