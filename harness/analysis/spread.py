"""Judges one session against earlier ones, each of them one observation; pure.

Rounds of one session share its day: the machine's temperature, its neighbours, the layout of its
disk. However many there are, they say nothing of how much sessions differ. So a session counts
once, by its median, and what is unusual follows from the spread between sessions.
"""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# With 8 earlier sessions, one of two measures of unchanged code is called worse in 1 to 3% of the
# sessions, if these differ by 5% (normal, or Student's t with 3 degrees of freedom); with 5, in 6%.
MIN_SESSIONS = 8

# The fence of extreme outliers: J. W. Tukey, "Exploratory Data Analysis" (1977). rustc-perf decides
# so whether a change is significant (docs/comparison-analysis.md, 2026-08-22).
FENCE = 3


@dataclass(frozen=True, slots=True)
class SessionChange:
    """A session's figure over the median of earlier ones, and the largest usual increase.

    ``limit`` is a share: 0.05 is 5%. ``sessions`` is the number of earlier ones.
    """

    before: float
    after: float
    limit: float
    sessions: int

    @property
    def ratio(self) -> float:
        """Return the change as a ratio."""
        return self.after / self.before

    @property
    def is_worse(self) -> bool:
        """Return whether the increase is larger than usual."""
        return self.ratio > 1 + self.limit


def judge_session(
    after: float, earlier: Sequence[float], least: float, level: Sequence[float] = ()
) -> SessionChange:
    """Judge the figure of a session.

    Args:
        after: its positive figure.
        earlier: those of earlier sessions, the oldest first; at least one.
        least: the smallest limit, as a share.
        level: the sessions that it is compared with; by default all earlier ones.
    """
    limit = max(least, usual_change(earlier)) if len(earlier) >= MIN_SESSIONS else least
    return SessionChange(statistics.median(level or earlier), after, limit, len(earlier))


def usual_change(figures: Sequence[float]) -> float:
    """Return the largest usual change from one session to the next, as a share.

    It is Q3 + 3 IQR of the relative changes between successive sessions, of either direction.

    Args:
        figures: positive figures of at least 3 sessions, the oldest first.
    """
    changes = [abs(after / before - 1) for before, after in itertools.pairwise(figures)]
    first, _, third = statistics.quantiles(changes, method="inclusive")
    return third + FENCE * (third - first)
