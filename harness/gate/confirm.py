"""Measures once more: what an alarm accuses, before it stands; and what no rounds tell so far."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import msgspec

from harness.analysis.stats import MIN_ROUNDS
from harness.analysis.verdicts import more_rounds
from harness.gate.drift import is_still_higher
from harness.gate.verdict import Finding, InconclusiveMeasure, Judgement, Measure, judge
from harness.model.errors import HarnessError, InputError
from harness.model.record import FLOOR, REFERENCE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.gate.baseline import Baseline
    from harness.gate.limits import Settings
    from harness.model.record import Run

    # Makes a run like the one given, of these engines, with so many rounds or as many as it has.
    Remeasure = Callable[[Run, frozenset[str], int | None], Run]

# What so many more rounds do not settle stays in doubt; with them a gate takes four times as long.
MAX_MORE_ROUNDS = 15


def confirm(
    of: Run,
    findings: tuple[Finding, ...],
    baseline: Baseline,
    settings: Settings,
    remeasure: Remeasure,
) -> tuple[Finding, ...]:
    """Return those findings that stand when what they accuse is measured once more.

    Args:
        of: the run that was judged.
        findings: what was found in it; a benchmark that has vanished needs no second look.
        baseline: what it was judged against.
        settings: the limits.
        remeasure: makes a run like the one given, of the engines named.

    Raises:
        HarnessError: no run could be made.
    """
    doubted = {found.key for found in findings if found.measure is not Measure.PRESENT}
    if not doubted:
        return findings
    run = _remeasured(remeasure, of, {engine for engine, _ in doubted}, None)
    found_again = {found.key for found in judge(run, baseline, settings).findings}
    return tuple(
        found
        for found in findings
        if found.measure is Measure.PRESENT
        or (found.key in found_again if found.since is None else is_still_higher(run, found))
    )


def settle(
    of: Run,
    inconclusive: tuple[InconclusiveMeasure, ...],
    baseline: Baseline,
    settings: Settings,
    remeasure: Remeasure,
) -> Judgement:
    """Judge what looks worse, and may be so by chance, with more rounds beside those it has.

    Args:
        of: the run that was judged.
        inconclusive: the measures that its rounds do not settle.
        baseline: what it was judged against.
        settings: the limits.
        remeasure: makes a run like the one given, of the engines named.

    Returns:
        What is found now, and what is still in doubt; of what was, and no more.

    Raises:
        HarnessError: no run could be made.
    """
    findings: tuple[Finding, ...] = ()
    left, rounds = tuple(doubt for doubt in inconclusive if not doubt.is_suspect), 0
    suspects = tuple(doubt for doubt in inconclusive if doubt.is_suspect)
    keys = {doubt.key for doubt in suspects}
    while any(doubt.is_suspect for doubt in suspects) and rounds < MAX_MORE_ROUNDS:
        wanted = [more_rounds(each.ratio, each.limit) or MAX_MORE_ROUNDS for each in suspects]
        taken = min(MAX_MORE_ROUNDS - rounds, max(MIN_ROUNDS, *wanted))
        of = _append_rounds(of, _remeasured(remeasure, of, {engine for engine, _ in keys}, taken))
        rounds += taken
        found = judge(of, baseline, settings)
        findings = tuple(one for one in found.findings if one.key in keys)
        suspects = tuple(doubt for doubt in found.inconclusive if doubt.key in keys)
    return Judgement(findings, 0, (), (*left, *suspects))


def _remeasured(remeasure: Remeasure, of: Run, engines: set[str], rounds: int | None) -> Run:
    """Make a run of some engines once more, with what they are told by, to its end."""
    run = remeasure(of, frozenset(engines) | {FLOOR, REFERENCE}, rounds)
    if run.finished_at is None:
        raise InputError("stopped before it was measured once more")
    return run


def _append_rounds(of: Run, more: Run) -> Run:
    """Return a run with the rounds of another behind its own."""
    last = max(trial.round for trial in of.trials)
    replace = msgspec.structs.replace
    behind = tuple(replace(trial, round=trial.round + last) for trial in more.trials)
    return replace(of, trials=(*of.trials, *behind))


def make_remeasure(
    server: str | None, dataset: Path | None, results: Path | None, announce: Callable[[str], None]
) -> Remeasure:
    """Return what makes a run once more, on this machine, with this code.

    What it raises says why the run cannot be made; then the alarm stands as it is.
    """
    # With them come psycopg and all that restores.
    from harness.bench import run as bench  # noqa: PLC0415
    from harness.bench.options import options_from_run  # noqa: PLC0415
    from harness.trial.environment import fingerprint  # noqa: PLC0415

    def remeasure(of: Run, engines: frozenset[str], rounds: int | None) -> Run:
        here = fingerprint()
        if (here.commit, here.dirty) != (of.environment.commit, of.environment.dirty):
            raise InputError(f"run {of.id} was made with other code than stands here")
        options = options_from_run(
            of, only=engines, server=server, dataset=dataset, results=results
        )
        if rounds is None:
            announce("Something is worse; it is measured once more before that stands")
        else:
            options = dataclasses.replace(options, rounds=rounds)
            announce(f"Something may be worse; {rounds} more rounds may tell")
        options = dataclasses.replace(options, confirms=of.id, memray=False)
        run = bench.run_bench(options, announce=announce)
        if run.dataset != of.dataset:
            raise HarnessError(f"the dataset of run {of.id} could not be made again")
        return run

    return remeasure
