"""Files of pytest-benchmark: ours are read by its own command, its files by us, gaps closed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from pytest_benchmark.stats import Stats as TheirStats

from harness.cli.app import main
from harness.gate.limits import GateSettings
from harness.gate.pytest_files import from_run
from harness.gate.pytest_files.convert import stats
from harness.gate.pytest_files.file import BenchmarkFile, encode, read
from harness.gate.pytest_files.judge import BLOCKS, PairState, judge, pairs
from harness.gate.verdict import Measure, Regression
from harness.history.store import History
from harness.model.errors import InputError
from harness.model.record import Status, TableResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model.record import Run, Trial

    MakeRun = Callable[..., Run]

CHECKOUT = Path(__file__).parents[3]
SETTINGS = GateSettings()
SLOW_S = (2.2, 2.22, 2.25, 2.18, 2.21)
TIMES_S = (2.0, 2.02, 2.05, 1.98, 2.01)
LOST = TableResult(table="users", expected=1000, found=999, checksum_match=False)

# Two benchmarks, of which one is renamed, fails, or fails only once its time is taken.
MICRO = """
import time

def test_stays(benchmark):
    assert benchmark(sum, range(1000)) == 499500

def test_{name}(benchmark):
    {before}
    benchmark(sum, range(2000))
    {after}
"""


@pytest.fixture
def make(make_run: MakeRun, make_trial: Callable[..., Trial]) -> Callable[..., Run]:
    """Return what makes a run of ``restore`` with these times, and of another engine beside it."""

    def build(times_s: tuple[float, ...] = TIMES_S, *, other: str = "legacy", **of: Any) -> Run:
        trials = [
            trial
            for number, time_s in enumerate(times_s, start=1)
            for trial in (
                make_trial("restore", time_s, round=number, **of),
                make_trial(other, 4 * time_s, round=number),
            )
        ]
        return make_run(*trials)

    return build


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Run], str]:
    """Return what writes a run as a file of pytest-benchmark in the current folder."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, run: Run) -> str:
        (tmp_path / name).write_bytes(encode(from_run(run)))
        return name

    return write


def findings(before: BenchmarkFile, after: BenchmarkFile) -> set[tuple[Measure, Regression]]:
    judged = judge(pairs(before, after), SETTINGS)
    return {(found.measure, found.regression) for found in judged.findings}


def micro(folder: Path, file: str, *options: str, code: int = 0, **of: str) -> dict[str, Any]:
    """Run pytest on benchmarks of its own with our hooks, and return the file that it writes."""
    source = {"name": "goes", "before": "pass", "after": "pass"} | of
    (folder / "test_micro.py").write_text(MICRO.format(**source))
    # Where several processes test, pytest-benchmark measures nothing.
    environment = {key: value for key, value in os.environ.items() if "XDIST" not in key}
    words = ("-q", "-p", "conftest", "-p", "no:cacheprovider", "--benchmark-max-time=0.01")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, f"--benchmark-json={file}", *options],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    made: dict[str, Any] = json.loads((folder / file).read_text())
    return made


def theirs(folder: Path, *words: str) -> str:
    """Run pytest-benchmark's own command."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Failed to load" not in done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("count", range(1, 13))
def test_figures_are_those_that_pytest_benchmark_gives(count: int) -> None:
    rng = random.Random(count)
    for _ in range(20):
        times_s = [rng.lognormvariate(0, 0.5) for _ in range(count)]
        untyped: Any = TheirStats
        told = untyped()
        for time_s in times_s:
            told.update(time_s)
        expected, found = told.as_dict(), msgspec.to_builtins(stats(times_s))
        assert (found.pop("data"), found.pop("iterations")) == (tuple(times_s), 1)
        assert found.pop("outliers") == expected.pop("outliers")
        assert found == pytest.approx(expected)


def test_a_run_is_read_by_pytest_benchmark(
    tmp_path: Path,
    make: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, times_s in ((1, TIMES_S), (2, SLOW_S)):
        day = {"id": f"abcd000{number}", "started_at": f"2024-05-0{number}T00:00:00Z"}
        History(tmp_path / "runs").write(msgspec.structs.replace(make(times_s), **day))
        words = ["history", f"abcd000{number}", "--results", "runs"]
        assert main([*words, "--format", "pytest-benchmark"]) == 0
        (tmp_path / f"{number}.json").write_text(capsys.readouterr().out)
    told = theirs(tmp_path, "compare", "1.json", "2.json", "--columns", "median,ops,rounds")
    assert "1,000 rows of business, faults none" in told
    assert "restore[business-1000-none]" in told
    between = theirs(tmp_path, "compare", "1.json", "2.json", "--between", "median")
    assert "+10.0%" in between
    made = json.loads((tmp_path / "1.json").read_text())
    [restore, _] = made["benchmarks"]
    assert restore["stats"]["data"] == list(TIMES_S)
    assert restore["extra_info"] | {"rows_per_s": 0} == {
        "engine": "restore",
        "rows": 1000,
        "rows_per_s": 0,
        "peak_bytes": 100_000_000,
        "success": 1.0,
        "statuses": {"ok": 5},
        "at_least_s": None,
        "details": [],
    }


def test_an_engine_without_a_time_is_named_and_fails(
    make: Callable[..., Run], written: Callable[[str, Run], str], capsys: pytest.CaptureFixture[str]
) -> None:
    sound = written("sound.json", make())
    broken = written("broken.json", make(status=Status.ERROR, detail="exit code 1: no disk"))
    made = json.loads(Path(broken).read_text())
    assert [each["extra_info"]["engine"] for each in made["benchmarks"]] == ["legacy"]
    assert made["failed"][0]["extra_info"]["statuses"] == {"error": 5}
    assert "legacy[business-1000-none]" in theirs(Path.cwd(), "compare", broken)
    assert main(["gate", broken, "--baseline", sound]) == 4
    assert "failed" in capsys.readouterr().out
    assert main(["compare", sound, broken]) == 0
    assert "no disk" in capsys.readouterr().out
    # Nor does it pass where it had failed before.
    assert main(["gate", broken, "--baseline", broken]) == 4


def test_an_engine_that_was_skipped_fails_only_if_it_was_measured_before(
    make: Callable[..., Run],
) -> None:
    skipped = from_run(make(status=Status.SKIPPED))
    assert findings(skipped, skipped) == set()
    assert findings(from_run(make()), skipped) == {(Measure.PRESENT, Regression.MISSING)}


def test_timeouts_that_hide_the_median_are_no_time(make: Callable[..., Run]) -> None:
    late = from_run(make(status=Status.TIMEOUT))
    assert [each.extra_info["at_least_s"] for each in late.failed] == [2.01]


def test_only_a_finished_run_of_trials_becomes_a_file(make: Callable[..., Run]) -> None:
    with pytest.raises(InputError, match="unfinished"):
        from_run(msgspec.structs.replace(make(), finished_at=None))


def test_the_gate_fails_what_got_worse_and_nothing_else(
    make: Callable[..., Run],
    make_run: MakeRun,
    written: Callable[[str, Run], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = written("before.json", make())
    lossy = {"status": Status.WRONG_RESULT, "tables": (LOST,)}
    run = make()
    one_lost = msgspec.structs.replace(run.trials[0], **lossy)
    cases = {
        "same": (make(TIMES_S[::-1]), 0, "No regression"),
        "slower": (make(SLOW_S), 4, "slower"),
        "fatter": (make(peak_bytes=120_000_000), 4, "more memory"),
        "lossier": (
            msgspec.structs.replace(run, trials=(one_lost, *run.trials[1:])),
            4,
            "less complete",
        ),
        "renamed": (make(other="legacy2"), 4, "missing"),
    }
    for name, (after, code, word) in cases.items():
        assert main(["gate", written(f"{name}.json", after), "--baseline", before]) == code, name
        assert word in capsys.readouterr().out
    assert main(["compare", before, "renamed.json"]) == 0
    told = capsys.readouterr().out
    assert "MISSING" in told
    assert "New: restorebench::legacy2[" in " ".join(told.split())


def test_other_work_is_another_benchmark(make: Callable[..., Run]) -> None:
    run = make()
    larger = msgspec.structs.replace(run, dataset=msgspec.structs.replace(run.dataset, seed=1))
    found = pairs(from_run(run), from_run(larger))
    assert {pair.state for pair in found} == {PairState.MISSING, PairState.NEW}


def test_a_limit_of_ones_own_is_kept(make: Callable[..., Run]) -> None:
    found = pairs(from_run(make()), from_run(make(SLOW_S)))
    wide = GateSettings(engine={name: {"time": 0.2} for name in ("restore", "legacy")})
    assert judge(found, wide).findings == ()


def without_rounds(of: BenchmarkFile) -> BenchmarkFile:
    """Return a file as pytest-benchmark keeps it in its storage."""
    replace = msgspec.structs.replace
    kept = tuple(replace(each, stats=replace(each.stats, data=())) for each in of.benchmarks)
    return replace(of, benchmarks=kept)


def test_without_single_rounds_quartiles_tell(make: Callable[..., Run]) -> None:
    doubtful = (1.95, 2.0, 2.15, 2.2, 2.3)
    before, after, wide = (
        without_rounds(from_run(make(times_s))) for times_s in (TIMES_S, SLOW_S, doubtful)
    )
    assert findings(before, before) == set()
    assert findings(before, after) == {(Measure.TIME, Regression.SLOWER)}
    assert findings(after, before) == set()
    assert findings(before, wide) == set()
    assert "inconclusive" in judge(pairs(before, wide), SETTINGS).not_judged[0]


def test_many_rounds_count_by_stretches_and_load_is_no_slowdown(make: Callable[..., Run]) -> None:
    rng = random.Random(1)
    quiet = tuple(rng.gauss(1, 0.01) for _ in range(1000))
    # Of a busy machine most rounds are slower, and some are as fast as ever.
    busy = tuple(time_s * (1 if n % 10 == 0 else 1.3) for n, time_s in enumerate(quiet))
    slower = tuple(1.1 * time_s for time_s in quiet)
    before = from_run(make(quiet))
    found = pairs(before, from_run(make(slower)))
    assert found[0].time is not None
    assert found[0].time.rounds == BLOCKS
    assert findings(before, from_run(make(slower))) == {(Measure.TIME, Regression.SLOWER)}
    judged = judge(pairs(before, from_run(make(busy))), SETTINGS)
    assert judged.findings == ()
    assert "the machine was busy" in judged.not_judged[0]


def test_times_of_different_hosts_are_refused(
    make: Callable[..., Run], written: Callable[[str, Run], str], capsys: pytest.CaptureFixture[str]
) -> None:
    replace = msgspec.structs.replace
    run = make()
    here = written("here.json", run)
    other_cpu = replace(run, environment=replace(run.environment, cpu="Example CPU 4000"))
    other_server = replace(run, server=replace(run.server, settings={"fsync": "off"}))
    other_node = msgspec.to_builtins(from_run(run))
    other_node["machine_info"]["node"] = "elsewhere"
    Path("node.json").write_text(json.dumps(other_node))
    nameless = {**other_node, "machine_info": {}}
    Path("nameless.json").write_text(json.dumps(nameless))
    written("cpu.json", other_cpu)
    written("server.json", other_server)
    for name in ("cpu.json", "server.json", "node.json", "nameless.json"):
        for words in (["compare", here, name], ["gate", name, "--baseline", here]):
            assert main(words) == 2
            told = capsys.readouterr()
            assert told.out == ""
            assert "host" in told.err
            assert len(told.err.splitlines()) == 1


def damaged(content: dict[str, Any]) -> dict[str, str]:
    """Return a sound file's content, damaged in ways that must be noticed."""
    one = content["benchmarks"][0]

    def with_stats(**changed: object) -> str:
        return json.dumps({**content, "benchmarks": [{**one, "stats": one["stats"] | changed}]})

    return {
        "cut off": json.dumps(content)[:-200],
        "empty": "",
        "a list": "[]",
        "no stats": json.dumps({**content, "benchmarks": [{"name": "x", "fullname": "x"}]}),
        "text for a time": with_stats(median="fast"),
        "no number": with_stats(median=float("nan")),
        "negative": with_stats(min=-1.0),
        "out of order": with_stats(median=9.0),
        "no rounds": with_stats(rounds=0, data=[]),
        "other rounds": with_stats(data=[2.0]),
        "twice": json.dumps({**content, "benchmarks": [one, one]}),
        "nothing": json.dumps({**content, "benchmarks": []}),
    }


def test_a_file_that_is_foreign_or_damaged_is_named_in_a_line(
    make: Callable[..., Run], written: Callable[[str, Run], str], capsys: pytest.CaptureFixture[str]
) -> None:
    sound = written("sound.json", make())
    for name, content in damaged(json.loads(Path(sound).read_text())).items():
        Path("bad.json").write_text(content)
        assert main(["gate", sound, "--baseline", "bad.json"]) == 2, name
        told = capsys.readouterr()
        assert told.out == ""
        assert len(told.err.splitlines()) == 1, name
        assert "bad.json" in told.err
    for words in (["gate", sound], ["gate", sound, "--baseline", "nope"], ["compare", sound]):
        assert main(words) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_file_of_a_run_by_its_name_is_still_a_run(
    tmp_path: Path, make: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = History(tmp_path).write(make())
    monkeypatch.chdir(tmp_path)
    assert main(["gate", path.name, "--results", "."]) == 0


@pytest.mark.slow
def test_micro_benchmarks_that_vanish_fail_or_fail_late_do_not_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sound = micro(tmp_path, "sound.json", "--benchmark-autosave")
    assert (len(sound["benchmarks"]), sound["failed"]) == (2, [])
    assert main(["gate", "sound.json", "--baseline", "sound.json"]) == 0
    [stored] = tmp_path.glob(".benchmarks/*/0001_*.json")
    assert read(stored).benchmarks[0].stats.data == ()
    assert main(["gate", str(stored), "--baseline", "sound.json"]) == 0
    capsys.readouterr()
    for name, change, fails in (
        ("renamed", {"name": "went"}, 0),
        ("failed", {"before": "assert False"}, 1),
        ("failed", {"after": "assert False"}, 1),
    ):
        made = micro(tmp_path, "worse.json", code=fails, **change)
        assert len(made["benchmarks"]) + len(made["failed"]) == 2
        assert main(["gate", "worse.json", "--baseline", "sound.json"]) == 4
        told = capsys.readouterr().out
        assert ("missing" if name == "renamed" else "failed") in told
        assert "test_micro.py::test_goes" in told
