"""Makes a run once more before an alarm stands: only what it accuses, and what that is told by."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from harness.errors import HarnessError, InputError
from harness.figures import REFERENCE
from harness.gate.drift import still_risen
from harness.gate.verdict import Finding, Measure, judge
from harness.record import FLOOR

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.gate.baseline import Baseline
    from harness.gate.limits import Settings
    from harness.record import Run

    Again = Callable[[Run, frozenset[str]], Run]


def confirm(
    of: Run, findings: tuple[Finding, ...], baseline: Baseline, settings: Settings, again: Again
) -> tuple[Finding, ...]:
    """Return those findings that stand when what they accuse is measured once more.

    Args:
        of: the run that was judged.
        findings: what was found in it; a benchmark that has vanished needs no second look.
        baseline: what it was judged against.
        settings: the limits.
        again: makes a run like the one given, of the engines named.

    Raises:
        HarnessError: no run could be made.
    """
    doubted = {found.key for found in findings if found.measure is not Measure.THERE}
    if not doubted:
        return findings
    run = again(of, frozenset({engine for engine, _ in doubted}) | {FLOOR, REFERENCE})
    if run.finished_at is None:
        raise InputError("stopped before the alarm was confirmed")
    found_again = {found.key for found in judge(run, baseline, settings).findings}
    return tuple(
        found
        for found in findings
        if found.measure is Measure.THERE
        or (found.key in found_again if found.since is None else still_risen(run, found))
    )


def bench_again(
    server: str | None, dataset: Path | None, results: Path | None, announce: Callable[[str], None]
) -> Again:
    """Return what makes a run once more, on this machine, with this code.

    What it raises says why the run cannot be made; then the alarm stands as it is.
    """
    # With them come psycopg and all that restores.
    from harness import bench  # noqa: PLC0415
    from harness.again import options_of  # noqa: PLC0415
    from harness.environment import fingerprint  # noqa: PLC0415

    def again(of: Run, engines: frozenset[str]) -> Run:
        here = fingerprint()
        if (here.commit, here.dirty) != (of.environment.commit, of.environment.dirty):
            raise InputError(f"run {of.id} was made with other code than stands here")
        options = options_of(of, only=engines, server=server, dataset=dataset, results=results)
        announce("Something is worse; it is measured once more before that stands")
        run = bench.run_bench(
            dataclasses.replace(options, confirms=of.id, memray=False), announce=announce
        )
        if run.dataset != of.dataset:
            raise HarnessError(f"the dataset of run {of.id} could not be made again")
        return run

    return again
