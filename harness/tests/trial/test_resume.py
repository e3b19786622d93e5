"""A run that was cut off goes on, trial by trial, as the run that it was; on fake engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from harness.analysis.figures import figures
from harness.bench import resume
from harness.bench import run as bench
from harness.bench.options import BenchOptions, options_from_run
from harness.bench.schedule import RESUMED, remaining, remaining_s, schedule
from harness.engines import fake as fake_engine
from harness.history.store import History, file_name
from harness.model.errors import ExitCode, InputError
from harness.model.record import Run, Status
from harness.report.units import duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.model.record import Trial

replace = msgspec.structs.replace
A, B = "fake:wall=1,mib=10", "fake:wall=2,mib=20"


@pytest.fixture
def whole(dataset: Path, tmp_path: Path) -> Run:
    """Have a run that went to its end."""
    engines = (fake_engine.engine(A), fake_engine.engine(B))
    given = BenchOptions(
        engines=engines, dataset=dataset, results=tmp_path / "whole", rounds=3, repeats=0
    )
    return bench.run_bench(given, announce=lambda _: None)


def go_on(run: Run, dataset: Path, results: Path) -> Run:
    History(results).write(run)
    found = resume.unfinished_run(results, "latest")
    given = options_from_run(found, dataset=dataset, results=results)
    return bench.run_bench(given, announce=lambda _: None, resume=found)


def made(run: Run) -> list[tuple[str, int, bool]]:
    return [(trial.engine, trial.round, trial.warmup) for trial in run.trials]


@pytest.mark.parametrize("kept", [0, 1, 5, 7])
def test_a_run_that_was_cut_off_is_completed(
    whole: Run, dataset: Path, tmp_path: Path, kept: int
) -> None:
    run = go_on(
        replace(whole, finished_at=None, trials=whole.trials[:kept]), dataset, tmp_path / "results"
    )
    assert run.id == whole.id
    assert run.started_at == whole.started_at
    assert made(run) == made(whole)
    assert run.trials[:kept] == whole.trials[:kept]
    assert run.finished_at is not None
    assert len(run.parameters[RESUMED] or ()) == 1  # type: ignore[arg-type]
    assert History(tmp_path / "results").find(run.id) == run


def test_what_was_interrupted_is_made_again_and_stays_in_the_record(
    whole: Run, dataset: Path, tmp_path: Path
) -> None:
    torn = replace(whole.trials[4], status=Status.INTERRUPTED, wall_s=None, detail="asked to stop")
    run = go_on(
        replace(whole, finished_at=None, trials=(*whole.trials[:4], torn)),
        dataset,
        tmp_path / "results",
    )
    assert [trial.status for trial in run.trials if trial.repeated] == [Status.INTERRUPTED]
    assert made(run) == [*made(whole)[:5], *made(whole)[4:]]
    assert bench.exit_code(run) is ExitCode.OK
    told = figures(run)
    assert told.failures == ()
    assert [each.attempted for each in told.engines] == [3, 3]


def test_a_run_goes_on_only_as_what_it_was(whole: Run, dataset: Path, tmp_path: Path) -> None:
    cut = replace(whole, finished_at=None, trials=whole.trials[:3])
    environment = whole.environment
    for part, said in (
        ({"environment": replace(environment, commit="feed" * 10)}, "the code"),
        ({"environment": replace(environment, cpu="Other CPU")}, "the machine or the server"),
        ({"environment": replace(environment, packages={})}, "a package"),
        ({"dataset": replace(whole.dataset, seed=9)}, "the dataset"),
    ):
        results = tmp_path / said.split()[-1]
        with pytest.raises(InputError, match=said):
            go_on(replace(cut, **part), dataset, results)
        assert History(results).find(cut.id).trials == cut.trials


def test_a_run_of_uncommitted_code_goes_on_only_with_the_same_changes(
    whole: Run,
) -> None:
    cut = replace(whole, finished_at=None, trials=whole.trials[:3])

    def resumed(before: str | None, now: str | None) -> Run:
        was, is_ = (replace(whole.environment, dirty=True, tree=tree) for tree in (before, now))
        return resume.resumed_run(
            replace(cut, environment=was),
            dataset=whole.dataset,
            server=whole.server,
            environment=is_,
            now=whole.started_at,
        )

    assert resumed("aaaa", "aaaa").trials == cut.trials
    for before, now in (("aaaa", "bbbb"), (None, "aaaa"), ("aaaa", None)):
        with pytest.raises(InputError, match="the code changed since"):
            resumed(before, now)
    with pytest.raises(InputError, match="uncommitted changes, which the run does not record"):
        resumed(None, None)


def test_a_run_that_another_process_still_makes_is_not_resumed(
    whole: Run, dataset: Path, tmp_path: Path
) -> None:
    results, cut_off = tmp_path / "results", replace(whole, finished_at=None, trials=())
    with (
        History(results).sole_writer(cut_off),
        pytest.raises(InputError, match="another process is making it; wait until that ends"),
    ):
        go_on(cut_off, dataset, results)
    assert go_on(cut_off, dataset, results).finished_at is not None
    assert [path.name for path in results.iterdir()] == [file_name(cut_off)]


def test_without_a_run_that_was_cut_off_there_is_nothing_to_resume(
    whole: Run, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="there is no unfinished run"):
        resume.unfinished_run(tmp_path / "whole", "latest")
    assert whole.finished_at is not None


def test_a_record_that_does_not_say_how_it_was_made_is_refused(
    make_run: Callable[..., Run],
) -> None:
    with pytest.raises(InputError, match="does not record its options"):
        options_from_run(make_run())
    usual = {"engines": [A], "rounds": 1, "warmup": 0, "jobs": 1, "timeout_s": 9.0}
    with pytest.raises(InputError, match="--server"):
        options_from_run(make_run(parameters={**usual, "server": "url"}))
    secret = {"server": "embedded", "engine_commands": ["x=y --dsn postgresql://me:***@h/d"]}
    with pytest.raises(InputError, match="password"):
        options_from_run(make_run(parameters={**usual, **secret}))


def test_an_engine_of_the_users_is_made_again(make_run: Callable[..., Run]) -> None:
    usual = {"rounds": 2, "warmup": 0, "jobs": 1, "timeout_s": 9.0, "server": "embedded"}
    mine = {"engines": ["mine", A], "engine_commands": ["mine=./x {backup} {dsn}"]}
    found = options_from_run(make_run(parameters={**usual, **mine}))
    assert [each.name for each in found.engines] == ["mine", A]
    assert found.engines[0].template == ("./x", "{backup}", "{dsn}")
    assert found.rounds == 2


def test_the_time_left_is_told_from_the_trials_that_were_made(
    make_run: Callable[..., Run], make_trial: Callable[..., Trial]
) -> None:
    engines = [fake_engine.engine(A), fake_engine.engine(B)]
    turns = tuple(schedule(engines, rounds=2, warmup=1, seed="x"))

    def at(second: int) -> str:
        return f"2024-05-06T07:00:{second:02}+00:00"

    first = make_trial(A, 1.0, warmup=True, started_at=at(0))
    assert remaining_s(make_run(first), turns, at(3)) is None  # B was not tried yet
    second = make_trial(B, 1.0, warmup=True, started_at=at(3))
    run = make_run(first, second)
    assert len(remaining(run, turns)) == 4
    assert remaining_s(run, turns, at(13)) == 2 * 3 + 2 * 10
    # A pause before the run was gone on with is no time that a trial took.
    third = make_trial(A, 1.0, started_at=at(13))
    paused = make_run(first, second, third, parameters={RESUMED: [at(50)]})
    assert remaining_s(paused, turns, at(55)) == 2 * 10 + 3


@pytest.mark.parametrize(
    ("value_s", "told"), [(40.4, "40 s"), (119, "119 s"), (120, "2 min"), (7300, "2 h")]
)
def test_durations(value_s: float, told: str) -> None:
    assert duration(value_s) == told


def test_a_run_is_repeated_on_a_server_of_the_same_profile(whole: Run) -> None:
    assert options_from_run(whole).server_profile == "bulk"
    stock = replace(whole, parameters={**whole.parameters, "server_profile": "stock"})
    assert options_from_run(stock).server_profile == "stock"
    older = {name: value for name, value in whole.parameters.items() if name != "server_profile"}
    assert options_from_run(replace(whole, parameters=older)).server_profile == "bulk"
