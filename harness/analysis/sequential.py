"""Decides whether a figure got worse, after planned numbers of rounds; pure.

Judging after every round until something is found makes false alarms certain. Here the looks are
planned, and share the probability of a false alarm: each may use an equal part of it, so that
together they stay below it by Bonferroni's inequality, however the looks depend on each other. That
is the alpha spending of K. K. G. Lan and D. L. DeMets, "Discrete Sequential Boundaries for Clinical
Trials" (1983), with a spending function that is linear in the looks; the boundary itself is not
computed from a normal distribution, which the noise of a machine does not have.

Within a look, Holm's procedure shares that part among all measures of all engines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from harness.analysis.paired import holm, p_higher, paired_ratio
from harness.analysis.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.analysis.stats import Ratio

Key = TypeVar("Key")

# The probability of a false alarm, over all measures and looks.
FALSE_ALARMS = 0.05

# Eight rounds find a tenth on a quiet machine, whose trials differ by 2%. With noise of 5% it takes
# 16 (median), with 10% 32, and then 99% are found. The fewer the looks, the larger the part of each
# in the false alarms: so they double.
DEFAULT_ROUNDS = 8
DEFAULT_MAX_ROUNDS = 64


@dataclass(frozen=True, slots=True)
class Plan:
    """The numbers of rounds after which is judged: ``rounds``, then twice as many each time."""

    rounds: int = DEFAULT_ROUNDS
    max_rounds: int = DEFAULT_MAX_ROUNDS
    false_alarms: float = FALSE_ALARMS

    @property
    def looks(self) -> tuple[int, ...]:
        """Return the planned numbers of rounds."""
        looks = [self.rounds]
        while looks[-1] < self.max_rounds:
            looks.append(min(2 * looks[-1], self.max_rounds))
        return tuple(looks)

    @property
    def level(self) -> float:
        """Return the probability of a false alarm that one look may use."""
        return self.false_alarms / len(self.looks)


@dataclass(frozen=True, slots=True)
class Series:
    """A measure of one engine in two versions: a positive figure per round and version.

    ``limit`` is the smallest increase that matters, as a share: 0.05 is 5%.
    """

    before: Sequence[float]
    after: Sequence[float]
    limit: float


@dataclass(frozen=True, slots=True)
class Change:
    """The change of one measure, with the verdict on it.

    ``p`` is adjusted for the number of measures. The verdict is *higher* if ``p`` is at most the
    level of the look and the ratio is beyond the limit; *same* or *lower* if the interval excludes
    an increase beyond the limit; else *inconclusive*.
    """

    ratio: Ratio | None
    p: float
    limit: float
    verdict: Verdict


def look(series: Mapping[Key, Series], level: float) -> dict[Key, Change]:
    """Judge all measures once.

    Args:
        series: the measures, each with all rounds so far.
        level: the probability of a false alarm that this look may use.
    """
    p_values = holm({name: p_higher(one.after, one.before) for name, one in series.items()})
    return {name: _change(one, p_values[name], level) for name, one in series.items()}


def is_settled(changes: Mapping[Key, Change]) -> bool:
    """Return whether more rounds are pointless: a measure is worse, or none is inconclusive."""
    verdicts = {change.verdict for change in changes.values()}
    return Verdict.HIGHER in verdicts or Verdict.INCONCLUSIVE not in verdicts


def judge_rounds(series: Mapping[Key, Series], plan: Plan) -> tuple[int, dict[Key, Change]]:
    """Judge recorded rounds as if they were measured now, look by look.

    Args:
        series: the measures, of at least ``plan.max_rounds`` rounds.
        plan: the looks.

    Returns:
        The number of rounds after which the comparison ends, and the changes then.
    """
    rounds, changes = 0, dict[Key, Change]()
    for rounds in plan.looks:
        so_far = {
            name: Series(one.before[:rounds], one.after[:rounds], one.limit)
            for name, one in series.items()
        }
        changes = look(so_far, plan.level)
        if is_settled(changes):
            break
    return rounds, changes


def _change(series: Series, p: float, level: float) -> Change:
    ratio = paired_ratio(series.after, series.before)
    return Change(ratio, p, series.limit, _verdict(ratio, p, series.limit, level))


def _verdict(ratio: Ratio | None, p: float, limit: float, level: float) -> Verdict:
    if ratio is None or ratio.high is None:
        return Verdict.INCONCLUSIVE
    if ratio.value >= 1 + limit and p <= level:
        return Verdict.HIGHER
    if ratio.value <= 1 - limit and ratio.high < 1:
        return Verdict.LOWER
    return Verdict.SAME if ratio.high < 1 + limit else Verdict.INCONCLUSIVE
