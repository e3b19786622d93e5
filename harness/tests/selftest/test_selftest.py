"""The harness's check of itself: what it says of simulated trials, and how it spoils an engine."""

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
from harness.selftest.simulate import BETWEEN, NOISES, simulate
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


@pytest.mark.slow
def test_the_simulations_pass() -> None:
    checks = simulate()
    assert [check for check in checks if not check.passed] == []
    (found,) = [check for check in checks if "10% longer" in check.name]
    assert "rounds (median), at most" in found.observed


@pytest.mark.slow
def test_a_verdict_that_cries_wolf_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.analysis.sequential.p_higher", lambda *_: 0.0)
    monkeypatch.setattr("harness.selftest.simulate.MIN_EFFECT", 0.0)
    monkeypatch.setattr("harness.analysis.spread.FENCE", -1)
    failed = [check.name for check in simulate() if not check.passed]
    assert sum("equal commits" in name for name in failed) == len(NOISES)
    assert sum("session of unchanged code" in name for name in failed) == len(BETWEEN)


@pytest.mark.slow
def test_a_verdict_that_finds_nothing_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.analysis.sequential.p_higher", lambda *_: 1.0)
    (failed,) = [check for check in simulate() if not check.passed]
    assert "10% longer" in failed.name


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


FAST = {"resets-sequences", "keys-and-indexes-made-again"}
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


@pytest.mark.parametrize("times", [True, False])
def test_without_times_nothing_is_checked_that_a_busy_machine_can_hide(
    make_run: MakeRun,
    make_trial: MakeTrial,
    monkeypatch: pytest.MonkeyPatch,
    times: bool,  # noqa: FBT001 - a case
) -> None:
    factors = {"slower@head": (1.1, 1.0), "more-memory@head": (1.0, 1.2)}

    def made(options: BenchOptions, **_: object) -> Run:
        rng = random.Random(1)
        names = [engine.name for engine in options.engines]
        trials = [
            make_trial(
                name,
                by_time * rng.gauss(1, 0.01) * (1 if times else rng.uniform(1, 9)),
                peak_bytes=round(1e8 * by_memory * rng.gauss(1, 0.001)),
                round=number,
            )
            for number in range(1, options.rounds + 1)
            for name in names
            for by_time, by_memory in (factors.get(name, (1.0, 1.0)),)
        ]
        return make_run(*trials, parameters={"engines": names})

    monkeypatch.setattr("harness.bench.run.run_bench", made)
    checks = real._compared(BenchOptions(engines=()), print, times=times)
    assert all(check.passed for check in checks), checks
    assert len(checks) == (3 if times else 1)
    assert ("10% longer" in str(checks)) == times


def test_what_is_not_found_or_not_ok_fails_the_check(
    make_run: MakeRun, make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(options: BenchOptions, **_: object) -> Run:
        names = [engine.name for engine in options.engines]
        trials = [
            make_trial(name, 1.0 + number / 1000, round=number, status=status)
            for number in range(1, 9)
            for name in names
            for status in ([Status.ERROR] if (name, number) == (names[1], 3) else [Status.OK])
        ]
        return make_run(*trials, parameters={"engines": names})

    monkeypatch.setattr("harness.bench.run.run_bench", made)
    checks = real._compared(BenchOptions(engines=()), print, times=True)
    assert not any(check.passed for check in checks)
    assert "1 trials are not ok" in checks[0].observed
