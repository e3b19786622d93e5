"""Change points: where the level of a figure changes from session to session.

The method is optimal partitioning: B. Jackson et al., "An Algorithm for Optimal Partitioning of
Data on an Interval" (2005), with the squared distance from a segment's mean as its cost. The
penalty of a change is that of the Bayesian criterion, with the variance of neighbouring sessions,
which a change does not raise.
"""

from __future__ import annotations

import itertools
import math
import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Fewer sessions make no level.
MIN_LEVEL_SESSIONS = 3
MIN_SESSIONS = 3 * MIN_LEVEL_SESSIONS

# Smaller steps of the logarithm are ignored: a figure has three digits.
_SMALLEST = 0.002


def changes(values: Sequence[float]) -> list[int]:
    """Return the indexes at which the level of positive figures changes.

    Args:
        values: figures in order of measurement, one for each session.
    """
    if len(values) < MIN_SESSIONS:
        return []
    logs = [math.log(value) for value in values]
    steps = [abs(after - before) for before, after in itertools.pairwise(logs)]
    # 0.6745 makes the median distance a deviation; a difference has twice the variance.
    deviation = max(statistics.median(steps) / 0.6745 / math.sqrt(2), _SMALLEST)
    return _partition(logs, penalty=3 * math.log(len(logs)) * deviation**2)


def _partition(values: Sequence[float], penalty: float) -> list[int]:
    """Return the starts of all segments but the first that minimise cost and penalties together."""
    size = MIN_LEVEL_SESSIONS
    sums = list(itertools.accumulate(values, initial=0.0))
    squares = list(itertools.accumulate((value * value for value in values), initial=0.0))
    # Of the values up to each index: the least cost, and the start of the last segment.
    best = [0.0] + [math.inf] * len(values)
    starts = [0] * len(best)
    for end in range(size, len(best)):
        for start in range(end - size + 1):
            total = sums[end] - sums[start]
            distance = squares[end] - squares[start] - total * total / (end - start)
            cost = best[start] + distance + penalty
            if cost < best[end]:
                best[end], starts[end] = cost, start
    found = [starts[-1]]
    while found[-1] > 0:
        found.append(starts[found[-1]])
    return found[-2::-1]
