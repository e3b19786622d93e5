"""Trials of a real engine that misbehaves, on a real server; each must come out as what it is."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import msgspec
import psutil
import pytest

from harness.engines.engine import Engine
from harness.model.manifest import load
from harness.model.outcome import Attempt, End, Outcome
from harness.model.record import Status, Trial
from harness.tests.processes import ended
from harness.trial import attempt as trial
from harness.trial import view
from harness.trial.judge import judge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.trial.attempt import TrialContext

    MakeEngine = Callable[..., Engine]
    MakeContext = Callable[..., TrialContext]

# In it an engine that is then stopped must have restored, on a busy machine too.
TIMEOUT_S = 8

BLANK = Trial(engine="small", round=1, warmup=False, status=Status.SKIPPED, started_at=trial.now())


def run(engine: Engine, context: TrialContext) -> Trial:
    return trial.record(BLANK, engine, context.manifest, trial.attempt(engine, context))


def test_a_good_engine_is_ok_and_metered(
    small_engine: MakeEngine, context_of: MakeContext, dataset: Path
) -> None:
    made = run(small_engine(), context_of(dataset))
    assert made.status is Status.OK, made.detail
    assert made.detail is None
    assert (made.expected, made.restored, made.exit_code) == (5, 5, 0)
    assert made.wall_s is not None
    assert made.user_s is not None
    assert made.peak_bytes is not None
    assert 0 < made.user_s < made.wall_s + 1
    assert made.peak_bytes > 10 << 20
    assert made.peak_source == "ru_maxrss"
    assert all(table.checksum_match and table.rejects_match is None for table in made.tables)


@pytest.mark.slow
def test_making_the_database_and_verifying_are_not_in_the_time(
    small_engine: MakeEngine, context_of: MakeContext, dataset: Path
) -> None:
    with (dataset / "schema.sql").open("a") as schema:
        schema.write("SELECT pg_sleep(1.5);")
    began = time.monotonic()
    made = run(small_engine(), context_of(dataset))
    took_s = time.monotonic() - began
    assert made.wall_s is not None
    assert made.wall_s < took_s - 1.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("UPDATE pets SET price = 11 WHERE id = 1", "pets: 1 of 3 rows missing or changed"),
        ("DELETE FROM pets WHERE id = 2", "pets: 1 of 3 rows missing"),
        ("INSERT INTO journal VALUES ('x')", "public.journal: rows changed in a table that"),
        ("DROP TABLE pets", 'relation "public.pets" does not exist'),
    ],
)
def test_a_row_that_is_changed_by_hand_is_a_wrong_result(
    small_engine: MakeEngine, context_of: MakeContext, dataset: Path, sql: str, says: str
) -> None:
    made = run(small_engine(f"sql={sql}"), context_of(dataset))
    assert made.status is Status.WRONG_RESULT
    assert says in (made.detail or "")


def test_tables_that_an_engine_makes_for_itself_must_be_gone_at_the_end(
    small_engine: MakeEngine, context_of: MakeContext, dataset: Path
) -> None:
    temporary = small_engine("sql=CREATE TEMP TABLE progress AS SELECT 1")
    assert run(temporary, context_of(dataset)).status is Status.OK
    made = run(small_engine("sql=CREATE TABLE progress AS SELECT 1"), context_of(dataset))
    assert made.status is Status.WRONG_RESULT
    assert "table public.progress is new" in (made.detail or "")
    assert "table public.progress is new" in made.differences


@pytest.mark.slow
def test_an_engine_must_not_change_the_backup(
    small_engine: MakeEngine, context_of: MakeContext, dataset: Path
) -> None:
    made = run(small_engine("append={backup}"), context_of(dataset))
    assert made.status is Status.WRONG_RESULT
    assert made.differences == ("the backup's file pets.json was changed by the engine",)


def test_a_run_beside_it_that_links_the_files_changes_none(dataset: Path) -> None:
    with view.backup_view(dataset) as files:
        before = view.stamp(files, dataset)
        with view.backup_view(dataset):
            assert view.changed(before, files) == []
        assert view.changed(before, files) == []
        pets = files / "pets.json"
        state, content = pets.stat(), pets.read_bytes()
        pets.write_bytes(content[::-1])
        os.utime(pets, ns=(state.st_atime_ns, state.st_mtime_ns))
        hidden = view.changed(before, files)
        assert hidden == ["the backup's file pets.json was changed by the engine"]


def test_a_report_that_is_none_is_a_wrong_result(
    small_engine: MakeEngine, context_of: MakeContext, dataset: Path
) -> None:
    made = run(small_engine("report={report}"), context_of(dataset))
    assert made.status is Status.WRONG_RESULT
    assert "report: not valid JSON" in (made.detail or "")
    assert bytes(made.report) == b"null"


def test_an_engine_sees_the_backup_alone(
    small_engine: MakeEngine, context_of: MakeContext, dataset: Path
) -> None:
    assert {path.name for path in dataset.iterdir()} > {"manifest.json", "schema.sql"}
    engine = small_engine("list={backup}")
    made = run(engine, context_of(dataset))
    assert made.status is Status.ERROR
    folder, *names = (made.detail or "").removeprefix("exit code 9: ").split()
    assert names == ["owners.json", "pets.json"]
    assert folder != str(dataset.parent)


@pytest.mark.slow
def test_a_timeout_kills_the_children_too(
    small_engine: MakeEngine, context_of: MakeContext, dataset: Path, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    engine = small_engine(f"child={pid_file}", "sleep=600")
    made = run(engine, context_of(dataset, timeout_s=TIMEOUT_S))
    assert made.status is Status.TIMEOUT
    assert made.wall_s is not None
    assert TIMEOUT_S <= made.wall_s < 60
    assert made.restored == 5  # it is still verified for its success rate
    assert made.exit_code is None
    assert ended(int(pid_file.read_text()))


def test_children_that_outlive_their_engine_are_killed(
    small_engine: MakeEngine, context_of: MakeContext, dataset: Path, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    made = run(small_engine(f"child={pid_file}"), context_of(dataset))
    assert made.status is Status.OK
    assert ended(int(pid_file.read_text()))


@pytest.mark.slow
def test_what_a_killed_engine_left_open_is_rolled_back_before_verifying(
    small_engine: MakeEngine, context_of: MakeContext, dataset: Path
) -> None:
    made = run(small_engine("hold-lock"), context_of(dataset, timeout_s=TIMEOUT_S))
    assert made.status is Status.TIMEOUT
    assert made.restored == 5


def test_a_memory_hog_is_oom(
    small_engine: MakeEngine, context_of: MakeContext, dataset: Path
) -> None:
    made = run(small_engine("hog"), context_of(dataset, memory_bytes=256 << 20))
    assert made.status is Status.OOM
    assert made.peak_bytes is not None
    assert made.peak_bytes > 256 << 20
    assert "memory" in (made.detail or "")


def test_a_crash_is_killed_with_its_signal(
    small_engine: MakeEngine, context_of: MakeContext, dataset: Path
) -> None:
    made = run(small_engine("signal=11"), context_of(dataset))
    assert (made.status, made.signal, made.exit_code) == (Status.KILLED, 11, None)
    assert made.detail == "killed by SIGSEGV"


def test_an_error_has_the_last_line_that_was_said(
    small_engine: MakeEngine, context_of: MakeContext, dataset: Path
) -> None:
    made = run(small_engine("restore-nothing", "say=it broke", "exit=1"), context_of(dataset))
    assert made.status is Status.ERROR
    assert made.detail == "exit code 1: it broke"
    assert (made.expected, made.restored) == (5, 0)


def test_a_program_that_is_not_there_is_an_error(context_of: MakeContext, dataset: Path) -> None:
    made = run(Engine(name="none", template=("no-such-program",)), context_of(dataset))
    assert made.status is Status.ERROR
    assert made.detail == ("could not be started: no-such-program: No such file or directory")


def test_passwords_that_an_engine_says_are_not_kept(
    small_engine: MakeEngine, context_of: MakeContext, dataset: Path
) -> None:
    url = "postgresql://me:s3cret@localhost/db"
    made = run(small_engine(f"say=no {url} password=s3cret", "exit=1"), context_of(dataset))
    assert made.status is Status.ERROR
    assert "s3cret" not in msgspec.json.encode(made).decode()
    assert "postgresql://me:***@localhost/db" in (made.detail or "")


def test_rejects_that_are_named_are_ok(
    small_engine: MakeEngine, context_of: MakeContext, damaged_dataset: Path
) -> None:
    made = run(small_engine(keeps_rejects=True), context_of(damaged_dataset))
    assert made.status is Status.OK, made.detail
    assert made.exit_code == 3
    assert all(table.rejects_match for table in made.tables)


def test_a_reject_that_is_not_named_is_a_wrong_result(
    small_engine: MakeEngine, context_of: MakeContext, damaged_dataset: Path
) -> None:
    engine = small_engine("forget-rejects=1", keeps_rejects=True)
    made = run(engine, context_of(damaged_dataset))
    assert made.status is Status.WRONG_RESULT
    assert "pets: rejects: 1 of 2 missing" in (made.detail or "")
    assert made.restored == made.expected


@pytest.mark.slow
@pytest.mark.parametrize("keeps_rejects", [True, False])
def test_saying_all_restored_is_wrong_where_rejects_are_promised(
    small_engine: MakeEngine, context_of: MakeContext, damaged_dataset: Path, *, keeps_rejects: bool
) -> None:
    engine = small_engine("exit=0", keeps_rejects=keeps_rejects)
    made = run(engine, context_of(damaged_dataset))
    assert made.status is (Status.WRONG_RESULT if keeps_rejects else Status.OK)
    if keeps_rejects:
        assert "exit code 0" in (made.detail or "")


def test_saying_rejects_where_there_are_none_is_wrong(
    small_engine: MakeEngine, context_of: MakeContext, dataset: Path
) -> None:
    made = run(small_engine("exit=3", keeps_rejects=True), context_of(dataset))
    assert made.status is Status.WRONG_RESULT
    assert "every record can be restored" in (made.detail or "")


def test_nothing_is_left_of_a_trial(
    small_engine: MakeEngine,
    context_of: MakeContext,
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    context = context_of(dataset)
    processes = set(psutil.Process().children(recursive=True))
    files = set(tmp_path.iterdir())
    databases = names_of_databases(context)
    run(small_engine(), context)
    assert set(tmp_path.iterdir()) == files
    left = set(psutil.Process().children(recursive=True)) - processes
    kinds = {one.info["name"] for one in psutil.process_iter(["name"]) if one in left}
    assert kinds <= {"postgres"}  # the server has its own helpers
    assert names_of_databases(context) == databases


def names_of_databases(context: TrialContext) -> set[str]:
    with context.server.connect("postgres") as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome(end=End.TIMEOUT, wall_s=3.0), Status.TIMEOUT),
        (Outcome(end=End.OOM), Status.OOM),
        (Outcome(end=End.SIGNALLED, signal=9), Status.KILLED),
        (Outcome(end=End.INTERRUPTED), Status.INTERRUPTED),
        (Outcome(end=End.NOT_STARTED, error="x"), Status.ERROR),
        (Outcome(end=End.EXITED, exit_code=2), Status.ERROR),
    ],
)
def test_a_failure_stays_one_though_the_rows_are_there(
    dataset: Path, outcome: Outcome, status: Status
) -> None:
    truth = load(dataset)
    tried = Attempt(outcome=outcome, tables=())
    assert judge(Engine(name="x", template=()), truth, tried)[0] is status
