"""Item 13: several kinds of error in one batch. Each is told apart, and no sound record is lost."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from restore.tests.support.target import Target

SCHEMA = """
    CREATE TYPE level AS ENUM ('low', 'high');
    CREATE TABLE p (id int PRIMARY KEY);
    CREATE TABLE m (
        id int PRIMARY KEY, mail varchar(20) UNIQUE NOT NULL, n smallint CHECK (n >= 0),
        at timestamptz, d jsonb, b bytea, price numeric(6,2), level level,
        up int CONSTRAINT m_up REFERENCES p
    )
"""


class Expected(NamedTuple):
    """What a damage comes to: levels that may give it up, SQLSTATE, constraint."""

    levels: set[str]
    sqlstate: str | None = None
    constraint: str | None = None
    kind: str = "rejected"


ALONE = {"row", "literal"}


def record(number: int, **changes: Any) -> str:
    sound = {
        "id": number,
        "mail": f"{number}@x",
        "n": number % 100,
        "at": "2024-01-31T00:00:00Z",
        "d": {"k": ["}, {", number]},
        "b": "aGk=",
        "price": 1.25,
        "level": "low",
        "up": 1,
    }
    return json.dumps(sound | changes)


DAMAGE: dict[str, tuple[dict[str, Any], Expected]] = {
    "check": ({"n": -1}, Expected(ALONE, "23514", "m_n_check")),
    "range": ({"n": 40_000}, Expected(ALONE)),
    "not null": ({"mail": None}, Expected(ALONE, "23502")),
    "too long": ({"mail": "x" * 21}, Expected(ALONE)),
    "duplicate key": ({"id": 0}, Expected(ALONE, "23505", "m_pkey", "duplicate")),
    "duplicate mail": ({"mail": "0@x"}, Expected(ALONE, "23505", "m_mail_key", "duplicate")),
    "date": ({"at": "2024-02-30T00:00:00Z"}, Expected(ALONE, "22008")),
    "moving date": ({"at": "now"}, Expected(ALONE)),
    "NUL": ({"mail": "\0"}, Expected(ALONE)),
    "NUL in jsonb": ({"d": ["\0"]}, Expected(ALONE, "22P05")),
    "bytes": ({"b": "?"}, Expected(ALONE)),
    "rounding": ({"price": 1.005}, Expected(ALONE)),
    "overflow": ({"price": 12345}, Expected(ALONE, "22003")),
    "label": ({"level": "middle"}, Expected(ALONE, "22P02")),
    "document": ({"n": {"a": 1}}, Expected(ALONE)),
    "orphan": ({"up": 99}, Expected({"constraint"}, "23503", "m_up")),
    "infinite": ({"n": float("inf")}, Expected({"read", *ALONE})),
}
TORN = {
    "torn token": '{"id": %d, "mail": nul}',
    "torn string": '{"id": %d, "mail": "x}',
    "torn object": '{"id": %d, "mail": "x"',
}
# What needs another level, and is no damage at all.
SPELLINGS: tuple[dict[str, Any], ...] = (
    *({"n": "7"}, {"n": 7.0}, {"at": "Thu, 01 Feb 2024 10:00:00 GMT"}, {"at": 1_706_704_496}),
    *({"b": {"type": "Buffer", "data": [1]}}, {"price": "1.50"}, {"up": None}, {"colour": "?"}),
)


@pytest.mark.slow
@pytest.mark.parametrize(("share", "count"), [(0.01, 3000), (0.5, 1000), (0.95, 1000)])
def test_every_kind_at_once(target: Target, share: float, count: int) -> None:
    target.conn.execute(SCHEMA)
    chance = random.Random(share)  # noqa: S311 - no secret
    lines, expected = [record(0)], {}
    for number in range(1, count):
        draw = chance.random()
        kind = chance.choice([*DAMAGE, *TORN])
        if draw < share and kind in TORN:
            lines.append(TORN[kind] % number)
            expected[number] = Expected({"read"})
        elif draw < share:
            changes, expected[number] = DAMAGE[kind]
            lines.append(record(number, **changes))
        elif draw < share + 0.02:
            lines.append(record(number, **chance.choice(SPELLINGS)))
        else:
            lines.append(record(number))
    target.write_raw({"p": ['{"id": 1}'], "m": lines})
    target.restore("--chunk-bytes", "30000", exit_code=3)
    refused = target.refused("m")
    problems = [
        (lines[at], refused.get(at), expected.get(at))
        for at in sorted(refused.keys() | expected.keys())
        if not fits(refused.get(at), expected.get(at))
    ]
    assert problems == []
    loaded = [row for (row,) in target.rows("SELECT id FROM m ORDER BY id")]
    assert loaded == [number for number in range(count) if number not in expected]


def fits(reject: dict[str, Any] | None, expected: Expected | None) -> bool:
    return (
        reject is not None
        and expected is not None
        and reject["level"] in expected.levels
        and reject["kind"] == expected.kind
        and expected.sqlstate in {None, reject.get("sqlstate")}
        and expected.constraint in {None, reject.get("constraint")}
    )


def test_the_report_counts_reasons_and_names_where_the_first_is(target: Target) -> None:
    target.conn.execute(SCHEMA)
    lines = [record(number) for number in range(50)]
    for at in (7, 9, 11):
        lines[at] = record(at, level="middle")
    lines[20] = record(20, id=0)
    target.write_raw({"p": ['{"id": 1}'], "m": lines})
    target.restore(exit_code=3)
    reasons = target.counts()["m"]["reasons"]
    first = {(r["kind"], r["count"], r["first_ordinal"]) for r in reasons}
    assert first == {("rejected", 3, 7), ("duplicate", 1, 20)}


def test_a_record_with_several_errors_is_rejected_once(target: Target) -> None:
    target.conn.execute(SCHEMA)
    worst = {
        "id": 0,
        "mail": None,
        "n": -1,
        "at": "?",
        "b": "?",
        "price": "x",
        "level": 3,
        "up": 99,
    }
    target.write_raw({"p": ['{"id": 1}'], "m": [record(0), record(1, **worst), record(2)]})
    target.restore(exit_code=3)
    assert list(target.refused("m")) == [1]
