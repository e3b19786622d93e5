"""The planned looks: what they share, when they end, and that noise is no regression."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pytest

from harness.analysis.sequential import Plan, Series, is_settled, judge_rounds, look
from harness.analysis.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

PLAN = Plan(8, 24)


def test_looks_are_planned_and_share_the_false_alarms() -> None:
    assert PLAN.looks == (8, 16, 24)
    assert Plan(8, 20).looks == (8, 16, 20)
    assert Plan().looks == (8, 16, 32, 64)
    assert Plan(1, 1).looks == (1,)
    assert Plan(6, 6).looks == (6,)
    assert PLAN.level == pytest.approx(PLAN.false_alarms / 3)


def series(sd: float, effect: float, seed: int, limit: float = 0.05, count: int = 24) -> Series:
    rng = random.Random(seed)
    before = [math.exp(rng.gauss(0, sd)) for _ in range(count)]
    return Series(before, [effect * math.exp(rng.gauss(0, sd)) for _ in range(count)], limit)


def test_a_quiet_machine_needs_the_first_look_alone() -> None:
    rounds, changes = judge_rounds({"time": series(0.01, 1.1, 1)}, PLAN)
    assert (rounds, changes["time"].verdict) == (8, Verdict.HIGHER)
    rounds, changes = judge_rounds({"time": series(0.01, 1.0, 1)}, PLAN)
    assert (rounds, changes["time"].verdict) == (8, Verdict.SAME)
    rounds, changes = judge_rounds({"time": series(0.01, 0.8, 1)}, PLAN)
    assert (rounds, changes["time"].verdict) == (8, Verdict.LOWER)


def test_a_certain_change_below_the_limit_is_no_regression() -> None:
    rounds, changes = judge_rounds({"time": series(0.001, 1.03, 1)}, PLAN)
    assert (rounds, changes["time"].verdict) == (8, Verdict.SAME)


def test_what_is_inconclusive_gets_more_rounds_and_stays_so_at_the_end() -> None:
    rounds, changes = judge_rounds({"time": series(0.5, 1.0, 1)}, PLAN)
    assert (rounds, changes["time"].verdict) == (24, Verdict.INCONCLUSIVE)


def test_one_measure_that_is_worse_ends_it() -> None:
    found = look({"time": series(0.5, 1.0, 1), "memory": series(0.001, 1.2, 2)}, PLAN.level)
    assert found["time"].verdict is Verdict.INCONCLUSIVE
    assert found["memory"].verdict is Verdict.HIGHER
    assert is_settled(found)
    assert is_settled({})


def test_more_measures_need_more_evidence() -> None:
    one = look({"a": series(0.05, 1.1, 3, count=8)}, 1.0)["a"].p
    many = {"a": series(0.05, 1.1, 3, count=8)} | {n: series(0.05, 1.0, n, count=8) for n in "bcd"}  # type: ignore[arg-type]
    assert look(many, 1.0)["a"].p == pytest.approx(4 * one)


def test_without_rounds_nothing_is_said() -> None:
    (change,) = look({"time": Series([], [], 0.05)}, 0.05).values()
    assert (change.ratio, change.p, change.verdict) == (None, 1.0, Verdict.INCONCLUSIVE)


def alarms(noise: Callable[[random.Random], list[float]], count: int) -> int:
    """Count the comparisons of equal versions that are called worse; noise is per trial."""
    found = 0
    for seed in range(count):
        rng = random.Random(seed)
        stream = noise(rng)
        pairs = [rng.sample(stream[n : n + 2], 2) for n in range(0, len(stream), 2)]
        before, after = ([math.exp(pair[side]) for pair in pairs] for side in (0, 1))
        _, changes = judge_rounds({"time": Series(before, after, 0.05)}, PLAN)
        found += changes["time"].verdict is Verdict.HIGHER
    return found


def heavy_tails(rng: random.Random) -> list[float]:
    return [0.05 * rng.gauss(0, 1) / max(abs(rng.gauss(0, 1)), 0.1) for _ in range(48)]


def drift(rng: random.Random) -> list[float]:
    return [0.02 * n + rng.gauss(0, 0.05) for n in range(48)]


def bursts(rng: random.Random) -> list[float]:
    period, phase = rng.randint(2, 7), rng.randrange(7)
    return [0.3 * ((n + phase) % period == 0) + rng.gauss(0, 0.05) for n in range(48)]


def autocorrelation(rng: random.Random) -> list[float]:
    level, levels = 0.0, []
    for _ in range(48):
        level = 0.9 * level + rng.gauss(0, 0.05)
        levels.append(level)
    return levels


@pytest.mark.slow
@pytest.mark.parametrize("noise", [heavy_tails, drift, bursts, autocorrelation])
def test_noise_of_any_kind_is_seldom_called_worse(
    noise: Callable[[random.Random], list[float]],
) -> None:
    # With a true rate of 5%, more than 16 of 150 come in one case of a hundred thousand.
    assert alarms(noise, 150) <= 16
