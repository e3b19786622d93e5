"""Checks with real trials: an engine beside itself, slower, with more memory, and broken."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis.commits import BASE, HEAD
from harness.bench import run as bench
from harness.engines import registry as engines
from harness.engines.engine import Engine, module
from harness.model.record import Status
from harness.selftest.cheats import CHEATS, HONEST, REJECT_CHEATS
from harness.selftest.checks import Check
from harness.selftest.versions import FAULTS, MORE_MEMORY, check_versions
from harness.trial.meter import Limits
from harness.trial.stop import StopRequested

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.bench.options import BenchOptions
    from harness.model.record import Run, Trial
    from harness.selftest.cheats import Cheat

    Announce = Callable[[str], None]

ENGINE = "restore"

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
            *(*module("harness.selftest.faulty"), *how, "--dsn", "{dsn}", "--"),
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
            *(*module("harness.selftest.cheats"), cheat.name),
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


def _compared(options: BenchOptions, announce: Announce, *, times: bool) -> tuple[Check, ...]:
    """Check the comparison of an engine with itself, slower, and with more memory."""
    names = FAULTS if times else (MORE_MEMORY,)
    chosen = [
        faulty(f"{name}@{role}", *(FAULTS[name] if role == HEAD else ()))
        for name in names
        for role in (BASE, HEAD)
    ]
    return check_versions(chosen, options, announce, times=times)


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
    made = {trial.engine: trial for trial in run.trials}
    for how, (status, words) in BROKEN.items():
        trial = made[broken[how].name]
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
