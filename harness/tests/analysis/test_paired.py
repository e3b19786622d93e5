"""The paired comparison: its estimate, interval and test beside SciPy's, and what it withstands."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scipy import stats

from harness.analysis.paired import MIN_ROUNDS, holm, p_higher, paired_ratio


def rounds(count: int, sd: float, effect: float = 1.0, seed: int = 1) -> tuple[list[float], ...]:
    """Return figures of two versions: what disturbs a round disturbs both."""
    rng = random.Random(seed)
    common = [10 * math.exp(rng.gauss(0, 1)) for _ in range(count)]
    after = [each * effect * math.exp(rng.gauss(0, sd)) for each in common]
    return after, [each * math.exp(rng.gauss(0, sd)) for each in common]


def test_what_disturbs_whole_rounds_cancels_out() -> None:
    after, before = rounds(12, 0.01, 1.1)
    found = paired_ratio(after, before)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.value == pytest.approx(1.1, rel=0.01)
    assert 1.08 < found.low < found.value < found.high < 1.12


def test_one_round_that_went_wrong_moves_neither_the_estimate_nor_the_interval_much() -> None:
    after, before = rounds(12, 0.01, 1.1)
    after[3] *= 50
    found = paired_ratio(after, before)
    assert found is not None
    assert found.high is not None
    assert found.value == pytest.approx(1.1, rel=0.01)
    assert found.high < 1.2


def test_the_ratio_of_the_other_way_round_is_the_inverse() -> None:
    after, before = rounds(9, 0.05, 1.2)
    one, other = paired_ratio(after, before), paired_ratio(before, after)
    assert one is not None
    assert other is not None
    assert one.value == pytest.approx(1 / other.value)
    assert one.low == pytest.approx(1 / (other.high or math.nan))


def test_few_rounds_have_no_interval() -> None:
    for count in range(1, MIN_ROUNDS + 1):
        found = paired_ratio(*rounds(count, 0.01))
        assert found is not None
        assert found.rounds == count
        assert (found.low is None) == (count < MIN_ROUNDS)
    assert paired_ratio([], []) is None
    assert paired_ratio([1.0, 0.0], [1.0, 1.0]) is None
    with pytest.raises(ValueError, match="zip"):
        paired_ratio([1.0, 2.0], [1.0])


@pytest.mark.parametrize("count", [6, 8, 12])
def test_the_test_is_the_exact_signed_rank_test(count: int) -> None:
    for seed in range(5):
        after, before = rounds(count, 0.05, 1.03, seed)
        differences = np.log(after) - np.log(before)
        exact = stats.wilcoxon(differences, alternative="greater", method="exact").pvalue
        assert p_higher(after, before) == pytest.approx(exact)


def test_ties_and_equal_rounds_are_no_evidence() -> None:
    assert p_higher([5.0] * 9, [5.0] * 9) == 1.0
    assert p_higher([], []) == 1.0
    # Five rounds that differ, all by the same, and four that are equal: 1 of 32 sign patterns.
    assert p_higher([5.5] * 5 + [5.0] * 4, [5.0] * 9) == pytest.approx(1 / 32)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(400):
        found = paired_ratio(*rounds(8, 0.05, 1.1, seed))
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 1.1 <= found.high
    assert covered >= 0.93 * 400


def test_holm_adjusts_each_by_its_rank_and_never_reorders() -> None:
    found = holm({"a": 0.04, "b": 0.01, "c": 0.03})
    assert found == pytest.approx({"a": 0.06, "b": 0.03, "c": 0.06})
    assert list(found) == ["a", "b", "c"]
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}
