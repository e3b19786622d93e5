"""The command as a shell or a supervisor meets it: usage, exit codes, streams, signals, secrets."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
import pytest

from restore.cli.run import report_schema
from restore.report.model import Report
from restore.tests.support import command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.tests.support.target import Target

CHECKOUT = Path(__file__).parents[3]
SECRET = "s3cret"
PATIENCE_S = 60
# What the names of variables that a restore reads begin with.
SETTINGS = ("PG", "RESTORE", "DATABASE")


def run(
    folder: Path, *words: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder, with an environment that says nothing of where to."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(SETTINGS)}
    return subprocess.run(
        [sys.executable, "-m", "restore", *words],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(CHECKOUT)} | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def test_help_and_version(tmp_path: Path) -> None:
    for words in (["--help"], ["retry", "--help"]):
        done = run(tmp_path, *words)
        assert done.returncode == 0
        assert "exit codes:" in done.stdout
        assert "examples:" in done.stdout
    assert run(tmp_path, "--version").stdout.startswith("restorebench ")


URL = f"postgresql://me:{SECRET}@127.0.0.1:1/nowhere"

NO_STRING = "--dsn is not a connection string"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "BACKUP is missing"),
        (["retry", "--dsn", URL], "REJECTS is missing"),
        (["backup"], "no target database: give --dsn"),
        (["backup", URL], "another word is one too many"),
        ([URL], "BACKUP is a connection string: write it after --dsn"),
        (["host=h password=s3cret"], "BACKUP is a connection string: write it after --dsn"),
        (["backup", "more", "--dsn", URL], "'more' is one too many"),
        (["backup", "--dns", URL], "there is no option --dns: did you mean --dsn?"),
        (["backup", f"--dns={URL}"], "there is no option --dns: did you mean --dsn?"),
        (["backup", "--dsn"], "argument --dsn: expected one argument"),
        (["backup", "--batch", "5"], "there is no option --batch"),
        (["backup", "--dsn", URL, "--clean", "--append"], "choose one"),
        (["backup", "--dsn", URL, "--batch-size", "x"], "--batch-size takes a number of records"),
        (["backup", "--dsn", URL, "--batch-size", "0.5"], "--batch-size takes a number of records"),
        (["backup", "--dsn", URL, "--jobs", "65"], "--jobs 65 is out of bounds"),
        (["backup", "--dsn", URL, "--jobs", URL], "--jobs takes a whole number"),
        (["backup", "--dsn", URL, "--map", "x"], "--map takes names of files and their tables"),
        (["backup", "--dsn", URL, "--max-rejects", "101%"], "--max-rejects takes a count"),
        (["backup", "--dsn", URL, "--on-conflict", "no"], "--on-conflict takes reject, skip"),
        (["backup", "--dsn", URL, "--timezone", "Mars/X"], "is not a known time zone"),
        (["backup", "--dsn", URL, "--progress", "loud"], "--progress takes auto, bar, plain or"),
        (["backup", "--dsn", URL, f"--clean={URL}"], "ignored explicit argument"),
        (["backup", "--dsn", URL, "--report", "no/r.json"], "cannot write the report no/r.json"),
        (["backup", "--dsn", URL, "--report", "."], "cannot write the report .: Is a directory"),
        (["backup", "--dsn", URL], "no backup at backup"),
        (["backup", "--dsn", f"nonsense {SECRET}"], NO_STRING),
        (["backup", "--dsn", f"postgresql//me:{SECRET}@h/d"], NO_STRING),
        (
            ["backup", "--dsn", f"postgresql://me:{SECRET}@x@h/d"],
            NO_STRING,
        ),
        (
            ["backup", "--dsn", f"postgresql://me:{SECRET}/x@h/d"],
            NO_STRING,
        ),
    ],
)
def test_what_makes_no_sense_is_one_line(
    tmp_path: Path, words: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(SETTINGS):
            monkeypatch.delenv(name)
    done = command.run(*words)
    assert done.exit_code == 2, done.errors
    assert done.output == ""
    [line] = done.errors.splitlines()
    assert line.startswith("restore: ")
    assert message in line
    assert SECRET not in line


def test_variables_name_themselves_and_no_password(tmp_path: Path) -> None:
    done = run(tmp_path, "backup", env={"DATABASE_URL": f"postgresql//me:{SECRET}@h/d"})
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "DATABASE_URL is not a connection string" in done.stderr
    done = run(tmp_path, "backup", env={"RESTORE_CLEAN": "maybe", "RESTORE_DSN": URL})
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "RESTORE_CLEAN takes true or false" in done.stderr
    assert SECRET not in done.stderr


def test_a_check_of_the_report_leaves_no_file_behind(tmp_path: Path) -> None:
    run(tmp_path, "backup", "--dsn", URL, "--report", "report.json")
    assert list(tmp_path.iterdir()) == []


def test_libpq_variables_and_service_files_say_where_to(target: Target, tmp_path: Path) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(target.dsn)
    text = "\n".join(f"{name}={value}" for name, value in parts.items())
    (tmp_path / "services").write_text(f"[shop]\n{text}\n")
    env = {"PGSERVICEFILE": str(tmp_path / "services")}
    if "PGPASSWORD" in os.environ:
        env["PGPASSWORD"] = os.environ["PGPASSWORD"]
    target.write(company=[{"id": 1, "name": "c"}])
    backup = str(target.backup)
    assert run(tmp_path, backup, env=env | {"PGSERVICE": "shop"}).returncode == 0
    target.conn.execute("TRUNCATE company CASCADE")
    done = run(tmp_path, backup, "--dsn", "service=shop", env=env)
    assert done.returncode == 0, done.stderr
    assert target.rows("SELECT id FROM company") == [(1,)]


def test_settings_of_a_toml_file_reach_the_restore(target: Target, tmp_path: Path) -> None:
    target.write(company=[{"id": 1, "name": "c"}], nothing=[])
    config = tmp_path / "conf" / "restore.toml"
    config.parent.mkdir()
    config.write_text('[tool.restore]\nexclude = ["nothing"]\nprogress = "none"\n')
    target.restore("--config", str(config))
    assert target.rows("SELECT id FROM company") == [(1,)]
    assert "nothing" in target.restore("--config", str(config), "--exclude", "company", exit_code=2)


def test_report_on_one_stream_and_progress_on_the_other(target: Target, tmp_path: Path) -> None:
    target.conn.execute("CREATE TABLE alone (id int PRIMARY KEY)")
    target.write(alone=[{"id": 1}, {"id": 1}])
    words = (str(target.backup), "--dsn", target.dsn, "--report", "report.json")
    env = {k: v for k, v in os.environ.items() if k.startswith("PG")}
    done = run(tmp_path, *words, env=env)
    assert done.returncode == 3
    assert "[1/1] alone: " in done.stderr
    assert "By table (records count from 0)" in done.stdout
    assert f"less rejects/{target.backup.name}-" in done.stdout
    report = msgspec.json.decode((tmp_path / "report.json").read_bytes(), type=Report)
    assert (report.schema, report.lost, len(report.next_steps)) == (2, 1, 2)
    done = run(tmp_path, *words, "--clean", "--progress", "none", env=env)
    assert (done.returncode, done.stderr) == (3, "")


@pytest.mark.parametrize("gone", ["stdout", "stderr"])
def test_a_reader_that_is_gone_does_not_stop_the_restore(target: Target, gone: str) -> None:
    target.write(company=[{"id": 1, "name": "c"}])
    reading, writing = os.pipe()
    os.close(reading)
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, gone: writing}
    words = [str(target.backup), "--dsn", target.dsn, "--report", str(target.report)]
    with subprocess.Popen([sys.executable, "-m", "restore", *words], **streams) as process:
        os.close(writing)
        output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == (1 if gone == "stdout" else 0)
    assert b"Traceback" not in (output or b"") + (errors or b"")
    assert target.counts()["company"]["loaded"] == 1


def test_the_schema_of_the_report_is_the_documented_one(tmp_path: Path) -> None:
    documented = (CHECKOUT / "docs" / "report.schema.json").read_text(encoding="utf-8")
    assert documented == report_schema() + "\n"
    assert run(tmp_path, "--report-schema").stdout == documented


@contextlib.contextmanager
def waiting(
    target: Target, dsn: str, *words: str, stderr: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """A restore that waits in the middle of its load, for a key that another session holds."""
    target.conn.execute("CREATE TABLE held (id int PRIMARY KEY)")
    target.write(held=[{"id": n} for n in range(10)])
    target.conn.execute("BEGIN; INSERT INTO held VALUES (5)")
    words = (str(target.backup), "--dsn", dsn, "--rejects", str(target.rejects), *words)
    command = [sys.executable, "-m", "restore", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
    try:
        wait_for_lock(dsn, process)
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_lock(dsn: str, process: subprocess.Popen[str]) -> None:
    query = (
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type ="
        " 'Lock' AND application_name LIKE 'restore%'"
    )
    until = time.monotonic() + PATIENCE_S
    with psycopg.connect(dsn, autocommit=True) as conn:
        while conn.execute(query).fetchone() is None:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("mode", [None, "--append"])
def test_a_signal_ends_it_in_one_line(
    target: Target, number: signal.Signals, mode: str | None
) -> None:
    with waiting(target, target.dsn, *filter(None, [mode]), "--progress", "none") as process:
        process.send_signal(number)
        output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert output == ""
    [line] = errors.splitlines()
    assert line.startswith("restore: interrupted")
    assert line.endswith("no record was read yet; nothing was loaded: run it again")
    target.conn.execute("ROLLBACK")
    assert target.rows("SELECT count(*) FROM held") == [(0,)]


def test_a_second_signal_ends_it_at_once_and_quietly() -> None:
    program = (
        "import os, signal, time\n"
        "from restore.cli.signals import SignalHandler\n"
        "with SignalHandler():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        "        os.kill(os.getpid(), signal.SIGINT); time.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 1
    [line] = done.stderr.split("\n")[1:-1]
    assert line.startswith("restore: stopped at once")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc to see a command line")
@pytest.mark.parametrize("form", ["{}", "--dsn={}"])
def test_a_password_is_in_no_process_title_no_report_and_no_advice(
    target: Target, form: str
) -> None:
    password = os.environ.get("PGPASSWORD", SECRET)
    dsn = psycopg.conninfo.make_conninfo(target.dsn, password=password)
    words = () if form == "{}" else (form.format(dsn),)
    with waiting(target, dsn, *words, "--report", str(target.report)) as process:
        title = Path(f"/proc/{process.pid}/cmdline").read_text(encoding="utf-8")
        target.conn.execute("COMMIT")
        output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 3
    assert "-m\0restore\0" in title
    report = json.loads(target.report.read_bytes())
    told: Any = title + output + errors + json.dumps(report)
    assert "python -m restore" not in output or "--dsn" in output
    assert password not in told
