"""The four levels of the ladder: what only each of them restores, what it counts, what it costs."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from restore.load.copy import _row_at_fault
from restore.tests.support.relay import Relay

if TYPE_CHECKING:
    from restore.tests.support.target import Target

COUNT = 1000
LEVELS = ("batch", "split", "row", "literal")


def levels(target: Target, table: str = "t") -> dict[str, int]:
    """Return how many rows each level brought in, once that is as many as there are."""
    told: Any = target.counts()[table]
    assert sum(told["levels"].values()) - told["taken_out"] == told["loaded"]
    assert target.rows(f"SELECT count(*) FROM {table}") == [(told["loaded"],)]
    assert set(told["levels"]) == set(LEVELS)
    return dict(told["levels"])


def restore(
    target: Target, columns: str, changes: dict[int, dict[str, Any]], code: int = 0
) -> None:
    """Restore records of which some are other than the rest."""
    target.conn.execute(f"CREATE TABLE t (id int PRIMARY KEY, {columns})")
    sound = {"v": 1, "at": "2024-01-31T00:00:00Z", "b": True, "d": "2024-01-31", "y": "aGk="}
    named = {name: value for name, value in sound.items() if f"{name} " in f"{columns} "}
    records = [{"id": n} | named | changes.get(n, {}) for n in range(COUNT)]
    target.write(t=records)
    target.restore(exit_code=code)


def test_batch_takes_what_is_of_the_usual_shape(target: Target) -> None:
    restore(target, "v int, at timestamptz, b boolean, d date, y bytea", {})
    assert levels(target) == {"batch": COUNT, "split": 0, "row": 0, "literal": 0}


@pytest.mark.slow
@pytest.mark.parametrize("at", [[0], [500], [COUNT - 1], [1, 2, 998]])
def test_split_takes_the_neighbours_of_a_record_that_the_server_refuses(
    target: Target, at: list[int]
) -> None:
    restore(target, "v int CHECK (v > 0)", {n: {"v": -1} for n in at}, 3)
    assert levels(target) == {"batch": 0, "split": COUNT - len(at), "row": 0, "literal": 0}
    refused = target.refused("t")
    assert sorted(refused) == at
    assert {(r["level"], r["sqlstate"]) for r in refused.values()} <= {
        ("row", "23514"),
        ("literal", "23514"),
    }


def test_split_takes_the_neighbours_of_a_duplicate(target: Target) -> None:
    restore(target, "v int UNIQUE", {n: {"v": n} for n in range(COUNT)} | {700: {"v": 3}}, 3)
    assert levels(target) == {"batch": 0, "split": COUNT - 1, "row": 0, "literal": 0}
    assert target.refused("t")[700]["kind"] == "duplicate"


ROW: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "an integral float": ("v int", {"v": 3.0}, "v::text", "3"),
}


@pytest.mark.parametrize("kind", ROW)
def test_row_takes_what_we_know_how_to_read_and_the_server_does_not(
    target: Target, kind: str
) -> None:
    columns, change, query, expected = ROW[kind]
    restore(target, columns, {7: change, 900: change})
    found = levels(target)
    assert (found["row"], found["literal"]) == (2, 0)
    assert target.rows(f"SELECT {query} FROM t WHERE id IN (7, 900)") == [(expected,)] * 2
    name, value = next(iter(change.items()))
    with pytest.raises(Exception, match=r"invalid input syntax|out of range"):
        target.conn.execute(f"UPDATE t SET {name} = %s", [str(value)])


LITERAL: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "a date in words": (
        *("at timestamptz", {"at": "Thu, 01 Feb 2024 10:00:00 GMT"}),
        *("at::text", "2024-02-01 10:00:00+00"),
    ),
    "yes": ("b boolean", {"b": "yes"}, "b::text", "true"),
    "a date of another order": ("d date", {"d": "Jan 31, 2024"}, "d::text", "2024-01-31"),
    "before Christ": ("d date", {"d": "0044-03-15 BC"}, "d::text", "0044-03-15 BC"),
}


@pytest.mark.parametrize("kind", LITERAL)
def test_literal_takes_what_the_server_alone_can_read(target: Target, kind: str) -> None:
    columns, change, query, expected = LITERAL[kind]
    restore(target, columns, {7: change, 900: change})
    found = levels(target)
    assert (found["row"], found["literal"]) == (0, 2)
    assert found["batch"] + found["split"] == COUNT - 2
    assert target.rows(f"SELECT {query} FROM t WHERE id IN (7, 900)") == [(expected,)] * 2


def test_each_level_in_one_restore(target: Target) -> None:
    changes: dict[int, dict[str, Any]] = {
        10: {"v": 3.0},
        11: {"at": 1_706_704_496},
        20: {"b": "yes"},
        30: {"v": "no number"},
        31: {"v": -5},
    }
    restore(target, "v int CHECK (v > 0), at timestamptz, b boolean", changes, 3)
    found = levels(target)
    assert (found["row"], found["literal"]) == (1, 1)
    assert found["batch"] + found["split"] == COUNT - 4
    assert {at: reject["level"] for at, reject in target.refused("t").items()}.keys() == {30, 31}


def test_what_is_loaded_and_taken_out_again_counts_on_no_level(target: Target) -> None:
    target.conn.execute("CREATE TABLE p (id int PRIMARY KEY)")
    restore(target, "v int REFERENCES p", {n: {"v": None} for n in range(COUNT - 2)}, 3)
    told: Any = target.counts()["t"]
    assert (told["loaded"], told["rejected"]) == (COUNT - 2, 2)
    levels(target)


BAD: dict[str, dict[str, Any]] = {
    "the server names the row": {"v": -1},
    "we cannot read it": {"at": "soon"},
    "a duplicate": {"id": 0},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BAD)
def test_isolating_k_of_n_takes_on_the_order_of_k_log_n_round_trips(
    target: Target, kind: str
) -> None:
    """Also where every record is bad: never n times n, and never one by one for a single one."""
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, v int CHECK (v > 0), at timestamptz)")
    found = {}
    with Relay(target.dsn) as relay:
        target.dsn = relay.dsn
        for k in (0, 1, 5, 50, COUNT):
            target.conn.execute("TRUNCATE t")
            step = COUNT / max(k, 1)
            bad = {int((n + 0.5) * step) for n in range(k)}
            records = [{"id": n, "v": 1, "at": "2024-01-31T00:00:00Z"} for n in range(COUNT)]
            for at in bad:
                records[at] |= BAD[kind]
            (target.backup / "t.json").write_text(json.dumps(records))
            before = relay.round_trips
            target.restore(exit_code=3 if bad else 0)
            found[k] = relay.round_trips - before
            expected = COUNT - k + (1 if kind == "a duplicate" and k == COUNT else 0)
            assert target.counts()["t"]["loaded"] == expected
    for k in (1, 5, 50, COUNT):
        # Halving finds k of n with 2 log2(n/k) + 2 statements each; alone, each is tried twice.
        most = k * (2 * math.log2(COUNT / k) + 6) + 10
        assert found[k] - found[0] <= most, found


@pytest.mark.parametrize("name", ["plain", "a, line 7", "new\nline", "(.*)+"])
@pytest.mark.parametrize("value", ["x, line 99", "x\nCOPY plain, line 88"])
def test_the_row_at_fault_is_never_read_from_a_value(target: Target, name: str, value: str) -> None:
    """The server quotes the value behind the row's number."""
    table = sql.Identifier(name)
    target.conn.execute(sql.SQL("CREATE TABLE {} (n int, x text)").format(table))
    copied = sql.SQL("COPY {} (n) FROM STDIN").format(table)

    def copy() -> None:
        with target.conn.cursor() as cursor, cursor.copy(copied) as rows:
            for row in ("1", "2", value):
                rows.write_row([row])

    with pytest.raises(psycopg.DataError) as caught:
        copy()
    assert _row_at_fault(caught.value, name) == 2
