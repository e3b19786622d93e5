"""How often verdicts are right, by drawing rounds anew from trials that were recorded; pure.

Rounds are drawn by the smoothed bootstrap of B. W. Silverman and G. A. Young, "The Bootstrap: to
Smooth or not to Smooth?" (1987): a recorded time, and a little noise, scaled so that the spread
stays that of the record. Drawn without it, few recorded rounds would repeat each other.
"""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.figures import figures
from harness.analysis.stats import MIN_ROUNDS, SEED, ratio
from harness.analysis.verdicts import Verdict, verdict
from harness.selftest.checks import Check

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.model.record import Run

# The share of false alarms is 3 % (``stats.rank_test``); of 100 comparisons, chance alone would
# make more than 5 of them in one case of twelve, of 400 more than 20 in one of a hundred.
COMPARISONS = 400
FALSE_ALARMS = 0.05
SLOWDOWN = 1.10
FOUND = 0.95

# With rounds whose spread (standard deviation over mean) is 2 %, a slowdown of a tenth is found
# with five of them in 998 of 1,000 comparisons, with 3 % in 950, with 4 % in 799, with 5 % in 595
# (drawn from a normal distribution): on a machine that is noisier, it takes more rounds.
QUIET = 0.03


@dataclass(frozen=True, slots=True)
class Pool:
    """The times of one engine in one run, as multiples of their mean."""

    name: str
    rounds: tuple[float, ...]

    @property
    def spread(self) -> float:
        """Their standard deviation, as a share of their mean."""
        return statistics.stdev(self.rounds)

    def draw(self, rng: random.Random, count: int, times: float = 1.0) -> list[float]:
        """Draw so many rounds, each so many times as long."""
        noise = len(self.rounds) ** -0.2
        shrink = (1 + noise**2) ** -0.5
        return [
            times * (1 + shrink * (value - 1 + noise * rng.gauss(0, self.spread)))
            for value in rng.choices(self.rounds, k=count)
        ]


def pools(runs: Iterable[Run]) -> tuple[Pool, ...]:
    """Return what was recorded with rounds enough to draw from."""
    found = []
    for run in runs:
        told = figures(run, reference=None)
        for each in told.engines:
            walls_s = told.samples(each.engine).walls_s
            if len(walls_s) >= MIN_ROUNDS:
                mean = statistics.mean(walls_s)
                name = f"{each.engine} of run {run.id}"
                found.append(Pool(name, tuple(wall_s / mean for wall_s in walls_s)))
    return tuple(found)


def simulate(of: tuple[Pool, ...], rounds: int = MIN_ROUNDS) -> tuple[Check, ...]:
    """Check how often equal engines are called different, and how often a slowdown is found.

    A slowdown is looked for in the pools that are quiet enough for it to be there to find.
    """
    if not of:
        return (Check("simulations", passed=False, seen="no run has rounds enough; make one"),)
    quiet = tuple(pool for pool in of if pool.spread <= QUIET)
    return (_false_alarms(of, rounds), _found(quiet, len(of), rounds))


def _false_alarms(of: tuple[Pool, ...], rounds: int) -> Check:
    alarms = sum(_told(of, rounds, 1.0, number) is not None for number in range(COMPARISONS))
    return Check(
        f"an engine beside itself comes out different in at most {FALSE_ALARMS:.0%} of "
        f"{COMPARISONS} comparisons",
        passed=alarms <= FALSE_ALARMS * COMPARISONS,
        seen=f"{alarms} of {COMPARISONS}, {rounds} rounds a side, drawn from {len(of)} recorded "
        "series",
    )


def _found(of: tuple[Pool, ...], among: int, rounds: int) -> Check:
    what = f"a slowdown of {SLOWDOWN - 1:.0%} is found in at least {FOUND:.0%} of comparisons"
    if not of:
        seen = f"none of {among} recorded series is quiet enough (spread {QUIET:.0%}) to find it in"
        return Check(what, passed=False, seen=seen)
    found = [_told(of, rounds, SLOWDOWN, number) for number in range(COMPARISONS)]
    slower = found.count(Verdict.HIGHER)
    return Check(
        what,
        passed=slower >= FOUND * COMPARISONS,
        seen=f"{slower} of {COMPARISONS}, {rounds} rounds a side, drawn from those {len(of)} of "
        f"{among} recorded series with a spread of at most {QUIET:.0%}",
    )


def _told(of: tuple[Pool, ...], rounds: int, times: float, seed: int) -> Verdict | None:
    """Compare two drawn sides; None where they are not called different."""
    rng = random.Random(SEED + seed)  # noqa: S311 - simulation, not secrets
    pool = rng.choice(of)
    found = ratio(pool.draw(rng, rounds, times), pool.draw(rng, rounds))
    told = None if found is None else verdict(found)
    return told if told in {Verdict.HIGHER, Verdict.LOWER} else None
