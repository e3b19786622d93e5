"""The command line as a user meets it: real processes, exit codes, two streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.cli.app import main
from harness.history.store import History

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from harness.model.record import Run, Trial

CHECKOUT = Path(__file__).parents[3]

MANIFEST = {
    "schema": 2,
    "generator": "1",
    "scenario": "by-hand",
    "rows": 1000,
    "seed": 0,
    "faults": "none",
    "style": "lines",
    "compress": "none",
    "json_bytes": 450_000,
    "tables": [
        {
            "table": "users",
            "file": "users.json",
            "records": 1000,
            "bytes": 450_000,
            "rows": 1000,
            "checksum": "0",
            "columns": [{"name": "id", "form": "text"}],
        }
    ],
    "damage": [],
}


class Harness:
    """Runs ``python -m harness`` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(
        self, *arguments: str | Path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "harness", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), **environment},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    return Harness(tmp_path)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    (folder / "schema.sql").write_text("")
    return folder


@pytest.fixture
def two_runs(
    tmp_path: Path, make_run: Callable[..., Run], make_trial: Callable[..., Trial]
) -> Path:
    history = History(tmp_path / "results" / "local")
    for number, factor in ((1, 1.0), (2, 2.0)):
        trials = (make_trial("legacy", 10.0), make_trial("restore", factor))
        history.write(
            make_run(*trials, id=f"abcd000{number}", started_at=f"2024-05-0{number}T00:00:00Z")
        )
    return history.root


def failed_with(done: subprocess.CompletedProcess[str], code: int) -> str:
    """Assert that a command failed as a user should see it, and return its one line."""
    assert done.returncode == code
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_help_names_the_commands_and_exit_codes(harness: Harness) -> None:
    done = harness("--help")
    assert done.returncode == 0
    for word in ("generate", "bench", "history", "compare", "exit codes", "3  finished"):
        assert word in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("command", ["generate", "bench", "history", "compare"])
def test_every_command_has_help(harness: Harness, command: str) -> None:
    done = harness(command, "--help")
    assert done.returncode == 0
    assert "usage: python -m harness " + command in done.stdout


def test_version(harness: Harness) -> None:
    assert harness("--version").stdout.startswith("restorebench 0.")


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("restore",),
        ("history", "--limit", "few"),
        ("compare", "--format", "pdf"),
        ("bench", "--no-such-option"),
    ],
)
def test_usage_that_makes_no_sense_exits_2(harness: Harness, arguments: tuple[str, ...]) -> None:
    done = harness(*arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_bench_ends_with_a_table_and_keeps_the_run(harness: Harness, dataset: Path) -> None:
    engines = ("--engine", "fake:wall=4,mib=400", "--engine", "fake:wall=1,mib=100")
    done = harness("bench", "--dataset", dataset, *engines, "--rounds", "3")
    assert done.returncode == 0, done.stderr
    assert "fake:wall=1,mib=100" in done.stdout
    assert "3/3" in done.stdout
    assert "round 3" in done.stderr
    listed = harness("history")
    assert listed.returncode == 0
    assert "by-hand" in listed.stdout
    shown = harness("history", "latest")
    assert shown.stdout == done.stdout
    assert len(list((harness.folder / "results" / "local").glob("*.json"))) == 1


def test_bench_with_trials_that_are_not_ok_exits_3(harness: Harness, dataset: Path) -> None:
    done = harness("bench", "--dataset", dataset, "--engine", "fake:wall=1,restored=0.5")
    assert done.returncode == 3
    assert "wrong_result" in done.stdout
    assert "50.00%" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bench", "--engine", "fakes"), "fakes"),
        (("bench", "--rounds", "0"), "--rounds 0"),
        (("bench", "--faults", "mild"), "mild"),
        (("bench", "--dataset", "nowhere"), "nowhere"),
        (("generate", "--rows", "-1", "--out", "made"), "-1"),
        (("history", "--results", "nowhere"), "nowhere: there is no such folder"),
        (("history", "--limit", "0"), "--limit 0"),
        (("compare", "a", "b", "c"), "name two"),
        (("compare",), "the history holds no run"),
        (("history", "abcd"), "the history is empty"),
    ],
)
def test_input_that_makes_no_sense_is_one_line_and_exits_2(
    harness: Harness, arguments: tuple[str, ...], said: str
) -> None:
    line = failed_with(harness(*arguments), 2)
    assert line.startswith(f"python -m harness {arguments[0]}: ")
    assert said in line


@pytest.mark.slow
def test_a_password_is_never_repeated(harness: Harness) -> None:
    for url in ("postgresql://me:hunter2@127.0.0.1:1/x", "postgres//me:hunter2@host"):
        done = harness("bench", "--rows", "100", "--server", url)
        assert done.returncode in {1, 2}
        assert "hunter2" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_an_empty_history_is_no_error(harness: Harness) -> None:
    done = harness("history")
    assert (done.returncode, done.stdout) == (0, "")
    assert "python -m harness bench" in done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("two_runs")
def test_the_history_shows_the_newest_last_and_says_what_it_left_out(harness: Harness) -> None:
    listed = harness("history")
    assert listed.stdout.index("abcd0001") < listed.stdout.index("abcd0002")
    newest = harness("history", "--limit", "1")
    assert "abcd0001" not in newest.stdout
    assert "--limit 2 lists all" in newest.stdout


def test_a_damaged_file_is_a_warning(harness: Harness, two_runs: Path) -> None:
    (two_runs / "bad.json").write_text("{")
    done = harness("history", "--results", two_runs)
    assert done.returncode == 0
    assert "abcd0002" in done.stdout
    assert "warning: " in done.stderr
    assert "bad.json was skipped" in done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("two_runs")
@pytest.mark.parametrize(
    "ids", [(), ("abcd0001", "abcd0002"), ("abcd0001",), ("20240501", "latest")]
)
def test_compare_takes_the_older_as_the_before(harness: Harness, ids: tuple[str, ...]) -> None:
    done = harness("compare", *ids)
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("Before: Run abcd0001") < done.stdout.index("After: Run abcd0002")
    assert "2.0x slower" in done.stdout


def test_compare_takes_the_newest_two_of_many(
    harness: Harness, two_runs: Path, make_run: Callable[..., Run]
) -> None:
    History(two_runs).write(make_run(id="abcd0000", started_at="2020-01-01T00:00:00Z"))
    done = harness("compare")
    assert "Before: Run abcd0001" in done.stdout
    assert "After: Run abcd0002" in done.stdout


@pytest.mark.usefixtures("two_runs")
def test_compare_with_a_run_that_is_not_there_names_the_near_ones(harness: Harness) -> None:
    assert "abcd0002" in failed_with(harness("compare", "abcd0009", "latest"), 2)
    assert "two different ones" in failed_with(harness("compare", "latest"), 2)


@pytest.mark.slow
@pytest.mark.usefixtures("two_runs")
def test_markdown(harness: Harness) -> None:
    for arguments in (("history",), ("history", "latest"), ("compare",)):
        done = harness(*arguments, "--format", "markdown")
        assert done.returncode == 0
        assert "| :--- |" in done.stdout


@pytest.mark.usefixtures("two_runs")
def test_a_narrow_encoding_breaks_nothing(harness: Harness) -> None:
    done = harness("compare", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def history_into(output: TextIO, harness: Harness, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", "history", *words],
        cwd=harness.folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.usefixtures("two_runs")
def test_a_reader_that_leaves_early_is_no_traceback(harness: Harness) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        done = history_into(pipe, harness)
    assert done.returncode == 1
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
@pytest.mark.usefixtures("two_runs")
def test_a_full_disk_is_a_line(harness: Harness) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = history_into(full, harness, "--format", "csv")
    assert done.returncode == 1
    assert "history: cannot write the output: No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def judged_runs(
    tmp_path: Path, make_run: Callable[..., Run], make_trial: Callable[..., Trial]
) -> Callable[..., None]:
    """Return what writes a run whose restore takes so long."""
    history = History(tmp_path / "results" / "local")

    def write(number: int, wall_s: float) -> None:
        trials = [
            make_trial(engine, seconds * (1 + 0.001 * round_), round=round_)
            for round_ in range(1, 6)
            for engine, seconds in (("restore", wall_s), ("floor", 1.0))
        ]
        started_at = f"2024-05-{number:02}T00:00:00Z"
        history.write(make_run(*trials, id=f"abcd{number:04}", started_at=started_at))

    return write


@pytest.mark.slow
def test_the_gate_fails_what_got_slower_until_that_is_accepted(
    harness: Harness, judged_runs: Callable[..., None]
) -> None:
    judged_runs(1, 2.0)
    first = harness("gate")
    assert (first.returncode, "no earlier run" in first.stdout) == (0, True), first.stderr
    for number in range(2, 10):
        judged_runs(number, 2.0 + number / 1000)
    assert harness("gate").returncode == 0
    judged_runs(10, 2.6)
    failed = harness("gate")
    assert failed.returncode == 4, failed.stderr
    assert "slower" in failed.stdout
    assert harness("accept", "--why", "we check more now").returncode == 0
    assert harness("gate").returncode == 0
    kept = (harness.folder / "results" / "accepted.jsonl").read_text()
    assert "we check more now" in kept
    named = harness("gate", "--baseline", "abcd0001", "abcd0002")
    assert (named.returncode, "abcd0001" in named.stdout) == (0, True)


@pytest.mark.parametrize("content", ["", "{", '{"schema": 99}', '{"schema": NaN}'])
def test_a_newest_run_that_cannot_be_read_is_not_passed_over(
    judged_runs: Callable[..., None],
    content: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    judged_runs(2, 2.0)
    results = tmp_path / "results" / "local"
    damaged = results / "20240503T000000Z-abcd0003.json"
    damaged.write_text(content)
    for words in (("gate",), ("accept", "--why", "x")):
        assert main((*words, "--results", str(results))) == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert f"the newest run, {damaged}, cannot be judged: " in line
        assert "name the run to judge, or delete that file" in line
    assert main(("gate", "abcd0002", "--results", str(results))) == 0
    damaged.rename(results / "20240501T000000Z-abcd0001.json")
    assert main(("gate", "--results", str(results))) == 0


def test_a_newest_run_that_is_unfinished_is_not_passed_over(
    judged_runs: Callable[..., None],
    make_run: Callable[..., Run],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    judged_runs(2, 2.0)
    history = History(tmp_path / "results" / "local")
    started_at = "2024-05-03T00:00:00Z"
    history.write(make_run(id="abcd0003", started_at=started_at, finished_at=None))
    assert main(("gate", "--results", str(history.root))) == 2
    said = capsys.readouterr().err
    assert "run abcd0003 is unfinished" in said
    assert "bench --resume abcd0003" in said
    # A comparison of commits is judged by its own command.
    history.write(make_run(id="abcd0003", started_at=started_at, parameters={"commits": ["a"]}))
    assert main(("gate", "--results", str(history.root))) == 0


def test_accepting_needs_a_reason_and_an_engine_that_is_there(
    harness: Harness, judged_runs: Callable[..., None]
) -> None:
    judged_runs(1, 2.0)
    assert harness("accept").returncode == 2
    assert "--why is empty" in failed_with(harness("accept", "--why", " "), 2)
    assert "has only" in failed_with(harness("accept", "--why", "x", "--engine", "psql"), 2)


def test_ctrl_c_while_a_command_is_imported_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.cli.app.importlib.import_module", interrupted)
    assert main(("gate",)) == 1
    assert capsys.readouterr().err == "python -m harness: stopped\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bnech",), "there is no command 'bnech': did you mean bench?"),
        (("bench", "--rosw=5"), "there is no option --rosw: did you mean --rows?"),
        (("bench", "--nothing-like-it"), "there is no option --nothing-like-it: --help lists"),
        (("selftest", "c"), "'c' is one too many; options begin with --"),
    ],
)
def test_a_slip_of_the_finger_is_told(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
