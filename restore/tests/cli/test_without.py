"""What makes a restore fast can be left out, one by one, and nothing else changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

import pytest

from restore import BackupError, Options
from restore.decode import packer as native
from restore.options import Technique
from restore.tests.support.target import COMPANIES, user

if TYPE_CHECKING:
    from restore.tests.support.target import Target

TECHNIQUES = get_args(Technique)


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
    target.restore(*arguments, exit_code=3)
    rows = target.rows('SELECT u::text FROM "User" u ORDER BY id')
    rejects = {n: (r["message"], r["kind"]) for n, r in target.rejected("User").items()}
    return rows, rejects


@pytest.mark.parametrize("left_out", [*TECHNIQUES, ",".join(TECHNIQUES)])
def test_the_outcome_is_the_same(target: Target, left_out: str) -> None:
    target.write(company=COMPANIES, User=users(), post=[])
    expected = outcome(target)
    assert len(expected[1]) == 5

    assert outcome(target, "--without", left_out, "--chunk-bytes", "4096") == expected


def test_without_streaming_a_file_is_one_array_in_memory(target: Target) -> None:
    records = [{"id": n, "name": "n" * 100, "owner": None} for n in range(3000)]
    target.write(company=records, User=[], post=[])
    text = json.dumps(records)

    batches = []
    for without in ({"streaming"}, {"streaming", "batches"}):
        sizes: list[int] = []
        target.load(
            without=frozenset(without),
            chunk_bytes=len(text) // 10,
            clean=True,
            watch=lambda event, sizes=sizes: sizes.append(getattr(event, "batches", 0)),
        )
        batches.append(max(sizes))

    assert batches == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "command"), [((), "COPY"), (("--without", "copy"), "INSERT")]
)
def test_without_copy_rows_are_inserted(
    target: Target, arguments: tuple[str, ...], command: str
) -> None:
    target.conn.execute(
        "CREATE TABLE said (query text);"
        "CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO said VALUES (current_query()); RETURN NULL; END $$;"
        "CREATE TRIGGER say AFTER INSERT ON company EXECUTE FUNCTION say();"
        "ALTER TABLE company ENABLE ALWAYS TRIGGER say"
    )
    target.write(company=COMPANIES, User=[], post=[])

    target.restore("--triggers", *arguments, exit_code=None)

    assert {query.split()[0] for (query,) in target.rows("SELECT query FROM said")} == {command}


@pytest.mark.parametrize("without", [*TECHNIQUES, None])
def test_the_report_says_whether_records_were_packed_in_c(
    target: Target, without: Technique | None
) -> None:
    target.write(company=COMPANIES, User=[], post=[])
    report = target.load(without=frozenset() if without is None else frozenset({without}))
    assert report.native == (native.IS_BUILT and without in {None, "batches", "streaming"})


def test_an_unknown_technique_is_named(target: Target) -> None:
    with pytest.raises(BackupError, match="--without speed: there are batches, streaming"):
        Options(backup=target.backup, without=frozenset({"speed"}))  # type: ignore[arg-type]
