"""Gradual regressions: change points in an engine's figures over all runs."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from harness.analysis.figures import figures
from harness.analysis.stats import Ratio
from harness.analysis.steps import changes
from harness.gate.verdict import Finding, Measure, Regression, series

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.gate.baseline import Baseline
    from harness.gate.limits import GateSettings
    from harness.model.record import Run

# Runs further back are not considered.
MAX_RUNS = 200


def drift(head: Run, baseline: Baseline, settings: GateSettings) -> Iterator[Finding]:
    """Yield the measures whose level is above their lowest by more than the limit.

    Only runs since the last accepted change count: an accepted change is no drift.
    """
    for engine in dict.fromkeys(trial.engine for trial in head.trials):
        runs = (*baseline.history(engine)[-MAX_RUNS:], head)
        all_figures = [figures(run, reference=None) for run in runs]
        for measure in (Measure.FLOOR, Measure.LEGACY, Measure.MEMORY):
            points = [
                (run.run.id, statistics.median(values))
                for run in all_figures
                if (values := series(run, engine, measure))
            ]
            if points and points[-1][0] == head.id:
                limits = settings.limits(engine)
                limit = limits.memory if measure is Measure.MEMORY else limits.time
                yield from _level_increase(engine, measure, points, limit)


def _level_increase(
    engine: str, measure: Measure, points: list[tuple[str, float]], limit: float
) -> Iterator[Finding]:
    values = [value for _, value in points]
    starts = [0, *changes(values)]
    ends = [*starts[1:], len(values)]
    levels = [statistics.median(values[start:end]) for start, end in zip(starts, ends, strict=True)]
    lowest, now = min(levels), levels[-1]
    if now < lowest * (1 + limit):
        return
    # The rise starts with the level after the lowest.
    began = starts[levels.index(lowest) + 1]
    yield Finding(
        engine,
        measure,
        Regression.MORE_MEMORY if measure is Measure.MEMORY else Regression.SLOWER,
        limit,
        before=lowest,
        after=now,
        ratio=Ratio(now / lowest, None, None, len(values)),
        since=points[began][0],
    )


def is_still_higher(run: Run, found: Finding) -> bool:
    """Return whether a figure of another run is above the lowest level as well."""
    values = series(figures(run, reference=None), found.engine, found.measure)
    lowest = found.before or 0.0
    return not values or statistics.median(values) >= lowest * (1 + found.limit)
