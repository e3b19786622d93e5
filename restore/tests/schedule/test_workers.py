"""Several processes do what one does: the same rows, the same rejects, and nothing left behind."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from harness.tests.processes import ends_soon
from restore.schedule import crew
from restore.schedule import scheduler as loading
from restore.schedule import sharing as shares
from restore.tests.support.target import COMPANIES, user

if TYPE_CHECKING:
    from collections.abc import Callable

    from restore.tests.support.target import Target

SCHEMA = """
    CREATE TABLE event (n int NOT NULL, kind text, at timestamptz, data jsonb, flag int);
    CREATE TABLE counted (id serial, word text);
    CREATE TABLE told (id int PRIMARY KEY, n int);
"""
COUNT = 3_000
# What a process that restores is given: small files are worth workers, and many shards.
SCRIPT = """
import sys
from restore.schedule import scheduler as loading
from restore.schedule import sharing as shares
loading._WORTH_BYTES = shares._WORTH_A_WORKER_BYTES = shares._SMALLEST_SHARD_BYTES = 20_000
from restore.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_WORTH_BYTES", 20_000)
    for name in ("_WORTH_A_WORKER_BYTES", "_SMALLEST_SHARD_BYTES", "_HELD_SHARD_BYTES"):
        monkeypatch.setattr(shares, name, 20_000)


def event(number: int) -> str:
    """Return a record, some of them with something about them."""
    record: dict[str, Any] = {
        "n": number,
        "kind": f"kind {number % 7}",
        "at": "2024-01-01T00:00:00Z",
        "data": {"list": [{"n": 1}, {"n": 2}], "text": '},{"n": '},
    }
    if number % 101 == 50:
        record["n"] = None
    if number % 103 == 50:
        record["flag"] = "1"
    text = json.dumps(record)
    return text.replace('"kind": "', '"kind": x"') if number % 211 == 50 else text


def write_events(target: Target, count: int = COUNT) -> None:
    target.conn.execute(SCHEMA)
    target.write_raw({"event": map(event, range(count))})


def kept(target: Target) -> tuple[list[Any], Any]:
    """Return what is in the table, and in the rejects."""
    rows = target.rows("SELECT event::text FROM event ORDER BY 1")
    path = target.rejects / "event.jsonl"
    rejects = path.read_text(encoding="utf-8")
    path.unlink()
    return rows, rejects


def test_rows_and_rejects_are_the_same_for_any_number_of_processes(target: Target) -> None:
    write_events(target)
    whole = target.load(jobs=1)
    expected = kept(target)
    assert whole.tables[0].rejected > 40

    for jobs in (2, 4):
        report = target.load(jobs=jobs, clean=True)

        assert kept(target) == expected
        [one], [other] = whole.tables, report.tables
        assert (one.read, one.loaded, one.rejected) == (other.read, other.loaded, other.rejected)
        assert one.reasons == other.reasons
        assert not any(target.rejects.iterdir())


def test_duplicates_and_orphans_are_the_same_for_any_number_of_processes(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE parent (id int PRIMARY KEY, code text UNIQUE, pad text);"
        "CREATE TABLE child (id int PRIMARY KEY, up int NOT NULL REFERENCES parent)"
    )
    parents = [{"id": n, "code": f"c{n}", "pad": "p" * 60} for n in range(COUNT)]
    for at, same in ((2_900, 10), (1_500, 1_400), (40, 39)):
        parents[at] |= {"id": same, "pad": f"second {at}"}
    for at, same in ((2_800, 20), (2_801, 20), (1_600, 10)):
        parents[at] |= {"code": f"c{same}", "pad": f"second {at}"}
    children = [{"id": n, "up": n} for n in range(COUNT)]
    target.write(parent=parents, child=children)

    def outcome() -> Any:
        rows = target.rows("SELECT p::text FROM parent p UNION ALL SELECT c::text FROM child c")
        files = sorted(target.rejects.iterdir())
        rejects = [path.read_text(encoding="utf-8") for path in files]
        for path in files:
            path.unlink()
        return sorted(rows), rejects

    target.load(jobs=1, keep_indexes=True)
    kept, one_by_one = outcome()
    whole = target.load(jobs=1, clean=True)
    expected = outcome()
    assert expected[0] == kept
    assert [text.count("\n") for text in expected[1]] == [text.count("\n") for text in one_by_one]
    assert {table.table: (table.duplicates, table.rejected) for table in whole.tables} == {
        "parent": (6, 0),
        "child": (0, 6),
    }

    for jobs in (2, 4):
        target.load(jobs=jobs, clean=True)
        assert outcome() == expected


@pytest.mark.parametrize("name", ["event.json.gz", "event.jsonl", "dump.json"])
def test_other_forms_of_files(target: Target, name: str) -> None:
    write_events(target)
    plain = target.backup / "event.json"
    records = [event(n) for n in range(COUNT) if n % 211 != 50]
    text = "\n".join(records)
    if name == "event.json.gz":
        (target.backup / name).write_bytes(gzip.compress(plain.read_bytes()))
    elif name == "event.jsonl":
        (target.backup / name).write_text(text, encoding="utf-8")
    else:
        (target.backup / name).write_text(f'{{"told": [], "event": [{",".join(records)}]}}')
    plain.unlink()
    target.load(jobs=1)
    expected = kept(target)

    target.load(jobs=3, clean=True)

    assert kept(target) == expected


def test_a_wrong_guess_is_found_out_and_the_table_loaded_in_one(target: Target) -> None:
    target.conn.execute(SCHEMA)
    inner = [{"n": n, "kind": "inner", "at": None, "data": None} for n in range(1_500)]
    records = [{"n": n, "kind": "outer", "at": None, "data": inner} for n in range(4)]
    (target.backup / "event.json").write_text(json.dumps(records), encoding="utf-8")

    report = target.load(jobs=3)

    assert target.rows("SELECT n, kind, jsonb_array_length(data) FROM event ORDER BY n") == [
        (n, "outer", 1_500) for n in range(4)
    ]
    assert (report.tables[0].read, report.tables[0].loaded) == (4, 4)


def test_values_that_a_sequence_gives_are_in_the_order_of_the_file(target: Target) -> None:
    target.conn.execute(SCHEMA)
    target.write(counted=[{"word": f"word {n}" * 9} for n in range(COUNT)])

    target.load(jobs=3)

    [(count, wrong)] = target.rows(
        "SELECT count(*), count(*) FILTER (WHERE word <> repeat('word ' || id - 1, 9)) FROM counted"
    )
    assert (count, wrong) == (COUNT, 0)


def test_tables_are_loaded_at_once_and_parents_first_where_keys_hold(target: Target) -> None:
    users = [user(n, email=f"{'e' * 30}{n}@example.org") for n in range(500)]
    target.write(company=COMPANIES, User=users, post=[])

    report = target.load(jobs=3, append=True)

    assert [(t.table, t.loaded, t.rejected) for t in report.tables] == [
        *(("company", 3, 0), ("User", 500, 0), ("post", 0, 0))
    ]


def command(target: Target, *arguments: str) -> list[str]:
    words = [sys.executable, "-c", SCRIPT, str(target.backup), "--dsn", target.dsn, "--jobs", "3"]
    return [*words, "--rejects", str(target.rejects), *arguments]


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def start_and_wait(target: Target) -> subprocess.Popen[str]:
    """Start a restore with workers that wait for a lock in the middle of their work."""
    write_events(target)
    target.conn.execute(
        "CREATE FUNCTION hold() RETURNS bool LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_advisory_xact_lock(77); RETURN true; END $$;"
        "ALTER TABLE event ADD CHECK (n <> 2900 AND n <> 1400 AND n <> 60 OR hold())"
    )
    target.conn.execute("SELECT pg_advisory_lock(77)")
    process = subprocess.Popen(command(target), stderr=subprocess.PIPE, text=True, process_group=0)
    waits = (
        "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
        " WHERE datname = current_database() AND NOT granted AND objid = 77"
    )
    wait_for(lambda: target.rows(waits)[0][0] >= 2)
    return process


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def test_workers_die_with_the_process_that_started_them(target: Target) -> None:
    process = start_and_wait(target)
    workers = workers_of(process)
    assert len(workers) == 2

    process.kill()
    process.communicate()

    assert all(ends_soon(worker.pid) for worker in workers)


def test_a_killed_worker_stops_the_restore_with_one_line(target: Target) -> None:
    process = start_and_wait(target)
    victim, other = workers_of(process)

    victim.kill()

    target.conn.execute("SELECT pg_advisory_unlock(77)")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "a worker process was killed by signal 9" in said
    assert "Traceback" not in said
    assert not other.is_running()
    [(aside,)] = target.rows("SELECT to_regclass('restore_journal.aside')::text")
    assert aside is None


def test_a_worker_without_memory_stops_the_restore_and_it_goes_on(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_events(target)
    ladder = "from restore.load.ladder import Ladder"
    without = f"{ladder}\nLadder.decode = lambda *_: bytes(1 << 62)\nmain(int"

    def only_listen(ours: crew.Crew, *_: Any) -> None:
        while True:  # until the worker has failed
            ours._take(ours._said.get(timeout=60))

    with monkeypatch.context() as patch:
        patch.setattr(crew.Crew, "load", only_listen)
        patch.setattr(crew, "_START", crew._START.replace("main(int", without))
        error = target.load(jobs=2, chunk_bytes=4_096).error
    assert error is not None
    assert "out of memory" in error
    report = target.load(jobs=2, resume=True)
    assert report.error is None
    rows, rejects = kept(target)
    assert len(rows) + rejects.count("\n") == COUNT


def test_ctrl_c_ends_the_workers(target: Target) -> None:
    process = start_and_wait(target)
    workers = workers_of(process)

    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    target.conn.execute("SELECT pg_advisory_unlock(77)")
    _, said = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "interrupted" in said
    assert "Traceback" not in said
    assert all(ends_soon(worker.pid) for worker in workers)


def test_a_role_with_few_connections_loads_with_fewer_processes(target: Target) -> None:
    write_events(target)
    target.conn.execute("GRANT CREATE ON SCHEMA public TO public")
    with target.role("CONNECTION LIMIT 3") as name:
        target.conn.execute(f"ALTER TABLE event OWNER TO {name}")
        report = target.load(jobs=3)
    assert report.error is None
    assert report.tables[0].read == COUNT
    [warning] = [line for line in report.warnings if "fewer" in line]
    assert "too many connections" in warning


def test_no_password_is_on_a_command_line(target: Target) -> None:
    target.dsn += "&password=s3cret" if "?" in target.dsn else " password=s3cret"
    process = start_and_wait(target)
    try:
        lines = [" ".join(worker.cmdline()) for worker in workers_of(process)]
    finally:
        target.conn.execute("SELECT pg_advisory_unlock(77)")
        process.communicate(timeout=60)
    assert len(lines) == 2
    assert not any("s3cret" in line or "postgres" in line for line in lines)


def test_a_worker_needs_neither_ijson_nor_rich() -> None:
    script = "import sys, restore.schedule.worker; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert not {"ijson", "rich", "tenacity", "sqlalchemy"} & set(done.stdout.split())


def test_no_process_imports_pythons_ssl() -> None:
    ours, theirs = os.pipe()
    os.close(theirs)  # a worker whose parent is gone at once
    worker = ["-c", crew._START, str(crew._ROOT), str(ours)]
    for command in (["-m", "restore", "--version"], worker):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", *command],
            check=False, capture_output=True, text=True, pass_fds=[ours], timeout=60,
        )  # fmt: skip
        imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "asyncio.sslproto" in imported
        assert "_ssl" not in imported
    os.close(ours)
