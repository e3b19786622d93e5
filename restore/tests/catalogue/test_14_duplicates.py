"""Item 14: duplicate primary keys in the file, in one batch and far apart; duplicate unique keys.

The first record in the file stays; later ones are kept as duplicates.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from restore.tests.support.target import Target

# Small files keep their indexes during a load; larger ones get them back after it.
PADDING = {"small": 0, "large": 400}
COUNT = 4000


def duplicates(target: Target, table: str, constraint: str | None = None) -> list[int]:
    """Return which records of a table are kept as duplicates, and that no other is kept."""
    refused = target.refused(table)
    for reject in refused.values():
        assert (reject["kind"], reject["sqlstate"]) == ("duplicate", "23505"), reject
        assert constraint in {None, reject["constraint"]}, reject
    return sorted(refused)


@pytest.mark.parametrize("size", PADDING)
@pytest.mark.parametrize("chunk_bytes", ["4096", "1048576"])
def test_duplicate_primary_keys_near_and_far(target: Target, size: str, chunk_bytes: str) -> None:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, at int NOT NULL, pad text)")
    pad = "x" * PADDING[size]
    records = [{"id": n, "at": n, "pad": pad} for n in range(COUNT)]
    # A neighbour, a pair in the same batch, one far off, three of a kind, one at either end.
    later = {1: 0, 101: 100, 150: 100, 2000: 1999, 3000: 5, 3500: 5, 3501: 5, COUNT - 1: 0}
    for at, first in later.items():
        records[at]["id"] = first
    target.write(t=records)
    target.restore("--chunk-bytes", chunk_bytes, exit_code=3)
    assert duplicates(target, "t", "t_pkey") == sorted(later)
    loaded = [at for (at,) in target.rows("SELECT at FROM t ORDER BY at")]
    assert loaded == [at for at in range(COUNT) if at not in later]


def test_one_record_many_times(target: Target) -> None:
    """A dump that was appended to itself."""
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, at int)")
    target.write(t=[{"id": n % 500, "at": n} for n in range(2000)])
    target.restore(exit_code=3)
    assert duplicates(target, "t") == list(range(500, 2000))
    assert target.rows("SELECT count(*), max(at) FROM t") == [(500, 499)]


@pytest.mark.parametrize("size", PADDING)
def test_every_kind_of_unique_key(target: Target, size: str) -> None:
    kinds: dict[str, tuple[str, list[dict[str, Any]], list[int]]] = {
        "unique column": (
            "v text UNIQUE",
            [{"v": "a"}, {"v": "b"}, {"v": "a"}, {"v": None}, {"v": None}, {"v": "A"}],
            [2],
        ),
        "two columns": (
            "v text, w int, UNIQUE (v, w)",
            [
                *({"v": "a", "w": 1}, {"v": "a", "w": 2}, {"v": "a", "w": 1}, {"v": "a"}),
                *({"v": "a"}, {"w": 1}),
            ],
            [2],
        ),
        "nulls are equal": (
            "v text UNIQUE NULLS NOT DISTINCT",
            [{"v": None}, {"v": "a"}, {"v": None}, {}],
            [2, 3],
        ),
        "two keys": (
            "v text UNIQUE, w int UNIQUE",
            [{"v": "a", "w": 1}, {"v": "a", "w": 2}, {"v": "b", "w": 1}, {"v": "b", "w": 2}],
            [1, 2],  # the last is sound: those that hold its keys are gone
        ),
        "deferrable": (
            "v text UNIQUE DEFERRABLE INITIALLY DEFERRED",
            [{"v": "a"}, {"v": "b"}, {"v": "a"}],
            [2],
        ),
        "exact numbers": ("v numeric UNIQUE", [{"v": 1.5}, {"v": "1.50"}, {"v": 1}], [1]),
    }
    for number, (columns, records, _) in enumerate(kinds.values()):
        target.conn.execute(f"CREATE TABLE t{number} (id int PRIMARY KEY, pad text, {columns})")
        pad = "x" * PADDING[size] * 1000
        rows = [{"id": n, "pad": pad} | record for n, record in enumerate(records)]
        target.write(**{f"t{number}": rows})
    target.restore(exit_code=3)
    found = {name: duplicates(target, f"t{n}") for n, name in enumerate(kinds)}
    assert found == {name: expected for name, (_, _, expected) in kinds.items()}


@pytest.mark.parametrize("size", PADDING)
def test_unique_indexes_that_are_no_constraints(target: Target, size: str) -> None:
    target.conn.execute(
        """CREATE TABLE e (id int PRIMARY KEY, pad text, v text);
        CREATE UNIQUE INDEX e_lower ON e (lower(v));
        CREATE TABLE p (id int PRIMARY KEY, pad text, v text, gone boolean);
        CREATE UNIQUE INDEX p_there ON p (v) WHERE NOT gone"""
    )
    pad = "x" * PADDING[size] * 1000
    values = ["Ann", "Bob", "ANN", "ann", None, None]
    target.write(e=[{"id": n, "pad": pad, "v": v} for n, v in enumerate(values)])
    gone = [True, False, False, True, False, True]
    target.write(p=[{"id": n, "pad": pad, "v": "x", "gone": g} for n, g in enumerate(gone)])
    target.restore(exit_code=3)
    assert duplicates(target, "e", "e_lower") == [2, 3]
    assert duplicates(target, "p", "p_there") == [2, 4]


def test_the_first_that_can_be_restored_stays(target: Target) -> None:
    """A record that was rejected itself holds no key."""
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, n int CHECK (n > 0), at int)")
    numbers = [1, "x", 2, -1, 3, None, 1.5, 4]
    target.write(t=[{"id": 7, "n": n, "at": at} for at, n in enumerate(numbers[1:])])
    target.restore(exit_code=3)
    assert target.rows("SELECT at FROM t") == [(1,)]
    kinds = {at: reject["kind"] for at, reject in target.refused("t").items()}
    assert kinds == {
        **dict.fromkeys((0, 2, 5), "rejected"),
        **dict.fromkeys((3, 4, 6), "duplicate"),
    }


def test_an_exclusion_constraint_rejects_the_later_record(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v int4range, CONSTRAINT t_v EXCLUDE USING gist"
        " (v WITH &&))"
    )
    ranges = ["[1,5)", "[5,9)", "[4,6)", "empty", "[9,10)"]
    target.write(t=[{"id": n, "v": v} for n, v in enumerate(ranges)])
    target.restore(exit_code=3)
    [(at, reject)] = target.refused("t").items()
    assert (at, reject["sqlstate"], reject["constraint"]) == (2, "23P01", "t_v")
    assert reject["kind"] == "rejected"


def test_keys_that_are_equal_to_the_server_alone(target: Target) -> None:
    """Spelled in other ways, they are the same key; and texts that look alike are not."""
    target.conn.execute(
        "CREATE TABLE u (id uuid PRIMARY KEY); CREATE TABLE i (id int PRIMARY KEY);"
        " CREATE TABLE d (id timestamptz PRIMARY KEY); CREATE TABLE s (id text PRIMARY KEY)"
    )
    files: dict[str, list[Any]] = {
        "u": ["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc999c0b4ef8bb6d6bb9bd380a11"],
        "i": [1, "1", 1.0, 2],
        "d": ["2024-01-31T12:00:00Z", "2024-01-31T13:00:00+01:00", 1_706_702_400],
        "s": ["é", "e\u0301", "E", "e", "é"],
    }
    target.write_raw({t: [json.dumps({"id": value}) for value in v] for t, v in files.items()})
    target.restore(exit_code=3)
    assert {table: duplicates(target, table) for table in files} == {
        "u": [1],
        "i": [1, 2],
        "d": [1, 2],
        "s": [4],
    }
