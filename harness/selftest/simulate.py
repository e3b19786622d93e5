"""How often verdicts are right, by simulated rounds drawn from recorded trials; pure.

Rounds are drawn by the smoothed bootstrap of B. W. Silverman and G. A. Young, "The Bootstrap: to
Smooth or not to Smooth?" (1987): a recorded time plus a little noise, scaled to keep the
spread of the record. Without noise, a few recorded rounds would only repeat each other.
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
        """Return the standard deviation as a share of the mean."""
        return statistics.stdev(self.rounds)

    def draw(self, rng: random.Random, count: int, times: float = 1.0) -> list[float]:
        """Draw ``count`` rounds, each multiplied by ``times``."""
        noise = len(self.rounds) ** -0.2
        shrink = (1 + noise**2) ** -0.5
        return [
            times * (1 + shrink * (value - 1 + noise * rng.gauss(0, self.spread)))
            for value in rng.choices(self.rounds, k=count)
        ]


def pools(runs: Iterable[Run]) -> tuple[Pool, ...]:
    """Return the recorded series with enough rounds to draw from."""
    found = []
    for run in runs:
        run_figures = figures(run, reference=None)
        for each in run_figures.engines:
            walls_s = run_figures.samples(each.engine).walls_s
            if len(walls_s) >= MIN_ROUNDS:
                mean = statistics.mean(walls_s)
                name = f"{each.engine} of run {run.id}"
                found.append(Pool(name, tuple(wall_s / mean for wall_s in walls_s)))
    return tuple(found)


def simulate(series: tuple[Pool, ...], rounds: int = MIN_ROUNDS) -> tuple[Check, ...]:
    """Check the rate of false alarms between equal engines and of slowdowns found.

    Slowdowns are drawn only from the pools quiet enough to show them.
    """
    if not series:
        return (
            Check(
                "simulations",
                passed=False,
                observed="no recorded run has enough rounds; make one with bench",
            ),
        )
    quiet = tuple(pool for pool in series if pool.spread <= QUIET)
    return (_false_alarms(series, rounds), _found(quiet, len(series), rounds))


def _false_alarms(series: tuple[Pool, ...], rounds: int) -> Check:
    alarms = sum(
        _called_different(series, rounds, 1.0, number) is not None for number in range(COMPARISONS)
    )
    return Check(
        f"an engine is found to differ from itself in at most {FALSE_ALARMS:.0%} of "
        f"{COMPARISONS} comparisons",
        passed=alarms <= FALSE_ALARMS * COMPARISONS,
        observed=f"{alarms} of {COMPARISONS}, {rounds} rounds a side, drawn from {len(series)} "
        "recorded series",
    )


def _found(series: tuple[Pool, ...], among: int, rounds: int) -> Check:
    what = f"a slowdown of {SLOWDOWN - 1:.0%} is found in at least {FOUND:.0%} of comparisons"
    if not series:
        observed = f"none of {among} recorded series is quiet enough (spread at most {QUIET:.0%})"
        return Check(what, passed=False, observed=observed)
    found = [_called_different(series, rounds, SLOWDOWN, number) for number in range(COMPARISONS)]
    slower = found.count(Verdict.HIGHER)
    return Check(
        what,
        passed=slower >= FOUND * COMPARISONS,
        observed=f"{slower} of {COMPARISONS}, {rounds} rounds a side, drawn from the {len(series)} "
        f"of {among} recorded series whose spread is at most {QUIET:.0%}",
    )


def _called_different(
    series: tuple[Pool, ...], rounds: int, times: float, seed: int
) -> Verdict | None:
    """Compare two drawn sides; None unless they are found to differ."""
    rng = random.Random(SEED + seed)  # noqa: S311 - simulation, not secrets
    pool = rng.choice(series)
    found = ratio(pool.draw(rng, rounds, times), pool.draw(rng, rounds))
    run_figures = None if found is None else verdict(found)
    return run_figures if run_figures in {Verdict.HIGHER, Verdict.LOWER} else None
