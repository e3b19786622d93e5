"""Several threads do what one does: the same rows, the same rejects, and nothing left behind."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from harness.chaos.proxy import HOST, Proxy
from harness.tests.processes import comes_true
from restore.decode.shapes import ShapeLearner
from restore.errors import Interrupted
from restore.report.events import Progress
from restore.schedule import queue
from restore.schedule import scheduler as loading
from restore.tests.support.target import COMPANIES, user

if TYPE_CHECKING:
    from restore.tests.support.target import Target

SCHEMA = """
    CREATE TABLE event (n int NOT NULL, kind text, at timestamptz, data jsonb, flag int);
    CREATE TABLE counted (id serial, word text);
    CREATE TABLE told (id int PRIMARY KEY, n int);
"""
COUNT = 3_000
PATIENCE_S = 180.0  # no deadline of its own: other work may keep the machine busy
# What a process that restores is given: small files are worth connections, and many shards.
SCRIPT = """
import sys
from restore.schedule import scheduler as loading
from restore.schedule import queue
loading._WORTH_BYTES = queue._WORTH_A_CONNECTION_BYTES = queue._SMALLEST_SHARD_BYTES = 20_000
from restore.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_WORTH_BYTES", 20_000)
    for name in ("_WORTH_A_CONNECTION_BYTES", "_SMALLEST_SHARD_BYTES", "_HELD_SHARD_BYTES"):
        monkeypatch.setattr(queue, name, 20_000)


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


@pytest.mark.slow
def test_rows_and_rejects_are_the_same_for_any_number_of_threads(target: Target) -> None:
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


@pytest.mark.slow
def test_duplicates_and_orphans_are_the_same_for_any_number_of_threads(target: Target) -> None:
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


@pytest.mark.slow
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


WAITING = """
    SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database
    WHERE datname = current_database() AND NOT granted AND objid = 77
"""
SESSIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'restore' AND datname = current_database()
"""


def start_and_wait(target: Target, *arguments: str) -> subprocess.Popen[str]:
    """Start a restore of which two threads wait for a lock in the middle of their work."""
    write_events(target)
    target.conn.execute(
        "CREATE FUNCTION hold() RETURNS bool LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_advisory_xact_lock(77); RETURN true; END $$;"
        "ALTER TABLE event ADD CHECK (n <> 2900 AND n <> 1400 AND n <> 60 OR hold())"
    )
    target.conn.execute("SELECT pg_advisory_lock(77)")
    process = subprocess.Popen(
        command(target, *arguments), stderr=subprocess.PIPE, text=True, process_group=0
    )
    if not comes_true(lambda: len(target.rows(WAITING)) >= 2, PATIENCE_S):
        process.kill()
        raise AssertionError(process.communicate())
    return process


def ended(target: Target, process: subprocess.Popen[str]) -> str:
    """Wait until a restore ends with 1, and its sessions with it; return what it said."""
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert comes_true(lambda: target.rows(SESSIONS) == [(0,)], PATIENCE_S)
    return said


@pytest.mark.slow
def test_all_sessions_end_with_a_process_that_is_killed(target: Target) -> None:
    process = start_and_wait(target)

    process.kill()
    process.communicate()

    assert comes_true(lambda: target.rows(SESSIONS) == [(0,)], PATIENCE_S)


@pytest.mark.slow
def test_a_thread_that_fails_stops_the_others_with_one_line(target: Target) -> None:
    process = start_and_wait(target, "--retry-for", "0")
    [(victim,), *_] = target.rows(WAITING)

    target.conn.execute("SELECT pg_terminate_backend(%s)", [victim])

    assert "the connection to the database is lost" in ended(target, process)
    target.conn.execute("SELECT pg_advisory_unlock(77)")
    target.restore("--resume", exit_code=3)
    assert target.counts()["event"]["read"] == COUNT


def test_a_thread_without_memory_stops_the_restore_and_it_goes_on(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_events(target)
    with monkeypatch.context() as patch:
        patch.setattr(ShapeLearner, "decode", lambda *_: bytes(1 << 62))
        error = target.load(jobs=2, chunk_bytes=4_096).error
    assert error is not None
    assert "out of memory" in error
    report = target.load(jobs=2, resume=True)
    assert report.error is None
    rows, rejects = kept(target)
    assert len(rows) + rejects.count("\n") == COUNT


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_threads_that_wait_for_the_server(
    target: Target, number: signal.Signals
) -> None:
    process = start_and_wait(target)

    process.send_signal(number)

    assert "interrupted" in ended(target, process)


@pytest.mark.slow
def test_a_signal_ends_threads_whose_server_hangs(target: Target) -> None:
    """Neither a cancel request nor the statement is ever answered."""
    directory = str(psycopg.conninfo.conninfo_to_dict(target.dsn).get("host"))
    if not directory.startswith("/"):
        pytest.skip("the proxy leads to a Unix socket")
    proxy = Proxy(Path(directory) / f".s.PGSQL.{target.conn.info.port}")
    with proxy.serving():
        direct = target.dsn
        target.dsn = psycopg.conninfo.make_conninfo(direct, host=HOST, port=proxy.port)
        process = start_and_wait(target)
        proxy.stall()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE_S)
        target.dsn = direct
    assert process.returncode == 1, said
    assert "interrupted" in said
    assert "Traceback" not in said


def test_what_a_signal_left_dropped_is_resumed(target: Target) -> None:
    """Nothing is rebuilt that would be dropped again; the line says what to do."""
    target.conn.execute(
        "CREATE TABLE stopped (id int PRIMARY KEY, n int);"
        "CREATE FUNCTION stop() RETURNS bool LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_advisory_xact_lock(77); RETURN true; END $$;"
        "ALTER TABLE stopped ADD CHECK (id <> 2900 OR stop())"
    )
    target.write(stopped=[{"id": n, "n": n} for n in range(COUNT)])
    target.conn.execute("SELECT pg_advisory_lock(77)")
    process = subprocess.Popen(command(target, "--chunk-bytes=4096"), stderr=-1, text=True)
    assert comes_true(lambda: bool(target.rows(WAITING)), PATIENCE_S)

    process.send_signal(signal.SIGINT)

    said = ended(target, process)
    assert "dropped or disabled: continue with --resume, or recreate them with `" in said
    indexes = "SELECT count(*) FROM pg_index WHERE indrelid = 'stopped'::regclass"
    assert target.rows(indexes) == [(0,)]
    target.conn.execute("SELECT pg_advisory_unlock(77)")
    target.restore("--resume")
    assert target.rows(indexes) == [(1,)]
    assert target.counts()["stopped"]["loaded"] == COUNT


def test_what_a_callback_raises_is_raised_and_ends_the_threads(target: Target) -> None:
    write_events(target)

    def interrupt(event: object) -> None:
        if isinstance(event, Progress):
            raise KeyboardInterrupt

    before = set(threading.enumerate())  # other tests may have left some
    with pytest.raises(Interrupted):
        target.load(jobs=3, watch=interrupt, chunk_bytes=4_096)
    assert set(threading.enumerate()) <= before


def test_a_role_with_few_connections_loads_with_fewer_threads(target: Target) -> None:
    write_events(target)
    target.conn.execute("GRANT CREATE ON SCHEMA public TO public")
    with target.role("CONNECTION LIMIT 3") as name:
        target.conn.execute(f"ALTER TABLE event OWNER TO {name}")
        target.conn.execute(f"GRANT CREATE ON DATABASE {target.conn.info.dbname} TO {name}")
        report = target.load(jobs=3)
    assert report.error is None
    assert report.tables[0].read == COUNT
    # A session that ends counts until the server has closed it, so a second one may be refused.
    warnings = [line for line in report.warnings if "fewer" in line]
    assert len(warnings) in {1, 2}
    assert all("too many connections" in line for line in warnings)


def test_the_threads_need_neither_ijson_nor_rich() -> None:
    script = "import sys, restore.schedule.threads; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert not {"ijson", "rich", "tenacity", "sqlalchemy"} & set(done.stdout.split())


def test_pythons_ssl_is_not_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "restore", "backup", "--dsn", "host=/nowhere"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "asyncio.sslproto" in imported
    assert "_ssl" not in imported
