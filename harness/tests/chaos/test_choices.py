"""What is drawn from a seed: the same for the same, and nothing left out by chance."""

from __future__ import annotations

from collections import Counter

from harness.chaos.choices import RETRY_FOR_S, draw, pick_target
from harness.chaos.faults import KINDS

WEIGHTS = {name: kind.weight for name, kind in KINDS.items()}


def test_the_same_seed_draws_the_same() -> None:
    assert draw(WEIGHTS, 40, seed=7) == draw(WEIGHTS, 40, seed=7)
    assert draw(WEIGHTS, 40, seed=7) != draw(WEIGHTS, 40, seed=8)


def test_every_kind_comes_before_any_comes_twice() -> None:
    kinds = Counter(choice.kind for choice in draw(WEIGHTS, len(WEIGHTS), seed=3))
    assert kinds == dict.fromkeys(WEIGHTS, 1)
    assert len({choice.kind for choice in draw(WEIGHTS, 4, seed=3)}) == 4


def test_kinds_are_drawn_by_weight() -> None:
    drawn = Counter(choice.kind for choice in draw({"often": 9, "seldom": 1}, 2000, seed=0))
    assert 150 < drawn["seldom"] < 250


def test_instants_are_in_every_part_of_a_restore() -> None:
    fractions = sorted(choice.fraction for choice in draw(WEIGHTS, 50, seed=5))
    assert [int(fraction * 50) for fraction in fractions] == list(range(50))


def test_a_restorer_reconnects_by_itself_or_not() -> None:
    assert {choice.retry_for_s for choice in draw(WEIGHTS, 50, seed=5)} == set(RETRY_FOR_S)


def test_a_victim_is_one_of_those_that_are_there() -> None:
    assert pick_target(0.5, []) is None
    assert [pick_target(victim, [11, 12, 13]) for victim in (0.0, 0.34, 0.99, 1.0)] == [
        11,
        12,
        13,
        13,
    ]
