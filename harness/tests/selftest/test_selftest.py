"""The harness's check of itself: what it says of recorded trials, and how it spoils an engine."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from harness.bench.options import BenchOptions
from harness.generate import DatasetSpec, cached
from harness.model import manifest
from harness.model.record import Status, Trial
from harness.report.blocks import to_terminal
from harness.selftest import real
from harness.selftest.cheats import CHEATS, HONEST, REJECT_CHEATS
from harness.selftest.checks import Check, report
from harness.selftest.real import BROKEN, cheating, check_cheat, faulty
from harness.selftest.simulate import Pool, pools, simulate
from harness.servers import open_server
from harness.trial.attempt import TrialContext, attempt, record
from harness.trial.judge import judge
from harness.trial.meter import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness.model.record import Run
    from harness.selftest.cheats import Cheat
    from harness.servers import RunningServer

    MakeTrial = Callable[..., Trial]
    MakeRun = Callable[..., Run]


def of_spread(spread: float, name: str = "restore") -> Pool:
    rng = random.Random(name)
    return Pool(name, tuple(rng.gauss(1, spread) for _ in range(40)))


def test_what_is_recorded_with_rounds_enough_can_be_drawn_from(
    make_run: MakeRun, make_trial: MakeTrial
) -> None:
    few = [make_trial("few", wall_s) for wall_s in (1.0, 1.1, 1.2, 1.3)]
    enough = [make_trial("enough", wall_s) for wall_s in (1.0, 2.0, 3.0, 2.0, 2.0)]
    (pool,) = pools([make_run(*few, *enough)])
    assert pool.name == "enough of run aaaa0001"
    assert pool.rounds == (0.5, 1.0, 1.5, 1.0, 1.0)


@pytest.mark.slow
def test_quiet_trials_pass_both_simulations() -> None:
    alarms, found = simulate((of_spread(0.02), of_spread(0.08, "loud")))
    assert alarms.passed, alarms
    assert found.passed, found
    assert "1 of 2 recorded series" in found.observed


@pytest.mark.slow
def test_noise_that_hides_a_slowdown_fails_the_check_and_is_told() -> None:
    alarms, found = simulate((of_spread(0.08),))
    assert alarms.passed, alarms
    assert not found.passed
    assert "quiet enough" in found.observed


@pytest.mark.slow
def test_a_verdict_that_cries_wolf_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.selftest.simulate.SLOWDOWN", 1.0)
    _, found = simulate((of_spread(0.02),))
    assert not found.passed  # there is no slowdown to find
    monkeypatch.setattr("harness.analysis.stats.CONFIDENCE", 0.5)
    monkeypatch.setattr("harness.analysis.verdicts.CONFIDENCE", 0.5)
    alarms, _ = simulate((of_spread(0.08),))
    assert not alarms.passed


def test_without_recorded_trials_nothing_is_passed() -> None:
    (check,) = simulate(())
    assert not check.passed


def test_the_report_counts_what_failed() -> None:
    checks = (Check("a", passed=True, observed="x"), Check("b", passed=False, observed="y"))
    told = to_terminal(report(checks))
    assert "FAILED" in told
    assert "1 of 2 checks failed" in told


@pytest.mark.slow
@pytest.mark.parametrize("how", ["skip-row", "crash=11"])
def test_an_engine_that_is_spoiled_comes_out_so(
    server: RunningServer, tmp_path: Path, how: str
) -> None:
    backup = cached(DatasetSpec(rows=100), tmp_path)
    context = TrialContext(server, backup, manifest.load(backup), Limits(60))
    engine = faulty("spoiled", how)
    status, detail = judge(engine, context.manifest, attempt(engine, context))
    expected, words = BROKEN[how]
    assert status is expected
    assert words in (detail or "")


FAST = {"null-as-text", "resets-sequences", "keys-and-indexes-made-again"}
SOME = [
    pytest.param(cheat, id=cheat.name, marks=[] if cheat.name in FAST else [pytest.mark.slow])
    for cheat in (*CHEATS, *REJECT_CHEATS, *HONEST)
]


@pytest.fixture(scope="module")
def embedded() -> Iterator[RunningServer]:
    """Have a server that can be told to load its configuration again."""
    with open_server("embedded", announce=print) as running:
        yield running


@pytest.mark.parametrize("cheat", SOME)
def test_a_cheat_is_found_and_an_honest_engine_is_ok(
    embedded: RunningServer, tmp_path_factory: pytest.TempPathFactory, cheat: Cheat
) -> None:
    faults = "realistic" if cheat in REJECT_CHEATS else "none"
    cache = tmp_path_factory.getbasetemp() / "backups"
    backup = cached(DatasetSpec(rows=1000, faults=faults), cache)
    context = TrialContext(embedded, backup, manifest.load(backup), Limits(60))
    engine = cheating(cheat)
    blank = Trial(engine=cheat.name, round=1, warmup=False, status=Status.SKIPPED, started_at="")
    made = record(blank, engine, context.manifest, attempt(engine, context))
    check = check_cheat(cheat, made)
    assert check.passed, check.observed


def test_a_cheat_that_is_not_found_fails_the_check(make_trial: MakeTrial) -> None:
    cheat, honest = CHEATS[0], HONEST[0]
    wrong = make_trial("one", 1.0, status=Status.WRONG_RESULT, detail="rows missing")
    assert not check_cheat(cheat, make_trial("one", 1.0)).passed
    assert not check_cheat(cheat, wrong).passed  # found, but not for what it is
    assert not check_cheat(honest, wrong).passed
    assert check_cheat(honest, make_trial("one", 1.0)).passed


def test_without_times_nothing_is_checked_that_a_busy_machine_can_hide(
    make_run: MakeRun, make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def made(options: BenchOptions, **_: object) -> Run:
        names = tuple(engine.name for engine in options.engines)
        asked.append(names)
        broken = [
            make_trial(name, 1.0, status=status, detail=words)
            for name, (status, words) in zip(names, BROKEN.values(), strict=False)
        ]
        walls = {
            "one": (1.0, 100),
            "again": (1.0, 100),
            "slower": (1.1, 100),
            "more-memory": (1.0, 120),
        }
        names_of_cheats = {cheat.name: cheat for cheat in (*CHEATS, *REJECT_CHEATS)}
        if names[0] in names_of_cheats:
            return make_run(
                *(
                    make_trial(
                        name, 1.0, status=Status.WRONG_RESULT, detail=names_of_cheats[name].found
                    )
                    if name in names_of_cheats
                    else make_trial(name, 1.0)
                    for name in names
                )
            )
        rounds = [
            make_trial(name, walls[name][0], peak_bytes=walls[name][1] + n, round=n)
            for n in range(1, 6)
            for name in names
            if name in walls
        ]
        return make_run(*(rounds or broken))

    monkeypatch.setattr("harness.bench.run.run_bench", made)
    options = BenchOptions(engines=())
    without = [check.name for check in real.run_trials(options, print, times=False)]
    assert asked[0] == ("one", "more-memory")
    every = real.run_trials(options, print)
    assert asked[4] == ("one", "again", "slower", "more-memory")
    assert all(check.passed for check in every)
    timed = [check.name for check in every if check.name not in without]
    assert len(timed) == 2
    assert "10% longer" in timed[1]
