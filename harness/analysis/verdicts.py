"""The verdict on a ratio of two figures: higher, lower, same, or inconclusive."""

from __future__ import annotations

import enum
import math
import statistics
from typing import TYPE_CHECKING

from harness.analysis.paired import MIN_ROUNDS
from harness.analysis.stats import CONFIDENCE

if TYPE_CHECKING:
    from harness.analysis.stats import Ratio

# Smaller differences, of times and of memory, do not matter for the choice of an engine. Both are
# chosen, not measured.
MIN_EFFECT = 0.05
MIN_MEMORY_EFFECT = 0.10

# If more rounds than this are needed, rounds will not settle it.
MAX_MORE_ROUNDS = 100


class Verdict(enum.Enum):
    """The numerator relative to the denominator; for times, higher is slower."""

    HIGHER = "higher"
    LOWER = "lower"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"


def verdict(ratio: Ratio, effect: float = MIN_EFFECT) -> Verdict:
    """Return whether a ratio is above, below or equal to one, or inconclusive.

    It is above or below one only if the interval and, of two sides whose rounds do not belong
    together, the rank test show it, and by at least ``effect``; it is equal if the whole interval
    is closer to one than that.
    """
    if ratio.low is None or ratio.high is None:
        return Verdict.INCONCLUSIVE
    if ratio.low > 1 - effect and ratio.high < 1 + effect:
        return Verdict.SAME
    clear = ratio.low > 1 or ratio.high < 1
    clear = clear and (ratio.p is None or ratio.p < 1 - CONFIDENCE)
    if not clear or abs(ratio.value - 1) < effect:
        return Verdict.INCONCLUSIVE
    return Verdict.HIGHER if ratio.value > 1 else Verdict.LOWER


def more_rounds(ratio: Ratio, effect: float = MIN_EFFECT) -> int | None:
    """Estimate how many more rounds on each side would settle an inconclusive ratio.

    The interval shrinks with the square root of the rounds. It must exclude one if the ratio is at
    least ``effect`` from it, else lie within ``effect`` of it.

    Returns:
        At least one; None if unknown or more than ``MAX_MORE_ROUNDS``.
    """
    if ratio.is_descriptive:
        return max(1, MIN_ROUNDS - ratio.rounds)
    if ratio.error is None:
        return None
    distance = abs(math.log(ratio.value))
    margin = distance if abs(ratio.value - 1) >= effect else math.log1p(effect) - distance
    half = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * ratio.error
    if margin <= 0 or (half / margin) ** 2 * ratio.rounds > MAX_MORE_ROUNDS + ratio.rounds:
        return None
    return max(1, math.ceil((half / margin) ** 2 * ratio.rounds) - ratio.rounds)
