"""What a ratio of two figures says: higher, lower, the same, or that there is no telling yet."""

from __future__ import annotations

import enum
import math
import statistics
from typing import TYPE_CHECKING

from harness.analysis.stats import CONFIDENCE, MIN_ROUNDS

if TYPE_CHECKING:
    from harness.analysis.stats import Ratio

# A difference below this changes nobody's choice of engine. Chosen, not measured.
MIN_EFFECT = 0.05

# What takes more rounds than this is not going to be settled by rounds.
MAX_MORE_ROUNDS = 100


class Verdict(enum.Enum):
    """What a ratio says about its numerator; of times, higher is slower and lower is faster."""

    HIGHER = "higher"
    LOWER = "lower"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"


def verdict(ratio: Ratio, effect: float = MIN_EFFECT) -> Verdict:
    """Say whether a ratio is above, below or at one, or whether there is no telling.

    It is above or below only if the interval and the rank test both say so, and by no less than
    ``effect``; it is at one where the whole interval is nearer to one than that.
    """
    if ratio.is_descriptive or ratio.low is None or ratio.high is None or ratio.p is None:
        return Verdict.INCONCLUSIVE
    if ratio.low > 1 - effect and ratio.high < 1 + effect:
        return Verdict.SAME
    clear = (ratio.low > 1 or ratio.high < 1) and ratio.p < 1 - CONFIDENCE
    if not clear or abs(ratio.value - 1) < effect:
        return Verdict.INCONCLUSIVE
    return Verdict.HIGHER if ratio.value > 1 else Verdict.LOWER


def more_rounds(ratio: Ratio, effect: float = MIN_EFFECT) -> int | None:
    """Estimate how many more rounds on each side would settle a ratio that is inconclusive.

    The interval shrinks with the root of the rounds. It has to leave one outside where the ratio
    is ``effect`` or more from it, and to fit between one and ``effect`` where it is less.

    Returns:
        At least one; None where more than ``MAX_MORE_ROUNDS`` are to be expected, or nothing
        tells how many.
    """
    if ratio.is_descriptive:
        return MIN_ROUNDS - ratio.rounds
    if ratio.error is None:
        return None
    distance = abs(math.log(ratio.value))
    margin = distance if abs(ratio.value - 1) >= effect else math.log1p(effect) - distance
    half = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * ratio.error
    if margin <= 0 or (half / margin) ** 2 * ratio.rounds > MAX_MORE_ROUNDS + ratio.rounds:
        return None
    return max(1, math.ceil((half / margin) ** 2 * ratio.rounds) - ratio.rounds)
