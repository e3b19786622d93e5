"""Gradual regressions: change points in an engine's figures over all runs.

The method is PELT with a normal cost: R. Killick, P. Fearnhead and I. A. Eckley, "Optimal Detection
of Changepoints with a Linear Computational Cost" (2012), as ``ruptures`` has it. The penalty is
that of the Bayesian criterion, with the variance of neighbouring runs, which a change does not
raise.
"""

from __future__ import annotations

import itertools
import math
import statistics
from typing import TYPE_CHECKING

from harness.analysis.figures import figures
from harness.analysis.stats import Ratio
from harness.gate.verdict import Finding, Measure, Regression, series

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.gate.baseline import Baseline
    from harness.gate.limits import GateSettings
    from harness.model.record import Run

# Fewer runs make no level; runs further back than the maximum are not considered.
MIN_LEVEL_RUNS = 3
MIN_RUNS = 3 * MIN_LEVEL_RUNS
MAX_RUNS = 200

# Smaller steps of the logarithm are ignored: a figure has three digits.
_SMALLEST = 0.002


def changes(values: Sequence[float]) -> list[int]:
    """Return the indexes at which the level of positive figures changes.

    Args:
        values: figures in order of measurement.
    """
    if len(values) < MIN_RUNS:
        return []
    import numpy as np  # noqa: PLC0415 - slow to import, and few commands need it
    import ruptures  # noqa: PLC0415 - the same

    logs = [math.log(value) for value in values]
    steps = [abs(after - before) for before, after in itertools.pairwise(logs)]
    # 0.6745 makes the median distance a deviation; a difference has twice the variance.
    deviation = max(statistics.median(steps) / 0.6745 / math.sqrt(2), _SMALLEST)
    search = ruptures.Pelt(model="l2", min_size=MIN_LEVEL_RUNS, jump=1)
    penalty = 3 * math.log(len(logs)) * deviation**2
    ends: list[int] = search.fit(np.array(logs).reshape(-1, 1)).predict(pen=penalty)
    return ends[:-1]


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
