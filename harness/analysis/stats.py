"""The statistics of a few repeated measurements; pure functions over numbers.

Medians, not means: one round that the machine disturbed must not move the figure. Engines of one
run are compared round by round (``paired``); ``ratio`` is for rounds that do not belong together,
such as those of two files of pytest-benchmark. Its interval is the percentile bootstrap of B. Efron
and R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13: resample both sides
with replacement, many times, and take the middle 95 % of the ratios of medians. For few rounds it
comes close to the extreme ratios that the samples allow, so that a rank test is required too, and
for fewer than ``MIN_ROUNDS`` neither is given.

numpy is imported lazily: commands that only read the history should not wait for it.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# With 5 values, 6 % of the resamples have the smallest as their median, so the interval reaches
# the smallest and the largest value, as it should with so few; with 4 or fewer it would claim a
# confidence that nothing supports. With 5 rounds a side, the rank test can reach p = 0.008; with 3,
# no difference gets below 0.1.
MIN_ROUNDS = 5
CONFIDENCE = 0.95

# 2,000 resamples settle the ends of a 95 % interval to well under the spread of real rounds, and
# take a few milliseconds. The seed is fixed so that the same record always reads the same.
RESAMPLES = 2000
SEED = 20240101

# B. Iglewicz and D. C. Hoaglin, "How to Detect and Handle Outliers" (1993), section 3: a modified
# z-score above 3.5, where 0.6745 makes the median deviation one standard deviation of a normal.
_OUTLIER_SCORE = 3.5
_NORMAL_MAD = 0.6745


@dataclass(frozen=True, slots=True)
class Summary:
    """The median and the range of one figure over its rounds."""

    n: int
    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """One figure divided by another, with its uncertainty if there are enough rounds.

    ``low`` and ``high`` are the 95% interval, ``error`` is the standard error of its logarithm, and
    ``rounds`` the number on the smaller side. ``p`` is the p-value of the rank test if the
    rounds of the two sides do not belong together; if they do, the interval is that of the test
    (``analysis.paired``).
    """

    value: float
    low: float | None
    high: float | None
    rounds: int
    p: float | None = None
    error: float | None = None

    @property
    def is_descriptive(self) -> bool:
        """Return whether there are too few rounds to conclude from."""
        return self.low is None


def summarize(samples: Sequence[float]) -> Summary | None:
    """Return the summary of ``samples``, or None if there are none."""
    if not samples:
        return None
    return Summary(len(samples), statistics.median(samples), min(samples), max(samples))


def median_interval(samples: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95% interval of the median of the population, or None for too few samples.

    Its ends are two of the samples, the innermost pair with that confidence for any
    distribution: H. A. David and H. N. Nagaraja, "Order Statistics" (2003), section 7.1. Of 6 to 8
    samples these are the lowest and the highest.
    """
    ordered, size = sorted(samples), len(samples)
    outside, place = 1, 0  # in how many of the 2^size ways no more samples are below the median
    while 2 * outside <= (1 - CONFIDENCE) * 2**size:
        place += 1
        outside += math.comb(size, place)
    return (ordered[place - 1], ordered[-place]) if place else None


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Ratio | None:
    """Return the ratio of two medians, or None if a side is empty or the divisor is zero."""
    above, below = summarize(numerator), summarize(denominator)
    if above is None or below is None or below.low <= 0:
        return None
    value, rounds = above.median / below.median, min(above.n, below.n)
    if rounds < MIN_ROUNDS or above.low <= 0:
        return Ratio(value, None, None, rounds)
    low, high = _interval(numerator, denominator)
    p = rank_test(numerator, denominator)
    return Ratio(value, low, high, rounds, p, _error(numerator, denominator))


def outliers(samples: Sequence[float], least: float = 0.0) -> tuple[int, ...]:
    """Return the indexes of the outliers among samples; they stay in all figures.

    Args:
        samples: positive figures of one kind.
        least: the minimum distance from the median, as a share of it.
    """
    if len(samples) < MIN_ROUNDS:
        return ()
    median = statistics.median(samples)
    distances = [abs(sample - median) for sample in samples]
    spread = statistics.median(distances) / _NORMAL_MAD
    return tuple(
        place
        for place, distance in enumerate(distances)
        if distance > _OUTLIER_SCORE * spread and distance > least * median
    )


def rank_test(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the two-sided p-value of the exact Mann-Whitney test, ties included.

    H. B. Mann and D. R. Whitney, "On a Test of Whether one of Two Random Variables is
    Stochastically Larger than the Other" (1947). The probabilities are counted over all
    assignments of ranks. ``scipy.stats`` has the test, but takes a second to import.
    """
    import numpy as np  # noqa: PLC0415 - see the module

    one, other = sorted((one, other), key=len)
    ranks = _doubled_ranks([*one, *other])
    few, total = len(one), sum(ranks)
    # ways[k, s]: in how many ways k of the ranks so far add up to s.
    ways = np.zeros((few + 1, total + 1))
    ways[0, 0] = 1
    for rank in ranks:
        ways[1:, rank:] += ways[:-1, : total + 1 - rank].copy()
    chances = ways[few] / ways[few].sum()
    middle = few * total / len(ranks)
    far = abs(np.arange(total + 1) - middle) >= abs(sum(ranks[:few]) - middle) - 1e-9
    return float(chances[far].sum())


def _doubled_ranks(values: Sequence[float]) -> list[int]:
    """Return twice the rank of each value: ties share their mean, and doubling keeps integers."""
    ordered = sorted(values)
    first: dict[float, int] = {}
    count: dict[float, int] = {}
    for place, value in enumerate(ordered, start=1):
        first.setdefault(value, place)
        count[value] = count.get(value, 0) + 1
    return [2 * first[value] + count[value] - 1 for value in values]


def _interval(numerator: Sequence[float], denominator: Sequence[float]) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the ratio of medians."""
    import numpy as np  # noqa: PLC0415 - see the module

    rng = np.random.default_rng(SEED)
    above, below = (
        np.median(rng.choice(np.asarray(side, dtype=float), (RESAMPLES, len(side))), axis=1)
        for side in (numerator, denominator)
    )
    ratios = np.sort(above / below)
    cut = round(RESAMPLES * (1 - CONFIDENCE) / 2)
    return float(ratios[cut]), float(ratios[-cut - 1])


def _error(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Return the standard error of the logarithm of the ratio of medians.

    That of a median of n normal values is sqrt(pi/2) of their mean's; M. G. Kendall and A. Stuart,
    "The Advanced Theory of Statistics" (1977), volume 1, section 14.9.
    """
    variances = [
        statistics.variance([math.log(sample) for sample in side]) / len(side)
        for side in (numerator, denominator)
    ]
    return math.sqrt(math.pi / 2 * sum(variances))
