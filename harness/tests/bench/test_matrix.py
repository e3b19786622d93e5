"""A matrix of runs, made by fake engines: its cells, what it leaves, and how it goes on."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from harness.analysis.figures import figures
from harness.analysis.scaling import growth, scalings
from harness.bench.matrix import BYTES_PER_ROW, Matrix, check_disk, run_matrix
from harness.bench.options import BenchOptions, engine, options_from_run
from harness.bench.run import run_bench
from harness.cli.app import main
from harness.cli.values import row_count, row_counts
from harness.history.store import History
from harness.model.errors import HarnessError, InputError
from harness.report.blocks import to_markdown
from harness.report.scaling import scaling_report

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model.record import Run

FAST, SLOW = "fake:wall=1,mib=10", "fake:wall=9,end=timeout,restored=0"
AXES = Matrix(
    rows=(20, 10),
    profiles=("bulk",),
    faults=("none", "realistic"),
    memory_bytes=(None, 2 << 30),
    timeout_s=10.0,
    timeout_per_million_s=1e6,
)


@pytest.fixture
def options(tmp_path: Path) -> BenchOptions:
    return BenchOptions(
        engines=(engine(FAST), engine(SLOW)),
        rounds=1,
        warmup=0,
        repeats=0,
        results=tmp_path / "results",
        cache=tmp_path / "cache",
    )


def made(runs: tuple[Run, ...]) -> list[tuple[Any, ...]]:
    return [
        (run.dataset.rows, run.dataset.faults, run.parameters["memory_limit_bytes"]) for run in runs
    ]


def test_cells_come_size_by_size_and_have_more_time_the_larger_they_are() -> None:
    cells = list(AXES.cells())
    assert [cell.rows for cell in cells] == [10] * 4 + [20] * 4
    assert [cells[0].timeout_s, cells[-1].timeout_s] == [20.0, 30.0]
    assert str(cells[1]) == "10 rows, bulk, faults none, 2,147,483,648 bytes"


def test_every_cell_is_a_run_and_no_dataset_stays(options: BenchOptions, tmp_path: Path) -> None:
    runs = run_matrix(AXES, options, lambda _: None)
    assert made(runs) == [
        (rows, faults, memory)
        for rows in (10, 20)
        for faults in ("none", "realistic")
        for memory in (None, 2 << 30)
    ]
    assert all(run.finished_at for run in runs)
    assert [run.parameters["timeout_s"] for run in runs] == [20.0] * 4 + [30.0] * 4
    assert len({run.parameters["matrix"] for run in runs}) == 1
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_matrix_that_was_stopped_makes_what_is_missing(
    options: BenchOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = run_bench, []

    def stopped(*given: Any, **named: Any) -> Run:
        calls.append(given)
        if len(calls) == 3:
            raise HarnessError("the server died")
        return real(*given, **named)

    monkeypatch.setattr("harness.bench.matrix.run_bench", stopped)
    with pytest.raises(HarnessError, match="died"):
        run_matrix(AXES, options, lambda _: None)
    assert options.results is not None
    before = History(options.results).runs().runs
    assert len(before) == 2
    name = str(before[0].parameters["matrix"])
    runs = run_matrix(AXES, options, lambda _: None, resume=name)
    assert len(calls) == 3 + 6
    assert {run.id for run in before} < {run.id for run in runs}
    assert len(made(runs)) == len(set(made(runs))) == 8
    with pytest.raises(InputError, match="it has no run"):
        run_matrix(AXES, options, lambda _: None, resume="none")


def test_an_engine_that_takes_long_gets_no_further_round(options: BenchOptions) -> None:
    given = dataclasses.replace(options, rounds=3, time_per_engine_s=2.0)
    run = run_bench(given, announce=lambda _: None)
    assert run.finished_at
    assert Counter(trial.engine for trial in run.trials) == {FAST: 2, SLOW: 1}
    assert options_from_run(run).time_per_engine_s == 2.0


def test_a_disk_that_is_too_small_is_found_before_anything_starts(tmp_path: Path) -> None:
    check_disk(1, tmp_path)
    with pytest.raises(HarnessError, match="free some, or leave that size out"):
        check_disk(10**15 // BYTES_PER_ROW, tmp_path)


def test_sizes_stand_side_by_side_with_failures_as_what_they_are(options: BenchOptions) -> None:
    axes = Matrix((10, 20), ("bulk",), ("none",), (None,), 10.0)
    small, large = run_matrix(axes, options, lambda _: None)
    text = to_markdown(scaling_report(scalings([figures(small), figures(large)])))
    fast, slow = (line for line in text.splitlines() if "fake" in line)
    assert fast.count("1.00 s (10.5 MB)") == 2
    assert slow.count("> 9.00 s (timeout)") == 2
    assert slow.rstrip(" |").endswith("-")


@pytest.mark.parametrize(
    ("figures", "slope", "name"),
    [
        ({10: [1.0], 100: [10.0]}, 1.0, "linear"),
        ({10: [1.0], 100: [100.0]}, 2.0, "faster than linear"),
        ({1: [1.0], 10: [5.0], 100: [1.0]}, 0.0, "constant"),
    ],
)
def test_growth_is_the_exponent(figures: dict[int, list[float]], slope: float, name: str) -> None:
    found = growth(figures)
    assert found is not None
    assert found.slope == pytest.approx(slope)
    assert found.name == name


def test_one_size_has_no_growth() -> None:
    assert growth({}) is None
    assert growth({10: [1.0, 2.0]}) is None


@pytest.mark.parametrize(
    ("text", "rows"),
    [("100000", 100_000), ("100k", 100_000), ("1M", 1_000_000), ("1.5M", 1_500_000), ("2K", 2000)],
)
def test_numbers_of_rows(text: str, rows: int) -> None:
    assert row_count(text) == rows
    assert row_counts(f"{text},1k,{text}") == (rows, 1000)


@pytest.mark.parametrize("text", ["", "k", "1.5", "1m", "1e5", "0.0001k"])
def test_what_is_no_number_of_rows(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no number of rows"):
        row_count(text)


def test_bench_of_several_sizes_and_bench_full(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    few = ("--rounds", "1", "--results", str(tmp_path / "r"), "--engine", FAST, "--format", "json")
    assert main(["bench", "--rows", "10,20", "--warmup", "0", "--repeats", "0", *few]) == 0
    [group] = json.loads(capsys.readouterr().out)["groups"]
    assert [run["dataset"]["rows"] for run in group["runs"]] == [10, 20]
    axes = ("--rows", "10,20", "--server-profile", "stock", "--memory-limit", "none")
    assert main(["bench-full", *axes, *few]) == 0
    groups = json.loads(capsys.readouterr().out)["groups"]
    faults = [group["runs"][0]["dataset"]["faults"] for group in groups]
    assert faults == ["none", "realistic"]
    assert main(["bench-full", *axes, *few, "--resume"]) == 0
    assert "0 runs" in capsys.readouterr().err
    assert main(["bench-full", *few, "--server-profile", "bulky"]) == 2
    assert "'bulky' is unknown; write some of stock,bulk" in capsys.readouterr().err
