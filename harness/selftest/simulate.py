"""How often the verdicts are right, by simulated trials with noise of known kinds; pure.

The trials of two versions and two yardsticks stand in one stream, in the order of a real run. The
noise belongs to the place in the stream, whichever engine is there, as that of a machine does.
"""

from __future__ import annotations

import math
import random
import statistics
from typing import TYPE_CHECKING

from harness.analysis.sequential import Plan, Series, judge_rounds
from harness.analysis.spread import MIN_SESSIONS, judge_session
from harness.analysis.stats import SEED
from harness.analysis.verdicts import MIN_EFFECT, MIN_MEMORY_EFFECT, Verdict
from harness.bench.schedule import orders
from harness.selftest.checks import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    # Returns the logarithm of what the noise multiplies each of so many trials by.
    Noise = Callable[[random.Random, int, float], list[float]]

# If one comparison in fifty is a false alarm, chance makes 5% of 200 of them so in one case of 500.
COMPARISONS = 200
FALSE_ALARMS = 0.05
SLOWDOWN = 1.10
FOUND = 0.95

# Standard deviations: of trials within a session, and of sessions.
WITHIN = (0.02, 0.03, 0.05)
BETWEEN = (0.0, 0.03, 0.05)
NOISIEST = 0.05

# A run has four engines; the first two are the versions.
_ENGINES = 4
_PLAN = Plan()
_ROUNDS_OF_SESSION = 6


def normal(rng: random.Random, count: int, deviation: float) -> list[float]:
    """Draw independent normal noise."""
    return [rng.gauss(0, deviation) for _ in range(count)]


def heavy_tails(rng: random.Random, count: int, deviation: float) -> list[float]:
    """Draw Student's t with 3 degrees of freedom, of that standard deviation."""
    draws = []
    for _ in range(count):
        chi = math.sqrt(sum(rng.gauss(0, 1) ** 2 for _ in range(3)) / 3)
        draws.append(deviation / math.sqrt(3) * rng.gauss(0, 1) / chi)
    return draws


def autocorrelation(rng: random.Random, count: int, deviation: float) -> list[float]:
    """Draw noise that lasts: a tenth of it is new in each trial, and the machine slows down."""
    level, levels = rng.gauss(0, deviation), []
    for place in range(count):
        level = 0.9 * level + rng.gauss(0, deviation * math.sqrt(1 - 0.9**2))
        levels.append(level + 0.1 * place / count)
    return levels


def bursts(rng: random.Random, count: int, deviation: float) -> list[float]:
    """Draw normal noise, and 20% on top in every nth trial, n from 2 to 9."""
    period, phase = rng.randint(2, 9), rng.randrange(9)
    return [
        rng.gauss(0, deviation) + (0.2 if (place + phase) % period == 0 else 0.0)
        for place in range(count)
    ]


def neighbour(rng: random.Random, count: int, deviation: float) -> list[float]:
    """Draw normal noise, and a slow neighbour in every tenth trial."""
    return [
        rng.gauss(0, deviation) + (rng.uniform(0, 0.7) if rng.random() < 0.1 else 0.0)  # noqa: PLR2004 - a tenth
        for _ in range(count)
    ]


NOISES: dict[str, Noise] = {
    "normal": normal,
    "heavy-tailed": heavy_tails,
    "lasting": autocorrelation,
    "periodic": bursts,
    "a neighbour's": neighbour,
}


def simulate() -> tuple[Check, ...]:
    """Check the rates of false alarms and of slowdowns found, for two commits and for sessions."""
    return (
        *(_false_alarms(name, noise) for name, noise in NOISES.items()),
        _slowdowns(),
        *(_sessions(between) for between in BETWEEN),
    )


def compared(rng: random.Random, noise: Noise, deviation: float, effect: float) -> tuple[int, bool]:
    """Compare two versions; return the rounds that it took, and whether the time got worse.

    The CPU time has half the time's noise and half of its own, memory a tenth of its own.
    """
    rounds = _PLAN.max_rounds
    stream = noise(rng, rounds * _ENGINES, deviation)
    places = _places(rng, rounds)
    own = [normal(rng, 2 * rounds, deviation * share) for share in (0.5, 0.1)]

    def series(figure: Callable[[int, int], float], after: float, limit: float) -> Series:
        return Series(
            [math.exp(figure(0, number)) for number in range(rounds)],
            [after * math.exp(figure(1, number)) for number in range(rounds)],
            limit,
        )

    def time(version: int, number: int) -> float:
        return stream[places[number][version]]

    def cpu(version: int, number: int) -> float:
        return time(version, number) / 2 + own[0][2 * number + version]

    def memory(version: int, number: int) -> float:
        return own[1][2 * number + version]

    taken, changes = judge_rounds(
        {
            "time": series(time, effect, MIN_EFFECT),
            "cpu": series(cpu, 1.0, MIN_EFFECT),
            "memory": series(memory, 1.0, MIN_MEMORY_EFFECT),
        },
        _PLAN,
    )
    verdicts = {name: change.verdict for name, change in changes.items()}
    worse = verdicts["time"] if effect > 1 else max(verdicts.values(), key=_is_higher)
    return taken, _is_higher(worse)


def _is_higher(verdict: Verdict) -> bool:
    return verdict is Verdict.HIGHER


def _places(rng: random.Random, rounds: int) -> list[list[int]]:
    """Return the place of each engine in the stream of trials, for each round."""
    return [
        [number * _ENGINES + order.index(engine) for engine in range(_ENGINES)]
        for number, order in zip(range(rounds), orders(_ENGINES, rng), strict=False)
    ]


def _false_alarms(name: str, noise: Noise) -> Check:
    made = [
        compared(_rng(f"{name} {number}"), noise, WITHIN[number % len(WITHIN)], 1.0)
        for number in range(COMPARISONS)
    ]
    alarms = sum(worse for _, worse in made)
    return Check(
        f"two equal commits, {name} noise: at most {FALSE_ALARMS:.0%} of {COMPARISONS} comparisons "
        "find the second worse",
        passed=alarms <= FALSE_ALARMS * COMPARISONS,
        observed=f"{alarms} of {COMPARISONS}, with noise of {WITHIN[0]:.0%} to {WITHIN[-1]:.0%}; "
        f"{_rounds(made)}",
    )


def _slowdowns() -> Check:
    made = [
        compared(_rng(f"slower {number}"), normal, NOISIEST, SLOWDOWN)
        for number in range(COMPARISONS)
    ]
    found = sum(worse for _, worse in made)
    return Check(
        f"a commit that takes {SLOWDOWN - 1:.0%} longer is found in at least {FOUND:.0%} of "
        f"{COMPARISONS} comparisons",
        passed=found >= FOUND * COMPARISONS,
        observed=f"{found} of {COMPARISONS}, with noise of {NOISIEST:.0%}; {_rounds(made)}",
    )


def _rounds(made: list[tuple[int, bool]]) -> str:
    taken = [rounds for rounds, _ in made]
    return f"{statistics.median(taken):g} rounds (median), at most {max(taken)}"


def _sessions(between: float) -> Check:
    """Check how often a session of unchanged code is worse than those before it."""
    alarms = 0
    for number in range(COMPARISONS):
        rng = _rng(f"sessions {between} {number}")
        within = WITHIN[number % len(WITHIN)]
        time, cpu = (list(_medians(rng, between, within)) for _ in range(2))
        changes = (judge_session(each[-1], each[:-1], MIN_EFFECT) for each in (time, cpu))
        alarms += any(change.is_worse for change in changes)
    return Check(
        f"a session of unchanged code, sessions {between:.0%} apart: at most {FALSE_ALARMS:.0%} of "
        f"{COMPARISONS} are worse than the {MIN_SESSIONS} before",
        passed=alarms <= FALSE_ALARMS * COMPARISONS,
        observed=f"{alarms} of {COMPARISONS}, with noise of {WITHIN[0]:.0%} to {WITHIN[-1]:.0%}",
    )


def _medians(rng: random.Random, between: float, within: float) -> Iterator[float]:
    for _ in range(MIN_SESSIONS + 1):
        rounds = normal(rng, _ROUNDS_OF_SESSION, within)
        yield math.exp(rng.gauss(0, between) + statistics.median(rounds))


def _rng(name: str) -> random.Random:
    return random.Random(f"{SEED} {name}")  # noqa: S311 - simulation, not secrets
