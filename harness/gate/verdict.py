"""Finds the regressions of a run against its baseline; pure: runs in, findings out."""

from __future__ import annotations

import enum
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.compare import same_machine
from harness.analysis.figures import figures
from harness.analysis.stats import Ratio, ratio
from harness.analysis.verdicts import Verdict, verdict
from harness.model.record import FLOOR, REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.analysis.figures import RunFigures
    from harness.gate.baseline import Baseline
    from harness.gate.limits import GateLimits, GateSettings
    from harness.model.record import Run


class Measure(enum.Enum):
    """A measure of an engine that is judged."""

    FLOOR = "vs floor"
    LEGACY = "vs legacy"
    TIME = "time"
    MEMORY = "peak RSS"
    SUCCESS = "rows restored"
    OK = "trials ok"
    PRESENT = "benchmark"


class Regression(enum.Enum):
    """How a measure got worse."""

    SLOWER = "slower"
    MORE_MEMORY = "more memory"
    LESS_COMPLETE = "less complete"
    MISSING = "missing"
    FAILED = "failed"


_MULTIPLES = {Measure.FLOOR: FLOOR, Measure.LEGACY: REFERENCE}


@dataclass(frozen=True, slots=True)
class Finding:
    """A measure of an engine that got worse by more than its limit allows.

    ``before`` and ``after`` are in the measure's own unit: multiples, seconds, bytes or shares.
    ``ratio`` is the change with its uncertainty; None for exact counts. ``since`` is the first run
    of the higher level, if the history and not the baseline shows it.
    """

    engine: str
    measure: Measure
    regression: Regression
    limit: float
    before: float | None = None
    after: float | None = None
    ratio: Ratio | None = None
    since: str | None = None

    @property
    def key(self) -> tuple[str, Measure]:
        """Return the engine and the measure."""
        return self.engine, self.measure


@dataclass(frozen=True, slots=True)
class InconclusiveMeasure:
    """A measure whose rounds do not settle whether it is worse by more than its limit."""

    engine: str
    measure: Measure
    limit: float
    ratio: Ratio

    @property
    def key(self) -> tuple[str, Measure]:
        """Return the engine and the measure."""
        return self.engine, self.measure

    @property
    def is_suspect(self) -> bool:
        """Return whether its ratio is above the limit."""
        return self.ratio.value >= 1 + self.limit


@dataclass(frozen=True, slots=True)
class Judgement:
    """The findings, the number of measures checked, and the measures that could not be judged.

    The ``inconclusive`` measures are among those that were checked.
    """

    findings: tuple[Finding, ...]
    checked: int
    not_judged: tuple[str, ...]
    inconclusive: tuple[InconclusiveMeasure, ...] = ()


def judge(head: Run, baseline: Baseline, settings: GateSettings) -> Judgement:
    """Judge each measure of a run against its baseline."""
    found: list[Finding | InconclusiveMeasure | str] = []
    checked = 0
    now = figures(head, reference=None)
    for engine in _engines(baseline, head):
        before = [figures(run, reference=None) for run in baseline.runs_for(engine)]
        before = [run for run in before if run.samples(engine).trials]
        if not before:
            continue
        limits = settings.limits(engine)
        if not now.samples(engine).trials:
            found.append(Finding(engine, Measure.PRESENT, Regression.MISSING, 0.0))
            continue
        measured = list(_measures(engine, now, before, limits))
        found += measured
        checked += len(measured)
    return collect(found, checked)


def collect(found: Sequence[Finding | InconclusiveMeasure | str], checked: int) -> Judgement:
    """Sort results into findings, inconclusive measures and reasons; an empty text is a pass."""
    return Judgement(
        findings=tuple(one for one in found if isinstance(one, Finding)),
        checked=checked,
        not_judged=tuple(one for one in found if isinstance(one, str) and one),
        inconclusive=tuple(one for one in found if isinstance(one, InconclusiveMeasure)),
    )


def series(run_figures: RunFigures, engine: str, measure: Measure) -> list[float]:
    """Return an engine's figures in a run, one per round."""
    if measure in _MULTIPLES:
        reference = _MULTIPLES[measure]
        return [] if engine == reference else run_figures.multiples(engine, reference)
    samples = run_figures.samples(engine)
    return samples.peaks_bytes if measure is Measure.MEMORY else samples.walls_s


def _engines(baseline: Baseline, head: Run) -> list[str]:
    """Return the engines of the run and of its baseline."""
    runs = (*baseline.runs, head)
    return list(dict.fromkeys(trial.engine for run in runs for trial in run.trials))


def _measures(
    engine: str, now: RunFigures, before: Sequence[RunFigures], limits: GateLimits
) -> Iterator[Finding | InconclusiveMeasure | str]:
    """Judge each measure: a finding, why it is not judged, or an empty text for a pass."""
    timed = [
        measure
        for measure in _MULTIPLES
        if any(series(run, engine, measure) for run in before) and engine != _MULTIPLES[measure]
    ]
    # An engine that the others are relative to is not judged by its own time, which varies with
    # the machine.
    is_reference = engine in _MULTIPLES.values() and len(now.engines) > 1
    if not timed and not is_reference:
        before_here = [run for run in before if same_machine(run.run, now.run)]
        if before_here:
            yield _judge_samples(engine, Measure.TIME, now, before_here, limits.time)
        elif engine not in _MULTIPLES.values():
            yield f"{engine}: times of other machines cannot be compared; run floor or legacy too"
    for measure in timed:
        yield _judge_samples(engine, measure, now, before, limits.time)
    yield _judge_samples(engine, Measure.MEMORY, now, before, limits.memory)
    yield from _judge_shares(engine, now, before, limits)


def _judge_samples(
    engine: str, measure: Measure, now: RunFigures, before: Sequence[RunFigures], limit: float
) -> Finding | InconclusiveMeasure | str:
    """Judge a measure with a sample per round."""
    old = [value for run in before for value in series(run, engine, measure)]
    new = series(now, engine, measure)
    if not old:
        return ""
    if not new:
        return Finding(engine, measure, Regression.MISSING, limit, before=statistics.median(old))
    found = ratio(new, old)
    if found is None or found.is_descriptive:
        return f"{engine}, {measure.value}: too few rounds to judge"
    result = verdict(found, limit)
    if result is not Verdict.HIGHER:
        may_be = result is Verdict.INCONCLUSIVE and (found.high or 0) > 1 + limit
        return InconclusiveMeasure(engine, measure, limit, found) if may_be else ""
    return Finding(
        engine,
        measure,
        Regression.MORE_MEMORY if measure is Measure.MEMORY else Regression.SLOWER,
        limit,
        before=statistics.median(old),
        after=statistics.median(new),
        ratio=found,
    )


def _judge_shares(
    engine: str, now: RunFigures, before: Sequence[RunFigures], limits: GateLimits
) -> Iterator[Finding | str]:
    """Judge the exact counts, which need no test."""
    for measure in (Measure.SUCCESS, Measure.OK):
        shares = [share for run in before if (share := _share(run, engine, measure)) is not None]
        new = _share(now, engine, measure)
        if not shares or new is None:
            continue
        old = statistics.median(shares)
        worse = new < old - limits.success
        yield (
            Finding(engine, measure, Regression.LESS_COMPLETE, limits.success, old, new)
            if worse
            else ""
        )


def _share(run_figures: RunFigures, engine: str, measure: Measure) -> float | None:
    engine_figures = run_figures.engine(engine)
    if engine_figures is None or not engine_figures.attempted:
        return None
    if measure is Measure.OK:
        return engine_figures.ok / engine_figures.attempted
    return None if engine_figures.success is None else engine_figures.success.rate
