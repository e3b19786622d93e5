"""Measures once more: regressions before they are reported, and inconclusive measures."""

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
    from harness.gate.limits import GateSettings
    from harness.model.record import Run

    # Repeats a run with these engines, and with this number of rounds or its own.
    Remeasure = Callable[[Run, frozenset[str], int | None], Run]

# What this many more rounds do not settle stays inconclusive; they make a gate take four times as
# long.
MAX_MORE_ROUNDS = 15


def confirm(
    head: Run,
    findings: tuple[Finding, ...],
    baseline: Baseline,
    settings: GateSettings,
    remeasure: Remeasure,
) -> tuple[Finding, ...]:
    """Return the findings that are found again when their measures are repeated.

    Args:
        head: the run that was judged.
        findings: the regressions; a missing benchmark is not measured again.
        baseline: its baseline.
        settings: the limits.
        remeasure: repeats a run with the given engines.

    Raises:
        HarnessError: the run could not be repeated.
    """
    doubted = {found.key for found in findings if found.measure is not Measure.PRESENT}
    if not doubted:
        return findings
    run = _remeasured(remeasure, head, {engine for engine, _ in doubted}, None)
    found_again = {found.key for found in judge(run, baseline, settings).findings}
    return tuple(
        found
        for found in findings
        if found.measure is Measure.PRESENT
        or (found.key in found_again if found.since is None else is_still_higher(run, found))
    )


def settle(
    head: Run,
    inconclusive: tuple[InconclusiveMeasure, ...],
    baseline: Baseline,
    settings: GateSettings,
    remeasure: Remeasure,
) -> Judgement:
    """Judge the measures that may be worse with more rounds, added to those of the run.

    Args:
        head: the run that was judged.
        inconclusive: the measures that its rounds do not settle.
        baseline: its baseline.
        settings: the limits.
        remeasure: repeats a run with the given engines.

    Returns:
        The regressions found now, and the measures that are still inconclusive.

    Raises:
        HarnessError: the run could not be repeated.
    """
    findings: tuple[Finding, ...] = ()
    others, rounds = tuple(doubt for doubt in inconclusive if not doubt.is_suspect), 0
    suspects = tuple(doubt for doubt in inconclusive if doubt.is_suspect)
    keys = {doubt.key for doubt in suspects}
    while any(doubt.is_suspect for doubt in suspects) and rounds < MAX_MORE_ROUNDS:
        wanted = [more_rounds(each.ratio, each.limit) or MAX_MORE_ROUNDS for each in suspects]
        taken = min(MAX_MORE_ROUNDS - rounds, max(MIN_ROUNDS, *wanted))
        head = _append_rounds(
            head, _remeasured(remeasure, head, {engine for engine, _ in keys}, taken)
        )
        rounds += taken
        found = judge(head, baseline, settings)
        findings = tuple(one for one in found.findings if one.key in keys)
        suspects = tuple(doubt for doubt in found.inconclusive if doubt.key in keys)
    return Judgement(findings, 0, (), (*others, *suspects))


def _remeasured(remeasure: Remeasure, head: Run, engines: set[str], rounds: int | None) -> Run:
    """Repeat a run with some engines and their references, to its end."""
    run = remeasure(head, frozenset(engines) | {FLOOR, REFERENCE}, rounds)
    if run.finished_at is None:
        raise InputError("stopped while measuring once more")
    return run


def _append_rounds(head: Run, more: Run) -> Run:
    """Return a run with the rounds of another appended to its own."""
    last = max(trial.round for trial in head.trials)
    replace = msgspec.structs.replace
    behind = tuple(replace(trial, round=trial.round + last) for trial in more.trials)
    return replace(head, trials=(*head.trials, *behind))


def make_remeasure(
    server: str | None, dataset: Path | None, results: Path | None, announce: Callable[[str], None]
) -> Remeasure:
    """Return a function that repeats a run, on this machine and with this code.

    It raises a ``HarnessError`` if that is impossible; findings then stand unconfirmed.
    """
    # They import psycopg and the engines.
    from harness.bench import run as bench  # noqa: PLC0415
    from harness.bench.options import options_from_run  # noqa: PLC0415
    from harness.trial.environment import fingerprint  # noqa: PLC0415

    def remeasure(head: Run, engines: frozenset[str], rounds: int | None) -> Run:
        here = fingerprint()
        if (here.commit, here.dirty) != (head.environment.commit, head.environment.dirty):
            raise InputError(f"run {head.id} measured other code than this checkout")
        options = options_from_run(
            head, only=engines, server=server, dataset=dataset, results=results
        )
        if rounds is None:
            announce("Regressions found; measuring once more to confirm them")
        else:
            options = dataclasses.replace(options, rounds=rounds)
            announce(f"Some measures are inconclusive; measuring {rounds} more rounds")
        options = dataclasses.replace(options, confirms=head.id, memray=False)
        run = bench.run_bench(options, announce=announce)
        if run.dataset != head.dataset:
            raise HarnessError(f"the dataset of run {head.id} could not be generated again")
        return run

    return remeasure
