"""What the C does not pack is decoded in Python, and nothing else changes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from restore.decode import packer
from restore.tests.support.native import not_built
from restore.tests.support.target import COMPANIES, user

if TYPE_CHECKING:
    from restore.tests.support.target import Target

pytestmark = pytest.mark.server


def users() -> list[dict[str, Any]]:
    changes: dict[int, dict[str, Any]] = {
        7: {"mood": "odd"},
        20: {"data": None, "tags": None, "seen": None},
        31: {"email": "u30@example.org"},
        44: {"age": 0},
        45: {"born": "soon", "price": "1.5"},
        60: {"picture": {"type": "Buffer", "data": [0, 255]}, "seen": 1_700_000_000},
        71: {"extra": 1, "companyId": 99},
    }
    return [user(n, **changes.get(n, {})) for n in range(90)]


def outcome(target: Target, *arguments: str) -> Any:
    """Return the rows, the rejects and their numbers of a restore into emptied tables."""
    target.conn.execute('TRUNCATE company, "User", post')
    for path in target.rejects.glob("*"):
        path.unlink()
    target.restore("--jobs", "1", *arguments, exit_code=3)
    rows = target.rows('SELECT u::text FROM "User" u ORDER BY id')
    rejects = {n: (r["message"], r["kind"]) for n, r in target.rejected("User").items()}
    return rows, rejects


@pytest.mark.slow
@pytest.mark.parametrize("change", ["not built", "text", "by name", "all"])
def test_the_outcome_is_the_same(target: Target, change: str) -> None:
    target.write(company=COMPANIES, User=users(), post=[])
    expected = outcome(target)
    assert len(expected[1]) == 5

    more = {"text": ["odd tsvector"], "by name": ['"a""b" int']}
    more["all"] = more["text"] + more["by name"]
    for column in more.get(change, ()):
        target.conn.execute(f'ALTER TABLE "User" ADD {column}')
    with not_built() if change in {"not built", "all"} else contextlib.nullcontext():
        rows, rejects = outcome(target, "--chunk-bytes", "4096")
    nulls = "," * len(more.get(change, ()))
    assert rows == [(f"{text[:-1]}{nulls})",) for (text,) in expected[0]]
    assert rejects == expected[1]


def test_the_report_says_whether_records_were_packed_in_c(target: Target, *, in_c: bool) -> None:
    target.write(company=COMPANIES, User=[], post=[])
    assert target.load().native == (in_c and packer.IS_BUILT)
