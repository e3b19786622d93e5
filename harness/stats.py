"""The statistics of a few repeated measurements; pure functions over numbers.

Medians, not means: one round that the machine disturbed must not move the figure. The interval of
a ratio is the percentile bootstrap of B. Efron and R. J. Tibshirani, "An Introduction to the
Bootstrap" (1993), chapter 13: resample both sides with replacement, many times, and take the middle
95 % of the ratios of medians. For few rounds it comes close to the extreme ratios that the samples
allow, and for fewer than ``MIN_ROUNDS`` none is given.
"""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# With 5 values, 6 % of the resamples have the smallest as their median, so the interval reaches
# the smallest and the largest value, as it should with so few; with 4 or fewer it would claim a
# confidence that nothing supports.
MIN_ROUNDS = 5
CONFIDENCE = 0.95

# 2,000 resamples settle the ends of a 95 % interval to well under the spread of real rounds, and
# take a few milliseconds. The seed is fixed so that the same record always reads the same.
RESAMPLES = 2000
SEED = 20240101


@dataclass(frozen=True, slots=True)
class Summary:
    """The middle and the spread of one figure over the rounds that gave it."""

    n: int
    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """One figure divided by another, with its interval where there are rounds enough for one.

    ``apart`` says that the two sides' samples do not even touch: the weakest sign of a difference
    that noise alone seldom gives, and meaningless for a single round.
    """

    value: float
    low: float | None
    high: float | None
    apart: bool
    rounds: int


def summarize(samples: Sequence[float]) -> Summary | None:
    """Return the summary of ``samples``, or None where there are none."""
    if not samples:
        return None
    return Summary(len(samples), statistics.median(samples), min(samples), max(samples))


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Ratio | None:
    """Return the ratio of two medians, or None where a side is empty or the divisor is zero."""
    above, below = summarize(numerator), summarize(denominator)
    if above is None or below is None or below.low <= 0:
        return None
    low, high = _interval(numerator, denominator)
    apart = above.low > below.high or above.high < below.low
    return Ratio(above.median / below.median, low, high, apart, min(above.n, below.n))


def _interval(
    numerator: Sequence[float], denominator: Sequence[float]
) -> tuple[float | None, float | None]:
    """Return the percentile bootstrap interval of the ratio of medians."""
    if min(len(numerator), len(denominator)) < MIN_ROUNDS:
        return None, None
    rng = random.Random(SEED)  # noqa: S311 - resampling, not secrets
    ratios = sorted(
        _resampled_median(numerator, rng) / _resampled_median(denominator, rng)
        for _ in range(RESAMPLES)
    )
    cut = round(RESAMPLES * (1 - CONFIDENCE) / 2)
    return ratios[cut], ratios[-cut - 1]


def _resampled_median(samples: Sequence[float], rng: random.Random) -> float:
    return statistics.median(rng.choices(samples, k=len(samples)))
