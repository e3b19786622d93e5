"""Item 17: the role's own timeouts do not stop a restore; a lock held by others is named."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from restore.report.events import Progress
from restore.target.connection import connect
from restore.target.locks import load_error, lock_error, lock_holders
from restore.target.relations import read_relations
from restore.target.sqlstate import MOST_ATTEMPTS, retry_transient
from restore.tests.support.target import COMPANIES

if TYPE_CHECKING:
    from restore.tests.support.target import Target


def own_companies() -> list[dict[str, Any]]:
    return [company | {"owner": None} for company in COMPANIES]


@pytest.mark.slow
def test_timeouts_of_the_role_are_not_ours(target: Target) -> None:
    database = target.rows("SELECT quote_ident(current_database())")[0][0]
    for name in (
        "statement_timeout",
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        *(["transaction_timeout"] if target.conn.info.server_version >= 170_000 else []),
    ):
        target.conn.execute(f"ALTER DATABASE {database} SET {name} = '300ms'")
    with connect(target.dsn) as conn:
        conn.execute("SELECT pg_sleep(0.6)")
        time.sleep(0.6)
        with conn.transaction():
            conn.execute("SELECT")
            time.sleep(0.6)
    target.write(company=[{"id": n, "name": "x" * 100} for n in range(5000)])
    assert target.load().complete


def test_a_session_reads_and_writes_one_way_whatever_the_role_has_set(target: Target) -> None:
    database = target.rows("SELECT quote_ident(current_database())")[0][0]
    for setting in (
        "default_transaction_read_only = on",
        "DateStyle = 'SQL, DMY'",
        "IntervalStyle = 'iso_8601'",
        "standard_conforming_strings = off",
        "TimeZone = 'Asia/Tokyo'",
        "row_security = on",
    ):
        target.conn.execute(f"ALTER DATABASE {database} SET {setting}")
    with connect(target.dsn, lock_timeout_s=1.5) as conn:
        [row] = conn.execute(
            "SELECT '2024-07-01 12:00'::timestamptz::text, '1 day'::interval::text,"
            " current_setting('transaction_read_only'), current_setting('lock_timeout'),"
            " current_setting('row_security'), 'a\\b'"
        ).fetchall()
    assert row == ("2024-07-01 12:00:00+00", "1 day", "off", "1500ms", "off", "a\\b")


def test_who_holds_the_lock_is_named_and_nothing_is_left_half_done(
    target: Target, database: Any
) -> None:
    target.conn.execute("INSERT INTO company VALUES (77, 'there')")
    target.write(company=own_companies(), User=[], post=[])
    other = database.connect()
    other.execute("SET application_name = 'the report'; BEGIN; SELECT name FROM company")
    report_or_line = target.turned_down(clean=True, lock_timeout_s=0.2)
    pid = other.info.backend_pid
    assert report_or_line.startswith("1: canceling statement due to lock timeout: the report holds")
    assert f"company (pid {pid}, role postgres, idle in transaction," in report_or_line
    assert "last query at 20" in report_or_line
    assert (
        "query: SET application_name = 'the report'; BEGIN; SELECT name FROM..." in report_or_line
    )
    assert "--lock-timeout" in report_or_line
    other.execute("ROLLBACK")
    assert target.rows("SELECT name FROM company") == [("there",)]
    assert target.load(clean=True).complete


def test_a_lock_in_the_way_of_foreign_keys_leaves_them_where_they_are(
    target: Target, database: Any
) -> None:
    count = "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"
    before = target.rows(count)
    target.write(company=own_companies(), User=[], post=[])
    other = database.connect()
    other.execute("BEGIN; SELECT FROM company")
    report = target.load(lock_timeout_s=0.2)
    assert report.error is not None
    assert f"(pid {other.info.backend_pid}, " in report.error
    assert target.rows(count) == before
    assert target.rows("SELECT to_regnamespace('restore_journal')::text") == [(None,)]


@pytest.mark.slow
def test_a_lock_in_the_way_of_a_copy_stops_it_and_after_a_repair_the_next_restore_is_whole(
    target: Target, database: Any
) -> None:
    keys = "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"
    before = target.rows(keys)
    companies = [{"id": n, "name": "x" * 100} for n in range(5000)]
    target.write(company=companies, User=[], post=[])
    other = database.connect()
    locked: list[Any] = []

    def lock(event: Any) -> None:
        if isinstance(event, Progress) and not locked:
            locked.append(other.execute("BEGIN; LOCK company IN SHARE MODE"))

    report = target.load(watch=lock, chunk_bytes=8192, lock_timeout_s=0.05)
    assert report.error is not None
    assert f"holds company (pid {other.info.backend_pid}, role postgres, idle in" in report.error
    assert "are dropped, recorded in restore_journal" in report.error
    loaded = {table.table: table.loaded for table in report.tables}["company"]
    assert target.rows("SELECT count(*) FROM company") == [(loaded,)]
    other.execute("ROLLBACK")
    target.repair("--empty")
    assert target.load(clean=True).complete
    assert target.rows(keys) == before


def test_a_query_that_may_hold_a_password_is_not_shown(target: Target, database: Any) -> None:
    other = database.connect()
    other.execute("BEGIN; LOCK company; SELECT 'passw0rd of s3cret'")
    oids = [r.oid for r in read_relations(target.conn, None) if r.name == "company"]
    [holder] = lock_holders(target.conn, oids, "ACCESS EXCLUSIVE")
    assert holder.query is not None
    assert "s3cret" in holder.query
    assert "s3cret" not in str(lock_error(target.conn, psycopg.Error(), oids, "ROW EXCLUSIVE"))


def test_only_locks_that_are_in_the_way_of_a_copy_count_for_one(
    target: Target, database: Any
) -> None:
    reader, locker = database.connect(), database.connect()
    reader.execute("BEGIN; SELECT FROM company")
    locker.execute("BEGIN; LOCK company IN SHARE MODE")
    oids = [r.oid for r in read_relations(target.conn, None) if r.name == "company"]
    assert [h.pid for h in lock_holders(target.conn, oids, "ROW EXCLUSIVE")] == [
        locker.info.backend_pid
    ]
    assert len(lock_holders(target.conn, oids, "ACCESS EXCLUSIVE")) == 2


def test_another_restore_at_work_is_named(target: Target) -> None:
    target.write(company=own_companies())
    lines: list[str] = []

    def second(event: Any) -> None:
        if isinstance(event, Progress) and not lines:
            lines.append(target.turned_down(lock_timeout_s=0.1))

    assert target.load(watch=second).complete
    assert "another restore into this database is at work (pid " in lines[0]


def test_what_a_killed_restore_has_left_at_work_is_ended(target: Target) -> None:
    target.write(company=own_companies())
    with contextlib.closing(connect(target.dsn, is_worker=True)) as helper:
        assert target.load().complete
        with pytest.raises(psycopg.OperationalError):
            helper.execute("SELECT 1")


def test_a_deadlock_is_tried_again_and_another_error_is_not(target: Target, database: Any) -> None:
    other = database.connect()
    other.execute("SET deadlock_timeout = '10s'; BEGIN; LOCK post")
    thread = threading.Thread(target=lambda: other.execute("LOCK company; COMMIT"))
    tried = []

    def both() -> None:
        tried.append(1)
        with target.conn.transaction():
            target.conn.execute("LOCK company")
            if len(tried) == 1:
                thread.start()
                waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
                with connect(target.dsn) as watcher:
                    while not watcher.execute(waiting).fetchall():
                        pass
            target.conn.execute("LOCK post")

    retry_transient(both)
    thread.join()
    assert len(tried) == 2

    def wrong() -> None:
        tried.append(1)
        target.conn.execute("no SQL")

    with pytest.raises(psycopg.errors.SyntaxError):
        retry_transient(wrong)
    assert len(tried) == 3


def test_tries_are_bounded(target: Target, database: Any) -> None:
    database.connect().execute("BEGIN; LOCK company")
    target.conn.execute("SET lock_timeout = '1ms'")
    tried = []

    def read() -> None:
        tried.append(1)
        target.conn.execute("SELECT FROM company")

    with pytest.raises(psycopg.errors.LockNotAvailable) as caught:
        retry_transient(read, attempts=3)
    assert len(tried) == 3 < MOST_ATTEMPTS
    with connect(target.dsn) as conn:
        company = next(r for r in read_relations(conn, None) if r.name == "company")
        line = str(load_error(conn, caught.value, company))  # type: ignore[arg-type] # only its oid counts
    assert "holds company (pid " in line


def test_forced_checkpoints_are_told_with_advice(target: Target, database: Any) -> None:
    other = database.connect()
    done: list[Any] = []

    def force(event: Any) -> None:
        if isinstance(event, Progress) and not done:
            done.append(event)
            other.execute("CHECKPOINT")
            other.execute("CHECKPOINT")

    target.write(company=own_companies())
    [warning] = target.load(watch=force).warnings
    assert "the load forced " in warning
    assert "max_wal_size is" in warning
