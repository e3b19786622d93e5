"""The checks with real trials: an engine beside itself, slowed down, fattened, and broken."""

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
from harness.selftest.checks import Check
from harness.trial.meter import Limits
from harness.trial.stop import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.bench.options import BenchOptions
    from harness.model.record import Run

    Announce = Callable[[str], None]

TRIED = "restore"
SLOWER, FATTER = 0.10, 0.20

# Where the default rounds cannot tell, so many more are made at the most, once.
MOST_MORE = 15

# What each way to break an engine must come out as, and what its detail must say.
BROKEN = {
    "skip-row": (Status.WRONG_RESULT, "missing"),
    "unflushed": (Status.WRONG_RESULT, "not on the server's disk"),
    "hog": (Status.OOM, "memory"),
    "sleep": (Status.TIMEOUT, "time limit"),
    "crash=11": (Status.KILLED, "SIGSEGV"),
}
TIMEOUT_S = 20.0
MEMORY_BYTES = 400_000_000


def spoiled(name: str, *how: str) -> Engine:
    """Return the engine that is tried, run through what spoils it."""
    engine = engines.named(TRIED)
    return Engine(
        name=name,
        template=(
            *(*engines.module("harness.selftest.spoiled"), *how, "--dsn", "{dsn}", "--"),
            *(part for part in engine.template if not part.startswith("--jobs")),
            "--jobs=1",
        ),
        keeps_rejects=engine.keeps_rejects,
    )


def try_all(options: BenchOptions, announce: Announce, *, times: bool = True) -> tuple[Check, ...]:
    """Make the trials, in a history of their own that is thrown away, and say what they showed.

    Args:
        options: rows, server, rounds and cache; the rest is chosen here.
        announce: told each step in a line.
        times: check times too, which takes a machine that is quiet.

    Raises:
        HarnessError: a run could not be made.
    """
    with tempfile.TemporaryDirectory(prefix="restorebench-") as folder:
        given = dataclasses.replace(options, results=Path(folder))
        return (*_compared(given, announce, times=times), *_broken(given, announce))


def _compared(options: BenchOptions, announce: Announce, *, times: bool) -> Iterator[Check]:
    """Check what is said of an engine beside itself, slowed down, and fattened."""
    timed = (spoiled("again"), spoiled("slower", f"slower={SLOWER}")) if times else ()
    chosen = (spoiled("one"), *timed, spoiled("fatter", f"fatter={FATTER}"))
    # Noise does not change what memory is held.
    repeats = options.repeats if times else 0
    options = dataclasses.replace(options, engines=chosen, repeats=repeats)
    run = _run(options, announce)
    if times:
        yield from _timed(run, options, announce)
    fatter = _peaks(run, "fatter")
    yield Check(
        f"an engine that holds {FATTER:.0%} more memory comes out fatter",
        passed=verdict(fatter) is Verdict.HIGHER,
        seen=_said(fatter),
    )


def _timed(run: Run, options: BenchOptions, announce: Announce) -> Iterator[Check]:
    """Check what is said of times; where the rounds of the run are too few, of more."""
    slower = _walls(run, "slower")
    if verdict(slower) is Verdict.INCONCLUSIVE:
        more = min(more_rounds(slower) or MOST_MORE, MOST_MORE)
        announce(f"The slowdown is inconclusive; {options.rounds + more} rounds instead")
        compared = options.engines[0], options.engines[2]
        again = dataclasses.replace(options, rounds=options.rounds + more, engines=compared)
        slower = _walls(_run(again, announce), "slower")
    same = _walls(run, "again")
    yield Check(
        "an engine beside itself does not come out different",
        passed=verdict(same) in {Verdict.SAME, Verdict.INCONCLUSIVE},
        seen=_said(same),
    )
    yield Check(
        f"an engine that takes {SLOWER:.0%} longer comes out slower",
        passed=verdict(slower) is Verdict.HIGHER,
        seen=_said(slower),
    )


def _broken(options: BenchOptions, announce: Announce) -> Iterator[Check]:
    """Check how engines come out that are broken in a way that must be noticed."""
    broken = {how: spoiled(how.partition("=")[0], how) for how in BROKEN}
    once = dataclasses.replace(
        options,
        engines=tuple(broken.values()),
        rounds=1,
        warmup=0,
        limits=Limits(TIMEOUT_S, MEMORY_BYTES),
    )
    run = _run(once, announce)
    for trial, (how, (status, words)) in zip(run.trials, BROKEN.items(), strict=True):
        seen = f"{trial.status.value}: {trial.detail}"
        right = trial.status is status and words in (trial.detail or "")
        yield Check(f"{how} comes out {status.value}", passed=right, seen=seen)


def _run(options: BenchOptions, announce: Announce) -> Run:
    """Make a run, to its end."""
    run = bench.run_bench(options, announce=announce)
    if run.finished_at is None:
        raise Stopped
    return run


def _walls(run: Run, engine: str) -> Ratio:
    told = figures(run)
    return _told(ratio(told.samples(engine).walls_s, told.samples("one").walls_s))


def _peaks(run: Run, engine: str) -> Ratio:
    told = figures(run)
    return _told(ratio(told.samples(engine).peaks_bytes, told.samples("one").peaks_bytes))


def _told(found: Ratio | None) -> Ratio:
    """Return a ratio; where no trial ended well, one that tells nothing."""
    return found or Ratio(1.0, None, None, 0)


def _said(found: Ratio) -> str:
    if found.low is None or found.high is None:
        return f"{found.rounds} rounds that ended well, which tell nothing"
    return (
        f"{verdict(found).value}: {factor(found.value)} ({factor(found.low)} to "
        f"{factor(found.high)}), {found.rounds} rounds"
    )
