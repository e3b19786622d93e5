"""A pooler that shares sessions between clients is refused before it is touched."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from restore import LoadError, UsageError
from restore.target.connection import connect
from restore.tests.support import command
from restore.tests.support.bouncer import bouncer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from restore.tests.support.target import Target

SETTINGS = """
    SELECT name, setting FROM pg_settings
    WHERE source = 'session' AND name NOT IN ('application_name', 'client_encoding')
    ORDER BY 1
"""
LOCKS = """
    SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@contextlib.contextmanager
def through(target: Target, database: Any, mode: str, **settings: Any) -> Iterator[str]:
    """Have the target's restores go through PgBouncer."""
    with bouncer(database, mode, **settings) as url:
        direct, target.dsn = target.dsn, url
        try:
            yield url
        finally:
            target.dsn = direct


def changed_settings(url: str) -> list[Any]:
    """Return what is set in any of the pooler's sessions, each asked once."""
    found: dict[int, list[Any]] = {}
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            conn = stack.enter_context(psycopg.connect(url))  # holds its session from here on
            found[conn.execute("SELECT pg_backend_pid()").fetchall()[0][0]] = conn.execute(
                SETTINGS
            ).fetchall()
    assert len(found) == 8
    return [row for rows in found.values() for row in rows]


@pytest.mark.parametrize(
    ("mode", "settings"),
    [
        ("transaction", {}),
        ("transaction", {"server_round_robin": 1, "min_pool_size": 10}),
        ("transaction", {"default_pool_size": 1}),
        ("statement", {}),
    ],
)
def test_shared_sessions_are_refused_and_left_as_they_are(
    target: Target, database: Any, mode: str, settings: dict[str, Any]
) -> None:
    target.write(company=[{"id": 1, "name": "a"}])
    with through(target, database, mode, **settings) as url:
        tried = [
            target.restore(exit_code=2),
            target.restore("--dry-run", exit_code=2),
            target.restore("--clean", "--lock-timeout", "1", exit_code=2),
            *target.repair(exit_code=2),
        ]
        target.rejects.mkdir()
        (target.rejects / "company.jsonl").write_text(
            '{"table":"company","schema":"public","ordinal":0,"offset":1,"length":2,'
            '"kind":"rejected","level":"row","message":"m","raw":"{}"}\n'
        )
        done = command.run("retry", str(target.rejects), "--dsn", url)
        assert done.exit_code == 2
        for said in [*tried, done.errors]:
            [line] = said.splitlines()
            assert "pooler" in line
            assert "transaction or statement mode" in line
            assert "URL of the server itself, or of a pool in session mode" in line
        if mode == "transaction" and "default_pool_size" not in settings:
            assert changed_settings(url) == []
    assert target.rows(LOCKS) == [(0,)]
    assert target.rows("SELECT count(*) FROM company") == [(0,)]


def test_shared_sessions_are_found_while_other_clients_are_at_work(
    target: Target, database: Any
) -> None:
    """Other clients take the session that a new one has just had."""
    with through(target, database, "transaction", default_pool_size=6) as url:
        is_over = threading.Event()

        def work() -> None:
            with psycopg.connect(url, autocommit=True, prepare_threshold=None) as conn:
                while not is_over.is_set():
                    conn.execute("SELECT pg_sleep(0.002)")

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(10):
                with pytest.raises(UsageError, match="shares sessions"):
                    connect(url)
        finally:
            is_over.set()
            for thread in threads:
                thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_pool_in_session_mode_is_as_good_as_the_server(
    target: Target, database: Any, jobs: str
) -> None:
    long = "x" * 1000
    target.write(
        company=[{"id": n, "name": long} for n in [*range(6000), 17]],
        User=[],
        post=[],
    )
    with through(target, database, "session") as url:
        target.restore("--dry-run", "--jobs", jobs, exit_code=3)
        assert "1 duplicate" in target.restore("--jobs", jobs, exit_code=3).replace(",", "")
        target.restore("--jobs", jobs, "--clean", exit_code=3)
        target.restore("--jobs", jobs, "--clean", "--atomic", exit_code=3)
        done = command.run("retry", str(target.rejects), "--dsn", url)
        assert done.exit_code == 3
        assert "nothing to repair" in target.repair()[0]
        assert changed_settings(url) == []
    assert target.rows(LOCKS) == [(0,)]
    assert target.rows("SELECT count(*) FROM company") == [(6000,)]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_pool_in_session_mode_that_resets_nothing(
    target: Target, database: Any, jobs: str
) -> None:
    """A setting or a lock that is left in a session would be the next client's."""
    long = "x" * 1000
    target.write(company=[{"id": n, "name": long} for n in [*range(9000), 17]], User=[], post=[])
    with through(target, database, "session", server_reset_query="") as url:
        for options in ((), ("--clean",), ("--clean", "--atomic"), ("--clean", "--dry-run")):
            target.restore("--jobs", jobs, "--lock-timeout", "1", *options, exit_code=3)
            assert target.rows(LOCKS) == [(0,)]
        assert changed_settings(url) == []
        with psycopg.connect(url) as conn:
            query = "SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'"
            assert conn.execute(query).fetchall() == [(0,)]


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_restore_through_a_pool_is_resumed(target: Target, database: Any, jobs: str) -> None:
    """What PgBouncer resets by itself is gone with the restore that was killed."""
    target.write(company=[{"id": n, "name": "x" * 1000} for n in [*range(9000), 17]], User=[])
    target.write(post=[{"id": 1, "author": None}])
    options = ("--clean", "--jobs", jobs, "--rejects", str(target.rejects))
    with through(target, database, "session") as url:
        target.kill("constraints.recreate.recreate_foreign_keys", *options)
        target.restore("--clean", "--resume", "--jobs", jobs, exit_code=3)
        assert changed_settings(url) == []
    assert target.rows(LOCKS) == [(0,)]
    assert target.rows("SELECT count(*) FROM company") == [(9000,)]
    assert [*target.refused("company"), *target.refused("post")] == [9000, 0]


@pytest.mark.slow
def test_a_pool_in_session_mode_with_no_session_free_goes_on(target: Target, database: Any) -> None:
    """That no other client gets a session tells that none is shared."""
    with through(target, database, "session", default_pool_size=1) as url:
        started = time.monotonic()
        with connect(url) as conn:
            # PgBouncer itself lets it wait for two minutes.
            assert time.monotonic() - started < 100
            assert conn.execute("SHOW row_security").fetchone() == ("off",)
            with pytest.raises(LoadError, match="has no session free; make its pool larger"):
                connect(url, is_worker=True)


def test_a_url_that_names_a_pooler(
    target: Target, database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused if there is one, in any mode; the parameter alone does no harm."""
    target.write(company=[{"id": 1, "name": "a"}], User=[], post=[])
    words = [str(target.backup), "--rejects", str(target.rejects)]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", f"{target.dsn}&pgbouncer=true&connection_limit=1")
    done = command.run(*words)
    assert done.exit_code == 0, done.errors
    with bouncer(database, "session") as url:
        monkeypatch.setenv("DATABASE_URL", f"{url}&schema=public&pgbouncer=true")
        done = command.run(*words, "--clean")
        assert done.exit_code == 2
        [line] = done.errors.splitlines()
        assert "pgbouncer=true in the URL" in line
        assert command.run(*words, "--clean", "--dsn", url).exit_code == 0
