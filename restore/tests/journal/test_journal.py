"""The journal: when there is one, what it refuses, and how it ends."""

from __future__ import annotations

import gzip
import json
import os
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from restore import Options, RestoreError, restore
from restore.tests.support.target import COMPANIES, user

if TYPE_CHECKING:
    from collections.abc import Callable

    from restore.tests.support.target import Target

USERS = 300
LITTLE = {"chunk_bytes": 1 << 12, "jobs": 1}


class StopError(Exception):
    """Ends a restore from within."""


def journal(target: Target) -> bool:
    return target.rows("SELECT to_regclass('restore_journal.restore') IS NOT NULL") == [(True,)]


def count(target: Target, table: str) -> int:
    [(rows,)] = target.rows(f'SELECT count(*) FROM "{table}"')
    return int(rows)


def stop_halfway(target: Target, **options: Any) -> None:
    """Restore, and stop where some of the users are in."""

    def watch(event: Any) -> None:
        if getattr(event, "table", None) == "User" and event.batches > 3:
            raise StopError

    with pytest.raises(StopError):
        target.load(watch=watch, **LITTLE | options)
    assert 0 < count(target, "User") < USERS
    assert journal(target)


@pytest.fixture
def users(target: Target) -> list[Any]:
    records = [user(n) for n in range(USERS)]
    records[200]["mood"] = "sad"
    records[7]["mood"] = "sad"
    target.write(company=COMPANIES, User=records, post=[])
    return records


@pytest.mark.usefixtures("users")
def test_what_stopped_goes_on(target: Target) -> None:
    stop_halfway(target)
    report = target.load(resume=True, **LITTLE)
    assert report.error is None
    [counts] = [table for table in report.tables if table.table == "User"]
    assert (counts.read, counts.loaded, counts.rejected) == (USERS, USERS - 2, 2)
    assert sorted(target.rejected("User")) == [7, 200]
    assert count(target, "User") == USERS - 2
    assert not journal(target)
    assert not list(target.rejects.glob("*.shard*"))


def pretty(records: list[Any]) -> bytes:
    return json.dumps(records, indent=2).encode()


def lines(records: list[Any]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def damaged(records: list[Any]) -> bytes:
    text = [json.dumps(record) for record in records]
    text[20] = text[20][:50]
    text[120] = '{"id": ' + text[120][1:]
    return f"[{', '.join(text)}]".encode()


LAYOUTS: dict[str, tuple[str, Callable[[list[Any]], bytes]]] = {
    "pretty": ("User.json", pretty),
    "lines": ("User.jsonl", lines),
    "damaged": ("User.json", damaged),
    "gz": ("User.json.gz", lambda records: gzip.compress(json.dumps(records).encode())),
    "gz lines": ("User.jsonl.gz", lambda records: gzip.compress(lines(records))),
    "cut off": ("User.json", lambda records: json.dumps(records).encode()[:-1]),
}


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batches", [1, 2, 9, 20])
def test_it_goes_on_in_any_layout(
    target: Target, users: list[Any], layout: str, batches: int
) -> None:
    name, written = LAYOUTS[layout]
    (target.backup / "User.json").unlink()
    (target.backup / name).write_bytes(written(users))
    whole = target.load(**LITTLE)
    expected = target.rows('SELECT u::text FROM "User" u ORDER BY 1'), target.rejected("User")

    def watch(event: Any) -> None:
        if getattr(event, "table", None) == "User" and event.batches >= batches:
            raise StopError

    target.rejects /= "again"
    with pytest.raises(StopError):
        target.load(watch=watch, clean=True, **LITTLE)
    report = target.load(resume=True, clean=True, **LITTLE)
    assert report.error is None
    found = target.rows('SELECT u::text FROM "User" u ORDER BY 1'), target.rejected("User")
    assert found == expected
    for before, after in zip(whole.tables, report.tables, strict=True):
        assert (before.read, before.rejected) == (after.read, after.rejected)
        assert before.cut_off == after.cut_off


@pytest.mark.usefixtures("users")
def test_rows_that_were_there_stay_apart_from_ours(target: Target) -> None:
    target.load(**LITTLE)
    target.write(User=[user(n, email=f"new{n}@example.org") for n in range(USERS * 2)])
    replacing = {"append": True, "on_conflict": "replace"}

    def watch(event: Any) -> None:
        if getattr(event, "table", None) == "User" and event.batches > 3:
            raise StopError

    with pytest.raises(StopError):
        target.load(watch=watch, **LITTLE | replacing)
    assert journal(target)
    report = target.load(resume=True, **LITTLE | replacing)
    assert report.error is None
    assert target.rows("SELECT count(*), bool_and(email LIKE 'new%') FROM \"User\"") == [
        (USERS * 2, True)
    ]
    [counts] = [table for table in report.tables if table.table == "User"]
    assert counts.replaced == USERS - 2


@pytest.mark.usefixtures("users")
def test_without_resume_an_unfinished_restore_blocks_a_new_one(target: Target) -> None:
    stop_halfway(target)
    line = target.turned_down(clean=True, **LITTLE)
    assert "left objects dropped or disabled (" in line
    assert "continue with --resume" in line
    assert "`python -m restore repair" in line


@pytest.mark.usefixtures("users")
def test_clean_starts_over_if_nothing_is_dropped(target: Target) -> None:
    for table, key in (("company", "company_owner"), ('"User"', '"User_companyId_fkey"')):
        target.conn.execute(f"ALTER TABLE {table} DROP CONSTRAINT {key}")
    stop_halfway(target)
    line = target.turned_down(**LITTLE)
    assert "is unfinished: continue with --resume, or start over with --clean" in line
    assert target.load(clean=True, **LITTLE).error is None
    assert count(target, "User") == USERS - 2
    assert not journal(target)


@pytest.mark.slow
@pytest.mark.usefixtures("users")
def test_repair_gives_it_up(target: Target) -> None:
    stop_halfway(target)
    lines = target.repair(exit_code=1)  # what is in has no companies yet
    assert "cannot be recreated" in lines[-1]
    lines = target.repair("--empty")
    assert lines[-1].startswith(f"gave up the restore of {target.backup}")
    assert not journal(target)
    assert target.load(resume=True, **LITTLE).error is None


def test_there_may_be_nothing_to_resume(target: Target, users: list[Any]) -> None:
    report = target.load(resume=True, **LITTLE)
    assert report.error is None
    assert any("no unfinished restore to resume" in line for line in report.warnings)
    assert count(target, "User") == len(users) - 2


def test_another_file_is_not_gone_on_with(target: Target, users: list[Any]) -> None:
    stop_halfway(target)
    users[0]["email"] = "x" + users[0]["email"][1:]  # of the same length
    target.write(User=users)
    line = target.turned_down(resume=True, **LITTLE)
    assert "cannot resume: User.json changed" in line
    users[0]["email"] = "longer" + users[0]["email"]
    target.write(User=users)
    assert "cannot resume: User.json changed" in target.turned_down(resume=True, **LITTLE)


def test_what_is_not_loaded_yet_may_be_mended(target: Target, users: list[Any]) -> None:
    stop_halfway(target)
    users[200]["mood"] = "mad"  # as long, and still no mood
    target.write(User=users)
    assert target.load(resume=True, **LITTLE).error is None


@pytest.mark.usefixtures("users")
@pytest.mark.parametrize(
    ("change", "was"),
    [
        ({"timezone": "Europe/Berlin"}, "was 'UTC' when the restore began; give it that value"),
        ({"tables": frozenset({"User"})}, "was not given when the restore began; leave it out"),
        ({"format": "records"}, "was not given when the restore began; leave it out"),
    ],
)
def test_other_options_are_refused(target: Target, change: dict[str, Any], was: str) -> None:
    stop_halfway(target)
    line = target.turned_down(resume=True, **LITTLE | change)
    assert f"cannot resume: --{next(iter(change))} {was}" in line


@pytest.mark.usefixtures("users")
def test_rejects_that_are_gone_are_missed(target: Target) -> None:
    stop_halfway(target)
    for path in target.rejects.iterdir():
        path.write_bytes(b"")
    report = target.load(resume=True, **LITTLE)
    assert report.error is not None
    assert "holds less than the restore had written there" in report.error


@pytest.mark.usefixtures("users")
def test_a_table_that_changed_is_refused(target: Target) -> None:
    stop_halfway(target)
    target.conn.execute('ALTER TABLE "User" ADD COLUMN more text')
    assert "the columns of table User changed" in target.turned_down(resume=True, **LITTLE)


@pytest.mark.usefixtures("users")
def test_a_second_restore_is_refused_and_the_first_is_named(target: Target) -> None:
    lines: list[str] = []

    def watch(event: Any) -> None:
        if getattr(event, "table", None) == "User" and not lines:
            options = Options(backup=target.backup, dsn=target.dsn, lock_timeout_s=0.1, clean=True)
            with pytest.raises(RestoreError) as caught:
                restore(options)
            lines.append(str(caught.value))

    assert target.load(watch=watch, **LITTLE).error is None
    [line] = lines
    assert "another restore into this database is at work (pid " in line
    assert "role postgres" in line or "role" in line


@pytest.mark.usefixtures("users")
def test_a_lost_connection_is_made_anew(target: Target) -> None:
    lost = threading.Event()

    def watch(event: Any) -> None:
        if getattr(event, "table", None) == "User" and event.batches > 3 and not lost.is_set():
            lost.set()
            end_sessions(target)

    report = target.load(watch=watch, **LITTLE)
    assert lost.is_set()
    assert report.error is None
    assert count(target, "User") == USERS - 2
    assert sorted(target.rejected("User")) == [7, 200]
    assert not journal(target)


def end_sessions(target: Target) -> None:
    target.conn.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'restore' AND datname = current_database()"
    )


@pytest.mark.usefixtures("users")
def test_no_more_than_it_may_be_tried_again(target: Target) -> None:
    def watch(event: Any) -> None:
        if getattr(event, "table", None) == "User" and event.batches > 3:
            end_sessions(target)

    report = target.load(watch=watch, **LITTLE | {"retry_for_s": 0})
    assert report.error is not None
    assert "connection to the database is lost" in report.error
    assert report.resumable
    assert any("--resume" in step for step in report.next_steps)
    assert target.load(resume=True, **LITTLE).error is None
    assert count(target, "User") == USERS - 2


@pytest.mark.usefixtures("users")
def test_outages_that_come_one_after_the_other_end_the_restore(target: Target) -> None:
    found = 0

    def watch(event: Any) -> None:
        nonlocal found
        found += type(event).__name__ == "BackupFound"
        if getattr(event, "table", None) == "User" and event.batches > 3:
            end_sessions(target)
        if type(event).__name__ == "BackupFound" and found > 1:
            end_sessions(target)

    report = target.load(watch=watch, **LITTLE)
    assert report.error is not None
    assert "connection to the database is lost" in report.error
    assert 2 < found < 6
    assert target.load(resume=True, **LITTLE).error is None
    assert count(target, "User") == USERS - 2


@pytest.mark.usefixtures("users")
def test_a_connection_that_is_lost_before_anything_is_written_is_told(target: Target) -> None:
    def watch(event: Any) -> None:
        if type(event).__name__ == "BackupFound":
            end_sessions(target)

    assert "connection to the database is lost" in target.turned_down(watch=watch, **LITTLE)
    assert not journal(target)


def test_who_may_make_no_schema_restores_all_the_same(
    target: Target, users: list[Any], database: Any
) -> None:
    target.conn.execute("ALTER TABLE company DROP CONSTRAINT company_owner")
    target.conn.execute('ALTER TABLE "User" DROP CONSTRAINT "User_boss_fkey"')
    target.conn.execute(f'REVOKE CREATE ON DATABASE "{database.name}" FROM PUBLIC')
    with target.role() as role:
        target.conn.execute(f'GRANT ALL ON ALL TABLES IN SCHEMA public TO "{role}"')
        target.conn.execute(f'GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO "{role}"')
        report = target.load(**LITTLE)
    assert report.error is None
    assert not report.resumable
    assert count(target, "User") == len(users) - 2


@pytest.mark.skipif(os.name != "posix", reason="a pipe that is full blocks there alone")
def test_atomic_shows_nothing_before_its_end(target: Target, users: list[Any]) -> None:
    target.load(**LITTLE)
    target.write(User=users[:100])
    seen: list[int] = []

    def watch(event: Any) -> None:
        if getattr(event, "table", None) == "User":
            with psycopg.connect(target.dsn) as other:
                other.execute("SET lock_timeout = '2s'")
                [(count,)] = other.execute("SELECT count(*) FROM post").fetchall()
                seen.append(count)

    target.conn.execute("ALTER TABLE company DROP CONSTRAINT company_owner")
    target.conn.execute('ALTER TABLE "User" DROP CONSTRAINT "User_boss_fkey"')
    target.conn.execute('INSERT INTO post (author) SELECT id FROM "User" LIMIT 7')
    report = target.load(watch=watch, atomic=True, clean=True, **LITTLE)
    assert report.error is None
    assert count(target, "User") == 99
    assert count(target, "post") == 0
    assert seen
    assert set(seen) == {7}
    assert sorted(target.rejected("User")) == [7]


def test_atomic_leaves_what_was_there_if_it_fails(target: Target, users: list[Any]) -> None:
    target.load(**LITTLE)
    before = target.rows('SELECT u::text FROM "User" u ORDER BY 1')
    users[0]["email"] = "other@example.org"
    target.write(User=users)
    report = target.load(atomic=True, clean=True, on_error="stop", **LITTLE)
    assert report.error is not None
    assert not report.resumable
    assert report.next_steps[-1].startswith("Nothing was written.")
    assert target.rows('SELECT u::text FROM "User" u ORDER BY 1') == before
    keys = "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"
    assert target.rows(keys) == [(4,)]


@pytest.mark.slow
@pytest.mark.usefixtures("users")
@pytest.mark.parametrize("mode", ["skip", "replace", "reject"])
def test_atomic_beside_rows_that_are_there(target: Target, mode: str) -> None:
    target.load(**LITTLE)
    target.write(
        User=[
            user(0, email="changed@example.org"),
            user(USERS),
            user(USERS, email="a@example.org"),
            user(USERS + 1, mood="sad"),
            user(1, email="once@example.org"),
        ]
    )
    append = {"append": True, "on_conflict": mode}
    atomic = target.load(atomic=True, **LITTLE | append)
    [counts] = [table for table in atomic.tables if table.table == "User"]
    assert atomic.error is None
    replaced = 2 if mode == "replace" else 0
    kept = {"skip": (1, 3, 1), "replace": (3, 1, 1), "reject": (1, 3, 1)}[mode]
    assert (counts.loaded, counts.duplicates, counts.rejected) == kept
    assert counts.replaced == replaced


def test_atomic_takes_orphans_one_by_one(target: Target, users: list[Any]) -> None:
    users[5]["companyId"] = 77
    users[9]["boss"] = users[7]["id"]
    target.write(User=users)
    report = target.load(atomic=True, **LITTLE)
    assert report.error is None
    assert sorted(target.rejected("User")) == [5, 7, 9, 200]
