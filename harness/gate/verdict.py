"""Finds the regressions of a run against earlier runs; pure: runs in, findings out."""

from __future__ import annotations

import enum
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.compare import same_machine
from harness.analysis.figures import figures
from harness.analysis.spread import MIN_SESSIONS, judge_session
from harness.analysis.stats import Ratio
from harness.model.record import FLOOR, OLDER_REFERENCE, REFERENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.analysis.figures import EngineFigures, RunFigures
    from harness.gate.baseline import Baseline
    from harness.gate.limits import GateLimits, GateSettings
    from harness.model.record import Run

# Engines that show how fast the machine is. Beside others they are not judged.
YARDSTICKS = (FLOOR, REFERENCE, OLDER_REFERENCE)


class Measure(enum.Enum):
    """A measure of an engine that is judged."""

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


@dataclass(frozen=True, slots=True)
class Finding:
    """A measure of an engine that got worse by more than its limit allows.

    ``before`` and ``after`` are in the measure's own unit: seconds, bytes or shares. ``ratio`` is
    the change, with its uncertainty if it is known; None for exact counts.
    """

    engine: str
    measure: Measure
    regression: Regression
    limit: float
    before: float | None = None
    after: float | None = None
    ratio: Ratio | None = None

    @property
    def key(self) -> tuple[str, Measure]:
        """Return the engine and the measure."""
        return self.engine, self.measure


@dataclass(frozen=True, slots=True)
class Judgement:
    """The findings, the number of measures checked, and what could not be judged, with reasons."""

    findings: tuple[Finding, ...]
    checked: int
    not_judged: tuple[str, ...]


def judge(head: Run, baseline: Baseline, settings: GateSettings) -> Judgement:
    """Judge each measure of a run against its baseline, in which a run is one observation."""
    found: list[Finding | str] = []
    now = figures(head, reference=None)
    for engine in _engines(baseline, head):
        before = _sessions(baseline.runs_for(engine), engine)
        if not before:
            continue
        after = now.engine(engine)
        if after is None or not after.attempted:
            found.append(Finding(engine, Measure.PRESENT, Regression.MISSING, 0.0))
            continue
        limits = settings.limits(engine)
        history = _sessions(baseline.history, engine)
        found += _judge_shares(engine, after, [_of(run, engine) for run in before], limits)
        found.append(_judge_memory(engine, now, before, history, limits.memory))
        found.append(_judge_time(engine, now, before, history, limits.time))
    return collect(found)


def collect(found: Sequence[Finding | str]) -> Judgement:
    """Sort results into findings and reasons; an empty text is a measure within its limit."""
    not_judged = tuple(one for one in found if isinstance(one, str) and one)
    return Judgement(
        findings=tuple(one for one in found if isinstance(one, Finding)),
        checked=len(found) - len(not_judged),
        not_judged=not_judged,
    )


def _engines(baseline: Baseline, head: Run) -> list[str]:
    """Return the engines of the run and of its baseline, less the yardsticks beside others."""
    runs = (*baseline.runs, head)
    engines = dict.fromkeys(trial.engine for run in runs for trial in run.trials)
    return [engine for engine in engines if engine not in YARDSTICKS] or list(engines)


def _sessions(runs: Sequence[Run], engine: str) -> list[RunFigures]:
    """Return the figures of the runs in which an engine was tried."""
    every = (figures(run, reference=None) for run in runs)
    return [run for run in every if run.samples(engine).trials]


def _of(run: RunFigures, engine: str) -> EngineFigures:
    found = run.engine(engine)
    if found is None:
        raise ValueError(f"run {run.run.id} has no engine {engine}")
    return found


def _values(
    runs: Sequence[RunFigures], engine: str, figure: Callable[[EngineFigures], float | None]
) -> list[float]:
    """Return a figure of an engine in each of the runs that have it."""
    return [value for run in runs if (value := figure(_of(run, engine)))]


def _judge_time(
    engine: str,
    now: RunFigures,
    before: Sequence[RunFigures],
    history: Sequence[RunFigures],
    limit: float,
) -> Finding | str:
    """Judge the median time by sessions on the same machine and server."""
    after = _time(_of(now, engine))
    earlier, level = (
        _values([run for run in runs if same_machine(run.run, now.run)], engine, _time)
        for runs in (history, before)
    )
    if after is None:
        return f"{engine}, time: no trial is ok"
    if len(earlier) < MIN_SESSIONS or not level:
        return (
            f"{engine}, time: {len(earlier)} earlier sessions on this machine and server, and "
            f"{MIN_SESSIONS} are needed to know how much sessions differ by themselves"
        )
    return _finding(engine, Measure.TIME, Regression.SLOWER, after, (earlier, level, limit))


def _judge_memory(
    engine: str,
    now: RunFigures,
    before: Sequence[RunFigures],
    history: Sequence[RunFigures],
    limit: float,
) -> Finding | str:
    """Judge the median peak memory, which is the engine's own, on any machine."""
    after = _memory(_of(now, engine))
    earlier, level = (_values(runs, engine, _memory) for runs in (history, before))
    if after is None or not level:
        return f"{engine}, peak RSS: unknown"
    return _finding(engine, Measure.MEMORY, Regression.MORE_MEMORY, after, (earlier, level, limit))


def _finding(
    engine: str,
    measure: Measure,
    regression: Regression,
    after: float,
    against: tuple[list[float], list[float], float],
) -> Finding | str:
    earlier, level, least = against
    change = judge_session(after, earlier or level, least, level)
    if not change.is_worse:
        return ""
    ratio = Ratio(change.ratio, None, None, change.sessions)
    return Finding(engine, measure, regression, change.limit, change.before, after, ratio)


def _time(of: EngineFigures) -> float | None:
    return None if of.wall_s is None else of.wall_s.median


def _memory(of: EngineFigures) -> float | None:
    return None if of.peak_bytes is None else of.peak_bytes.median


def _judge_shares(
    engine: str, after: EngineFigures, before: Sequence[EngineFigures], limits: GateLimits
) -> Iterator[Finding | str]:
    """Judge the exact counts, which need no test."""
    measures: tuple[tuple[Measure, Callable[[EngineFigures], float | None]], ...] = (
        (Measure.SUCCESS, _success),
        (Measure.OK, _ok_share),
    )
    for measure, share in measures:
        shares = [value for each in before if (value := share(each)) is not None]
        new = share(after)
        if not shares or new is None:
            continue
        old = statistics.median(shares)
        worse = new < old - limits.success
        yield (
            Finding(engine, measure, Regression.LESS_COMPLETE, limits.success, old, new)
            if worse
            else ""
        )


def _success(of: EngineFigures) -> float | None:
    return None if of.success is None else of.success.rate


def _ok_share(of: EngineFigures) -> float | None:
    return of.ok / of.attempted if of.attempted else None
