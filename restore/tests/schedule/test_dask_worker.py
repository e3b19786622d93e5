"""What a worker loads, and what is loaded after it died at any point: the same as by threads."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from restore.commands import restore as command
from restore.errors import LoadError
from restore.journal import journaled_rejects, store
from restore.journal.journaled_rejects import JournaledRejects, fetch_rejects
from restore.rejects.writer import RejectFile
from restore.report.reasons import Reason
from restore.schedule import dask_worker, queue
from restore.schedule import scheduler as loading
from restore.schedule.dask_executor import DaskExecutor
from restore.schedule.dask_worker import Run
from restore.source.records import RawRecord
from restore.target import session_locks
from restore.target.connection import connect
from restore.target.session_locks import (
    acquire_restore_lock,
    close_run,
    join_run,
    own_session,
    take_shard,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from restore.tests.support.target import Target

SCHEMA = """
    CREATE TABLE event (n int NOT NULL, kind text, at timestamptz, data jsonb, flag int);
    CREATE TABLE told (id serial PRIMARY KEY, n int NOT NULL, pad text);
"""
COUNT = 900
KEY = 1 << 61


class Died(BaseException):
    """A worker's process is gone, in the middle of its work."""


class Updates:
    """Takes progress, and dies at one report of all that there are."""

    numbers: Iterator[int]
    fatal: int | None

    def __init__(self, _work: object) -> None:
        self.last: Any = None

    def __call__(self, counts: Any) -> None:
        self.last = counts
        if next(self.numbers) == self.fatal:
            raise Died


class Client:
    """A cluster of two workers in this process; a task whose worker died is run once more."""

    status = "running"

    def __init__(self) -> None:
        self._workers = ThreadPoolExecutor(2)

    def submit(self, load: Callable[..., Any], work: Any, **_: object) -> Future[Any]:
        def attempt() -> Any:
            try:
                return load(work)
            except Died:
                return load(work)

        return self._workers.submit(attempt)

    def run(self, call: Callable[..., Any], *arguments: object, **_: object) -> None:
        call(*arguments)

    def nthreads(self) -> dict[str, int]:
        return {"worker": 2}

    def subscribe_topic(self, *_: object) -> None:
        pass

    unsubscribe_topic = cancel = subscribe_topic


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_WORTH_BYTES", 20_000)
    for name in ("_WORTH_A_CONNECTION_BYTES", "_SMALLEST_SHARD_BYTES", "_HELD_SHARD_BYTES"):
        monkeypatch.setattr(queue, name, 30_000)
    monkeypatch.setattr(dask_worker, "_Updates", Updates)


def by_workers(conn: Any, options: Any, limits: Any, **more: Any) -> DaskExecutor:
    """Make an executor on such a cluster, in the place of threads."""
    run = Run(KEY, "topic", own_session(conn), options, is_local=True)
    client: Any = Client()
    return DaskExecutor(conn, options, limits, client=client, run=run, **more)


def write(target: Target) -> None:
    """Write what is loaded in several ways: in one COPY, by batch, by row, and later."""
    target.conn.execute(SCHEMA)
    events: list[dict[str, Any]] = [
        {"n": n, "kind": f"kind {n % 7}", "at": "2024-01-01T00:00:00Z", "data": {"text": '},{"'}}
        for n in range(COUNT)
    ]
    for event in events[50::101]:
        event["n"] = None
    for event in events[70::103]:
        event["flag"] = "1"
    lines = [json.dumps(event) for event in events]
    lines[300] = lines[300].replace('"kind": "', '"kind": x"')
    # Some have no number of their own: they are loaded after the others.
    told = [{"id": n, "n": n if n % 97 else None, "pad": "p" * 50} for n in range(1, COUNT)]
    for record in told[60::61]:
        del record["id"]
    told[500]["id"] = 400
    target.write_raw({"event": lines, "told": map(json.dumps, told)})


def outcome(target: Target) -> Any:
    """Return all rows and rejects, and remove the latter."""
    rows = [target.rows(f"SELECT t::text FROM {name} t ORDER BY 1") for name in ("event", "told")]
    files = sorted(target.rejects.iterdir())
    rejects = {path.name: sorted(path.read_bytes().splitlines()) for path in files}
    for path in files:
        path.unlink()
    return rows, rejects


def load(target: Target, fatal: int | None, **options: Any) -> tuple[Any, int]:
    """Load with a worker that dies at a report of progress; return how many reports there were."""
    Updates.numbers, Updates.fatal = itertools.count(), fatal
    target.conn.execute("ALTER SEQUENCE told_id_seq RESTART")
    report = target.load(jobs=2, clean=True, chunk_bytes=8_192, **options)
    assert report.error is None
    counts = [(t.table, t.read, t.loaded, t.duplicates, t.rejected) for t in report.tables]
    return (outcome(target), counts), next(Updates.numbers)


@pytest.mark.slow
def test_what_a_worker_left_is_loaded_once(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    write(target)
    expected, _ = load(target, None)
    monkeypatch.setattr(command, "ThreadExecutor", by_workers)
    undisturbed, reports = load(target, None)
    assert undisturbed == expected
    assert reports > 20

    for fatal in range(0, reports, 3):
        found, _ = load(target, fatal)
        assert found == expected, f"the worker died at report {fatal}"


def test_a_shard_of_a_load_that_started_over_is_refused(target: Target, tmp_path: Path) -> None:
    write(target)
    conn = target.conn
    store.create_journal(conn, [], backup="b", rejects=str(tmp_path), options={})
    conn.execute("INSERT INTO restore_journal.loads VALUES (1, 0, 'f', 1, '', 'loading')")
    with pytest.raises(LoadError, match="started over"):
        store.read_shard(conn, 1, 0, restarts=1)
    assert store.read_shard(conn, 1, 0, restarts=0) is None
    store.reset(conn, 1, "loading")
    with pytest.raises(LoadError, match="started over"):
        store.read_shard(conn, 1, 0, restarts=0)


def test_only_sessions_of_the_restore_at_work_load(target: Target) -> None:
    owner, late = connect(target.dsn), partial(connect, target.dsn, is_worker=True)
    with owner, late() as early:
        assert not join_run(early, KEY, own_session(owner))  # it does not restore yet
        early.close()
        acquire_restore_lock(owner)
        with late() as worker, late() as other:
            assert not join_run(worker, KEY, own_session(worker))  # another restore's
            assert join_run(worker, KEY, own_session(owner))
            take_shard(worker, 1, 2)
            take_shard(other, 1, 2)
            with pytest.raises(psycopg.OperationalError):  # the shard was taken from it
                worker.execute("SELECT")
            assert join_run(other, KEY, own_session(owner))
            close_run(owner, KEY)
            with pytest.raises(psycopg.OperationalError):
                other.execute("SELECT")
        with late() as worker:
            assert not join_run(worker, KEY, own_session(owner))


def test_the_next_restore_ends_workers_that_stayed(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of one whose machine does not know yet that its restore was killed."""
    monkeypatch.setattr(session_locks, "_GRACE", "100ms")
    worker = connect(target.dsn, is_worker=True)
    with connect(target.dsn, lock_timeout_s=20) as owner:
        acquire_restore_lock(owner)
        with pytest.raises(psycopg.OperationalError):
            worker.execute("SELECT")


def test_rejects_are_fetched_as_they_were_committed(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journaled_rejects, "_CHUNK_BYTES", 100)
    conn, folder = target.conn, tmp_path / "here"
    store.create_journal(conn, [], backup="b", rejects=str(folder), options={})

    def fill(rejects: Any, numbers: range) -> None:
        for n in numbers:
            rejects.add(RawRecord(b"{}" * n, 10 * n, n), Reason(level="row", message=f"no {n}"))

    with RejectFile(folder, "s", "t", "whole") as whole:
        fill(whole, range(12))
    with JournaledRejects(conn, 1, 0, schema="s", table="t", size=0) as rejects:
        fill(rejects, range(3))
        with rejects.rollback_on_error(), conn.transaction():
            fill(rejects, range(3, 6))
            rejects.sync()
        with contextlib.suppress(Died), rejects.rollback_on_error(), conn.transaction():
            fill(rejects, range(90, 95))
            rejects.sync()
            raise Died
        fill(rejects, range(6, 8))
        rejects.sync()
        size = rejects.size
    with JournaledRejects(conn, 1, 0, schema="s", table="t", size=size) as rejects:
        fill(rejects, range(8, 12))
        rejects.sync()

    fetch_rejects(conn, 1, 0, RejectFile(folder, "s", "t", "part"))
    fetch_rejects(conn, 1, 0, RejectFile(folder, "s", "t", "part"))  # there is nothing more

    assert (folder / "part").read_bytes() == (folder / "whole").read_bytes()
    assert target.rows("SELECT FROM restore_journal.rejects") == []


@pytest.mark.parametrize("more", [{"dry_run": True}, {"atomic": True}])
def test_one_transaction_cannot_span_machines(target: Target, more: dict[str, bool]) -> None:
    flags = [f"--{name.replace('_', '-')}" for name in more]
    said = target.restore("--executor", "dask", *flags, exit_code=2)
    assert "--executor dask loads from several processes" in said


def test_an_address_that_is_none_is_refused(target: Target) -> None:
    said = target.restore("--executor", "dask://somewhere", exit_code=2)
    assert "write threads, dask, dask://HOST:PORT or tls://HOST:PORT" in said


def test_what_is_missing_is_named(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    said = target.restore("--executor", "dask", exit_code=2)
    assert "run `python -m pip install 'restorebench[dask]'`" in said


def test_a_local_restore_imports_nothing_of_dask() -> None:
    script = "import sys, restore.cli.run; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    modules = set(done.stdout.split())
    assert "restore.schedule.threads" in modules
    assert not {"dask", "distributed", "restore.schedule.cluster"} & modules
