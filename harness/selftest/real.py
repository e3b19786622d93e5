"""Checks with real trials: an engine beside itself, slower, with more memory, and broken."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis.figures import figures
from harness.analysis.stats import Ratio, ratio
from harness.analysis.verdicts import Verdict, more_rounds, verdict
from harness.bench import run as bench
from harness.engines import registry as engines
from harness.engines.registry import Engine
from harness.model.record import Status
from harness.report.units import factor
from harness.selftest.cheats import CHEATS, HONEST, REJECT_CHEATS
from harness.selftest.checks import Check
from harness.trial.meter import Limits
from harness.trial.stop import StopRequested

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.bench.options import BenchOptions
    from harness.model.record import Run, Trial
    from harness.selftest.cheats import Cheat

    Announce = Callable[[str], None]

ENGINE = "restore"
EXTRA_TIME, EXTRA_MEMORY = 0.10, 0.20

# If the default rounds are inconclusive, the comparison is repeated once with at most so many more.
MAX_MORE_ROUNDS = 15

# The status that each fault must lead to, and a phrase that the trial's detail must contain.
BROKEN = {
    "skip-row": (Status.WRONG_RESULT, "missing"),
    "unflushed": (Status.WRONG_RESULT, "not on the server's disk"),
    "hog": (Status.OOM, "memory"),
    "sleep": (Status.TIMEOUT, "time limit"),
    "crash=11": (Status.KILLED, "SIGSEGV"),
}
TIMEOUT_S = 20.0
MEMORY_BYTES = 400_000_000


def faulty(name: str, *how: str) -> Engine:
    """Return the engine under test, run through ``harness.selftest.faulty``."""
    engine = engines.named(ENGINE)
    return Engine(
        name=name,
        template=(
            *(*engines.module("harness.selftest.faulty"), *how, "--dsn", "{dsn}", "--"),
            *(part for part in engine.template if not part.startswith("--jobs")),
            "--jobs=1",
        ),
        keeps_rejects=engine.keeps_rejects,
    )


def cheating(cheat: Cheat) -> Engine:
    """Return the engine under test, run through ``harness.selftest.cheats``."""
    engine = engines.named(ENGINE)
    return Engine(
        name=cheat.name,
        template=(
            *(*engines.module("harness.selftest.cheats"), cheat.name),
            *("--dsn", "{dsn}", "--rejects", "{rejects}", "--"),
            *(part for part in engine.template if not part.startswith("--jobs")),
            "--jobs=1",
        ),
        keeps_rejects=engine.keeps_rejects,
    )


def run_trials(
    options: BenchOptions, announce: Announce, *, times: bool = True
) -> tuple[Check, ...]:
    """Run the trials in a temporary history, and return the checks on them.

    Args:
        options: rows, server, rounds and cache; the rest is chosen here.
        announce: called with a line for each step.
        times: whether to check times too, which needs a quiet machine.

    Raises:
        HarnessError: a run failed.
    """
    with tempfile.TemporaryDirectory(prefix="restorebench-") as folder:
        given = dataclasses.replace(options, results=Path(folder))
        return (
            *_compared(given, announce, times=times),
            *_broken(given, announce),
            *_cheating(given, announce),
        )


def _compared(options: BenchOptions, announce: Announce, *, times: bool) -> Iterator[Check]:
    """Check the verdicts on an engine beside itself, slower, and with more memory."""
    timed = (faulty("again"), faulty("slower", f"slower={EXTRA_TIME}")) if times else ()
    chosen = (faulty("one"), *timed, faulty("more-memory", f"more-memory={EXTRA_MEMORY}"))
    # Noise does not change peak memory, so that noisy trials need not be repeated.
    repeats = options.repeats if times else 0
    options = dataclasses.replace(options, engines=chosen, repeats=repeats)
    run = _run(options, announce)
    if times:
        yield from _timed(run, options, announce)
    memory = _peaks(run, "more-memory")
    yield Check(
        f"an engine with {EXTRA_MEMORY:.0%} more memory is found to use more",
        passed=verdict(memory) is Verdict.HIGHER,
        observed=_describe(memory),
    )


def _timed(run: Run, options: BenchOptions, announce: Announce) -> Iterator[Check]:
    """Check the verdicts on times, with more rounds if those of the run are inconclusive."""
    slower = _walls(run, "slower")
    if verdict(slower) is Verdict.INCONCLUSIVE:
        more = min(more_rounds(slower) or MAX_MORE_ROUNDS, MAX_MORE_ROUNDS)
        announce(f"The slowdown is inconclusive; repeating with {options.rounds + more} rounds")
        compared = options.engines[0], options.engines[2]
        again = dataclasses.replace(options, rounds=options.rounds + more, engines=compared)
        slower = _walls(_run(again, announce), "slower")
    same = _walls(run, "again")
    yield Check(
        "an engine is not found to differ from itself",
        passed=verdict(same) in {Verdict.SAME, Verdict.INCONCLUSIVE},
        observed=_describe(same),
    )
    yield Check(
        f"an engine that takes {EXTRA_TIME:.0%} longer is found to be slower",
        passed=verdict(slower) is Verdict.HIGHER,
        observed=_describe(slower),
    )


def _broken(options: BenchOptions, announce: Announce) -> Iterator[Check]:
    """Check the status of engines with a fault that must be noticed."""
    broken = {how: faulty(how.partition("=")[0], how) for how in BROKEN}
    once = dataclasses.replace(
        options,
        engines=tuple(broken.values()),
        rounds=1,
        warmup=0,
        limits=Limits(TIMEOUT_S, MEMORY_BYTES),
    )
    run = _run(once, announce)
    for trial, (how, (status, words)) in zip(run.trials, BROKEN.items(), strict=True):
        observed = f"{trial.status.value}: {trial.detail}"
        right = trial.status is status and words in (trial.detail or "")
        yield Check(f"{how} ends as {status.value}", passed=right, observed=observed)


def _cheating(options: BenchOptions, announce: Announce) -> Iterator[Check]:
    """Check that cheats are found, and that engines with other honest means are ``ok``."""
    for faults, some in (("none", (*CHEATS, *HONEST)), ("realistic", REJECT_CHEATS)):
        once = dataclasses.replace(
            options,
            engines=tuple(map(cheating, some)),
            rounds=1,
            warmup=0,
            repeats=0,
            faults=faults,
        )
        made = {trial.engine: trial for trial in _run(once, announce).trials}
        for cheat in some:
            yield check_cheat(cheat, made[cheat.name])


def check_cheat(cheat: Cheat, trial: Trial) -> Check:
    """Check that a cheat is found for what it is; or, if it is none, that the trial is ok."""
    observed = f"{trial.status.value}: {trial.detail}" if trial.detail else trial.status.value
    if not cheat.found:
        return Check(f"{cheat.name} is ok", trial.status is Status.OK, observed)
    said = "; ".join([trial.detail or "", *trial.differences])
    found = trial.status is Status.WRONG_RESULT and cheat.found in said
    return Check(f"the cheat {cheat.name} is found", found, observed)


def _run(options: BenchOptions, announce: Announce) -> Run:
    """Run to the end, or raise if stopped."""
    run = bench.run_bench(options, announce=announce)
    if run.finished_at is None:
        raise StopRequested
    return run


def _walls(run: Run, engine: str) -> Ratio:
    run_figures = figures(run)
    return _or_unknown(
        ratio(run_figures.samples(engine).walls_s, run_figures.samples("one").walls_s)
    )


def _peaks(run: Run, engine: str) -> Ratio:
    run_figures = figures(run)
    return _or_unknown(
        ratio(run_figures.samples(engine).peaks_bytes, run_figures.samples("one").peaks_bytes)
    )


def _or_unknown(found: Ratio | None) -> Ratio:
    """Return the ratio, or one without rounds if no trial was ok."""
    return found or Ratio(1.0, None, None, 0)


def _describe(found: Ratio) -> str:
    if found.low is None or found.high is None:
        return f"{found.rounds} rounds that were ok, too few to compare"
    return (
        f"{verdict(found).value}: {factor(found.value)} ({factor(found.low)} to "
        f"{factor(found.high)}), {found.rounds} rounds"
    )
