"""Paired comparison of two engines, round by round of one run; pure functions over numbers.

What disturbs a whole round affects both engines of it and cancels out in their ratio. All figures
are computed from the logarithms of these ratios:

- the estimate is the Hodges-Lehmann estimator, the median of the averages of all pairs of them. It
  needs 5% more rounds than the mean if noise is normal, and ignores outliers, which the mean does
  not;
- the interval is the one that belongs to it, with the normal approximation of the signed-rank
  statistic: M. Hollander and D. A. Wolfe, "Nonparametric Statistical Methods" (1999), sections 3.2
  and 3.3;
- the test is Wilcoxon's signed-rank test as a permutation test: under the null hypothesis, the two
  engines of a round can be exchanged, which flips the sign of its difference. Since their order in
  a round is drawn at random, that holds for noise of any kind.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, TypeVar

from harness.analysis.stats import CONFIDENCE, SEED, Ratio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Key = TypeVar("Key")

# With fewer, the 95% interval would reach beyond the smallest and largest of the rounds.
MIN_ROUNDS = 6

# Without ties, the permutations are counted by a formula. With ties, those of up to 13 rounds are
# all counted, and of more rounds so many are drawn. The seed is fixed, so that the same record
# always reads the same.
PERMUTATIONS = 9_999


def paired_ratio(after: Sequence[float], before: Sequence[float]) -> Ratio | None:
    """Return the ratio of ``after`` to ``before``, with its 95% interval from 6 rounds on.

    Args:
        after: positive figures, one per round.
        before: the figures of the same rounds, in the same order.

    Returns:
        None if there is no round, or a figure is not positive.

    Raises:
        ValueError: the lengths differ.
    """
    logs = log_ratios(after, before)
    if not logs:
        return None
    averages = sorted((one + logs[j]) / 2 for i, one in enumerate(logs) for j in range(i + 1))
    value = math.exp(statistics.median(averages))
    rounds = len(logs)
    if rounds < MIN_ROUNDS:
        return Ratio(value, None, None, rounds)
    z = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    deviation = math.sqrt(rounds * (rounds + 1) * (2 * rounds + 1) / 24)
    cut = math.floor(rounds * (rounds + 1) / 4 - z * deviation) - 1
    low, high = averages[cut], averages[-cut - 1]
    error = (high - low) / (2 * z)
    return Ratio(value, math.exp(low), math.exp(high), rounds, error=error)


def log_ratios(after: Sequence[float], before: Sequence[float]) -> list[float]:
    """Return the logarithm of each round's ratio; empty if a figure is not positive."""
    pairs = list(zip(after, before, strict=True))
    if any(one <= 0 or other <= 0 for one, other in pairs):
        return []
    return [math.log(one / other) for one, other in pairs]


def p_higher(after: Sequence[float], before: Sequence[float]) -> float:
    """Return the p-value of the hypothesis that ``after`` is not higher than ``before``.

    Arguments are those of ``paired_ratio``; 1 if there is no round.
    """
    import numpy as np  # noqa: PLC0415 - slow to import, and few commands need it
    from scipy.stats import permutation_test, rankdata, wilcoxon  # noqa: PLC0415 - the same

    logs = np.array(log_ratios(after, before))
    if not logs.any():
        return 1.0
    # A rounding error must not break a tie.
    sizes = np.round(np.abs(logs), 12)
    if sizes.all() and len(np.unique(sizes)) == len(sizes):
        return float(wilcoxon(logs, alternative="greater", method="exact").pvalue)
    ranks = rankdata(sizes) * np.sign(logs) * (sizes > 0)
    found = permutation_test(
        (ranks,),
        np.sum,
        permutation_type="samples",
        alternative="greater",
        n_resamples=PERMUTATIONS,
        vectorized=True,
        rng=np.random.default_rng(SEED),
    )
    return float(found.pvalue)


def holm(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """Adjust p-values for their number, in the order given.

    S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure" (1979): the chance that any
    true hypothesis is rejected stays below the level, whatever the dependence between them.
    """
    adjusted, highest = {}, 0.0
    for place, key in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[key]))
        adjusted[key] = highest
    return {key: adjusted[key] for key in p_values}
