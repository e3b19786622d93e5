"""What got worse in a run beside its baseline; pure: runs in, findings out."""

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
    from harness.gate.limits import Limits, Settings
    from harness.model.record import Run


class Measure(enum.Enum):
    """What is judged of an engine."""

    FLOOR = "x floor"
    LEGACY = "x legacy"
    TIME = "time"
    MEMORY = "peak memory"
    SUCCESS = "rows restored"
    OK = "trials ok"
    PRESENT = "benchmark"


class Regression(enum.Enum):
    """What became of a measure."""

    SLOWER = "slower"
    MORE_MEMORY = "fatter"
    LESS_COMPLETE = "lossier"
    MISSING = "vanished"
    FAILED = "failed"


_MULTIPLES = {Measure.FLOOR: FLOOR, Measure.LEGACY: REFERENCE}


@dataclass(frozen=True, slots=True)
class Finding:
    """A measure of an engine that got worse by more than its limit allows.

    ``before`` and ``after`` are in the measure's own unit: multiples, seconds, bytes or shares.
    ``ratio`` tells by how much and how sure; None where it is counted. ``since`` is the run from
    which on it is so, where the history and not the baseline tells.
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
        """What is accused of what."""
        return self.engine, self.measure


@dataclass(frozen=True, slots=True)
class InconclusiveMeasure:
    """A measure that may be worse by more than its limit, or may not: its rounds do not tell."""

    engine: str
    measure: Measure
    limit: float
    ratio: Ratio

    @property
    def key(self) -> tuple[str, Measure]:
        """What there is no telling of."""
        return self.engine, self.measure

    @property
    def is_suspect(self) -> bool:
        """Say whether it looks worse by more than its limit."""
        return self.ratio.value >= 1 + self.limit


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found, how many measures were held against their limit, and what nobody could.

    ``inconclusive`` are among those that were held.
    """

    findings: tuple[Finding, ...]
    checked: int
    not_judged: tuple[str, ...]
    inconclusive: tuple[InconclusiveMeasure, ...] = ()


def judge(of: Run, baseline: Baseline, settings: Settings) -> Judgement:
    """Hold a run against its baseline."""
    found: list[Finding | InconclusiveMeasure | str] = []
    checked = 0
    now = figures(of, reference=None)
    for engine in _engines(baseline, of):
        before = [figures(run, reference=None) for run in baseline.of(engine)]
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
    """Sort what measures came to: findings, doubts, why they were not judged; empty texts hold."""
    return Judgement(
        findings=tuple(one for one in found if isinstance(one, Finding)),
        checked=checked,
        not_judged=tuple(one for one in found if isinstance(one, str) and one),
        inconclusive=tuple(one for one in found if isinstance(one, InconclusiveMeasure)),
    )


def series(of: RunFigures, engine: str, measure: Measure) -> list[float]:
    """Return an engine's figures in a run, one a round."""
    if measure in _MULTIPLES:
        reference = _MULTIPLES[measure]
        return [] if engine == reference else of.multiples(engine, reference)
    samples = of.samples(engine)
    return samples.peaks_bytes if measure is Measure.MEMORY else samples.walls_s


def _engines(baseline: Baseline, of: Run) -> list[str]:
    """Return all that are or were measured; also those that a baseline of one run lacks."""
    runs = (*baseline.runs, of)
    return list(dict.fromkeys(trial.engine for run in runs for trial in run.trials))


def _measures(
    engine: str, now: RunFigures, before: Sequence[RunFigures], limits: Limits
) -> Iterator[Finding | InconclusiveMeasure | str]:
    """Judge each measure: a finding, why it is not judged, or an empty text where it holds."""
    timed = [
        measure
        for measure in _MULTIPLES
        if any(series(run, engine, measure) for run in before) and engine != _MULTIPLES[measure]
    ]
    # What the others are told by is a multiple of nothing then; its time says how busy it was.
    yardstick = engine in _MULTIPLES.values() and len(now.engines) > 1
    if not timed and not yardstick:
        before_here = [run for run in before if same_machine(run.run, now.run)]
        if before_here:
            yield _judge_samples(engine, Measure.TIME, now, before_here, limits.time)
        elif engine not in _MULTIPLES.values():
            yield f"{engine}: times of other machines are not judged; run floor or legacy beside it"
    for measure in timed:
        yield _judge_samples(engine, measure, now, before, limits.time)
    yield _judge_samples(engine, Measure.MEMORY, now, before, limits.memory)
    yield from _judge_shares(engine, now, before, limits)


def _judge_samples(
    engine: str, measure: Measure, now: RunFigures, before: Sequence[RunFigures], limit: float
) -> Finding | InconclusiveMeasure | str:
    """Judge a measure that has a spread."""
    old = [value for run in before for value in series(run, engine, measure)]
    new = series(now, engine, measure)
    if not old:
        return ""
    if not new:
        return Finding(engine, measure, Regression.MISSING, limit, before=statistics.median(old))
    found = ratio(new, old)
    if found is None or found.is_descriptive:
        return f"{engine}, {measure.value}: too few rounds to judge"
    told = verdict(found, limit)
    if told is not Verdict.HIGHER:
        may_be = told is Verdict.INCONCLUSIVE and (found.high or 0) > 1 + limit
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
    engine: str, now: RunFigures, before: Sequence[RunFigures], limits: Limits
) -> Iterator[Finding | str]:
    """Judge what is counted, so that nothing of it is chance."""
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


def _share(of: RunFigures, engine: str, measure: Measure) -> float | None:
    told = of.engine(engine)
    if told is None or not told.attempted:
        return None
    if measure is Measure.OK:
        return told.ok / told.attempted
    return None if told.success is None else told.success.rate
