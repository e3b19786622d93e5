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
MOST_MORE_ROUNDS = 100


class Verdict(enum.Enum):
    """What a ratio says about its numerator; of times, higher is slower and lower is faster."""

    HIGHER = "higher"
    LOWER = "lower"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"


def verdict(of: Ratio, effect: float = MIN_EFFECT) -> Verdict:
    """Say whether a ratio is above, below or at one, or whether there is no telling.

    It is above or below only if the interval and the rank test both say so, and by no less than
    ``effect``; it is at one where the whole interval is nearer to one than that.
    """
    if of.descriptive or of.low is None or of.high is None or of.p is None:
        return Verdict.INCONCLUSIVE
    if of.low > 1 - effect and of.high < 1 + effect:
        return Verdict.SAME
    clear = (of.low > 1 or of.high < 1) and of.p < 1 - CONFIDENCE
    if not clear or abs(of.value - 1) < effect:
        return Verdict.INCONCLUSIVE
    return Verdict.HIGHER if of.value > 1 else Verdict.LOWER


def more_rounds(of: Ratio, effect: float = MIN_EFFECT) -> int | None:
    """Estimate how many more rounds on each side would settle a ratio that is inconclusive.

    The interval shrinks with the root of the rounds. It has to leave one outside where the ratio
    is ``effect`` or more from it, and to fit between one and ``effect`` where it is less.

    Returns:
        At least one; None where more than ``MOST_MORE_ROUNDS`` are to be expected, or nothing
        tells how many.
    """
    if of.descriptive:
        return MIN_ROUNDS - of.rounds
    if of.error is None:
        return None
    distance = abs(math.log(of.value))
    margin = distance if abs(of.value - 1) >= effect else math.log1p(effect) - distance
    half = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * of.error
    if margin <= 0 or (half / margin) ** 2 * of.rounds > MOST_MORE_ROUNDS + of.rounds:
        return None
    return max(1, math.ceil((half / margin) ** 2 * of.rounds) - of.rounds)
