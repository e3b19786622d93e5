"""--max-rejects holds for rejects of every origin, however few records there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from restore import MaxRejects
from restore.schedule import queue
from restore.schedule import scheduler as loading
from restore.tests.support import command

if TYPE_CHECKING:
    from restore.tests.support.target import Target

SCHEMA = """
    CREATE TABLE p (id int PRIMARY KEY, v int);
    CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p, x text UNIQUE);
    CREATE INDEX ON c (p)
"""
STATE = """
    SELECT conname::text, convalidated FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT indexrelid::regclass::text, indisvalid FROM pg_index
    WHERE indrelid IN ('p'::regclass, 'c'::regclass) ORDER BY 1
"""


def parents(count: int, bad: int = 0) -> list[Any]:
    return [{"id": n, "v": "x" if n < bad else n} for n in range(count)]


def children(count: int, *, orphans: int = 0, duplicates: int = 0) -> list[Any]:
    good = [{"id": n, "p": n % 9 + 1, "x": f"{n}"} for n in range(count - orphans - duplicates)]
    lost = [{"id": 10**6 + n, "p": 77_777, "x": f"o{n}"} for n in range(orphans)]
    again = [{"id": n, "p": 1, "x": f"d{n}"} for n in range(duplicates)]
    return [*good, *lost, *again]


ORIGINS = {
    "rejected": {"p": parents(12, bad=2), "c": []},
    "orphans": {"p": parents(10), "c": children(20, orphans=2)},
    "duplicates": {"p": parents(10), "c": children(20, duplicates=2)},
    "all": {"p": parents(14, bad=1), "c": children(20, orphans=1, duplicates=1)},
}


@pytest.fixture(params=["keys in place", "keys dropped"])
def loaded(target: Target, request: pytest.FixtureRequest, monkeypatch: Any) -> Target:
    """A target whose keys are in place during the load, or not."""
    if request.param == "keys dropped":
        monkeypatch.setattr(loading, "_WORTH_BYTES", 1)
    target.conn.execute(SCHEMA)
    return target


@pytest.mark.slow
@pytest.mark.parametrize("most", ["1", "5%"])
@pytest.mark.parametrize("origin", ORIGINS)
def test_too_many_rejects_of_any_origin(loaded: Target, origin: str, most: str) -> None:
    """The restore is over: all is in place, and there is nothing to resume."""
    target = loaded
    before = target.rows(STATE)
    target.write(**ORIGINS[origin])
    report = target.load(max_rejects=MaxRejects.parse(most))
    assert report.error is not None
    assert f"more than --max-rejects {most}" in report.error
    if origin == "orphans" or most == "5%":  # else the load was stopped before its end
        assert not report.resumable
        assert target.rows("SELECT to_regnamespace('restore_journal') IS NULL") == [(True,)]
        assert target.rows(STATE) == before
    else:
        target.repair("--empty")
    report = target.load(max_rejects=MaxRejects.parse("25%"), clean=True)
    assert report.error is None
    assert report.lost == (3 if origin == "all" else 2)


@pytest.mark.slow
def test_one_transaction_with_too_many_rejects_is_undone(loaded: Target) -> None:
    target = loaded
    target.conn.execute("INSERT INTO p VALUES (1, 1), (2, 2); INSERT INTO c VALUES (5, 1, 'x')")
    for tables in (
        {"p": parents(999, bad=998), "c": []},
        {"p": parents(10), "c": children(99, orphans=2)},
        {"p": parents(10), "c": children(99, duplicates=2)},
    ):
        target.write(**tables)
        report = target.load(atomic=True, clean=True, max_rejects=MaxRejects(percent=1))
        assert report.error is not None
        assert "more than --max-rejects 1%" in report.error
        assert target.rows("SELECT count(*), (SELECT count(*) FROM c) FROM p") == [(2, 1)]


@pytest.mark.slow
def test_rejects_of_worker_processes_count(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_WORTH_BYTES", 1)
    for name in ("_WORTH_A_CONNECTION_BYTES", "_SMALLEST_SHARD_BYTES", "_HELD_SHARD_BYTES"):
        monkeypatch.setattr(queue, name, 2_000)
    target.conn.execute("CREATE TABLE q (id int, v int NOT NULL)")
    target.write(q=parents(900, bad=60))
    for most in ("50", "6%"):
        report = target.load(jobs=3, clean=True, max_rejects=MaxRejects.parse(most))
        assert report.error is not None
        assert f"more than --max-rejects {most}" in report.error
    report = target.load(jobs=3, clean=True, max_rejects=MaxRejects(count=60))
    assert report.error is None


def test_a_dry_run_and_a_retry_tell_too(target: Target) -> None:
    target.conn.execute(SCHEMA)
    target.write(**ORIGINS["all"])
    said = target.restore("--dry-run", "--max-rejects", "5%", exit_code=1)
    assert "3 of 34 records could not be restored, more than --max-rejects 5%" in said
    target.restore("--max-rejects", "10%", exit_code=3)
    for most, code in (("2", 1), ("50%", 1), ("3", 3)):
        words = ["retry", str(target.rejects), "--dsn", target.dsn, "--max-rejects", most]
        done = command.run(*words)
        assert done.exit_code == code, done.errors
        assert (f"more than --max-rejects {most}" in done.errors) is (code == 1)
        assert len(target.rejected("c")) == 2
