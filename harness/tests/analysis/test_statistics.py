"""When two sides differ, are the same, or cannot be told; and how many rounds would tell."""

from __future__ import annotations

import random

import pytest
from scipy.stats import mannwhitneyu, quantile_test

from harness.analysis.noise import disturbances
from harness.analysis.stats import Ratio, median_interval, outliers, rank_test, ratio
from harness.analysis.verdicts import Verdict, more_rounds, verdict
from harness.model.record import Noise


def sure(value: float, low: float, high: float, **fields: float) -> Ratio:
    """Return a ratio of ten rounds that its rank test calls clear, unless said otherwise."""
    usual = {"rounds": 10, "p": 0.001, "error": 0.02}
    return Ratio(value, low, high, **{**usual, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (sure(1.5, 1.2, 1.8), Verdict.HIGHER),
        (sure(0.5, 0.4, 0.6), Verdict.LOWER),
        (sure(1.5, 0.9, 1.8), Verdict.INCONCLUSIVE),
        (sure(1.5, 1.2, 1.8, p=0.06), Verdict.INCONCLUSIVE),
        (sure(1.01, 0.99, 1.02, p=0.5), Verdict.SAME),
        (sure(1.02, 1.01, 1.03), Verdict.SAME),
        (sure(1.04, 1.01, 1.07), Verdict.INCONCLUSIVE),
        (Ratio(9.0, None, None, rounds=4), Verdict.INCONCLUSIVE),
    ],
)
def test_verdicts(of: Ratio, expected: Verdict) -> None:
    assert verdict(of) is expected


def test_a_smaller_effect_can_be_asked_for() -> None:
    assert verdict(sure(1.04, 1.02, 1.06), effect=0.03) is Verdict.HIGHER


def test_few_rounds_only_describe() -> None:
    few = ratio([9.0, 9.1, 9.2, 9.3], [1.0, 1.1, 1.2, 1.3, 1.4])
    assert few is not None
    assert few.is_descriptive
    assert (few.low, few.high, few.p) == (None, None, None)
    assert more_rounds(few) == 2


@pytest.mark.parametrize("seed", range(20))
def test_the_rank_test_is_that_of_scipy(seed: int) -> None:
    rng = random.Random(seed)
    one = [rng.gauss(10, 1) for _ in range(rng.randint(2, 9))]
    other = [rng.gauss(10.5, 1) for _ in range(rng.randint(2, 30))]
    expected = mannwhitneyu(one, other, method="exact").pvalue
    assert rank_test(one, other) == pytest.approx(expected)
    assert rank_test(other, one) == pytest.approx(expected)


def test_the_rank_test_takes_ties() -> None:
    """Of the 20 ways to deal 1 1 2 | 2 3 3 out, 4 lie as far from the middle as this one."""
    assert rank_test([1, 1, 2], [2, 3, 3]) == pytest.approx(4 / 20)
    assert rank_test([1, 1, 1], [1, 1, 1]) == 1


def test_more_rounds_settle_what_they_were_said_to() -> None:
    """With as many more rounds, most pairs that could not be told are told."""
    rng = random.Random(1)
    settled = told = 0
    while told < 60:
        sides = [[rng.lognormvariate(mean, 0.06) for _ in range(400)] for mean in (0.0, 0.1)]
        first = ratio(sides[1][:5], sides[0][:5])
        assert first is not None
        if verdict(first) is not Verdict.INCONCLUSIVE or abs(first.value - 1) < 0.07:
            continue
        more = more_rounds(first)
        if more is None:
            continue
        told += 1
        again = ratio(sides[1][: 5 + more], sides[0][: 5 + more])
        assert again is not None
        settled += verdict(again) is not Verdict.INCONCLUSIVE
    assert settled >= 30


def test_noisier_rounds_need_more_of_them() -> None:
    quiet, loud = (sure(1.08, 0.99, 1.2, error=error) for error in (0.05, 0.10))
    few, many = more_rounds(quiet), more_rounds(loud)
    assert few is not None
    assert many is not None
    assert 0 < few < many
    assert more_rounds(sure(1.0499, 0.9, 1.2, error=0.1)) is None


def test_an_outlier_is_found_and_none_where_all_are_alike() -> None:
    assert outliers([1.0, 1.01, 0.99, 1.02, 1.6]) == (4,)
    assert outliers([1.0, 1.01, 0.99, 1.02, 1.03]) == ()
    assert outliers([1.0, 1.0, 1.0, 1.0, 1.04], least=0.05) == ()
    assert outliers([1.0, 1.0, 1.0, 9.0]) == ()


def test_an_outlier_stays_in_the_figures() -> None:
    told = ratio([1.0, 1.01, 0.99, 1.02, 1.6], [1.0] * 5)
    assert told is not None
    assert told.high == 1.6


def test_what_disturbs_is_told_and_the_rest_is_not() -> None:
    quiet = Noise(load=9.0, other_cores=0.05, stolen_cores=0.0, swapped_bytes=0, cached=0.0)
    assert disturbances(quiet, cores=2) == ()
    assert disturbances(None, cores=2) == ()
    loud = Noise(
        other_cores=1.5, stolen_cores=0.3, swapped_bytes=5_000_000, mhz=2000.0, mhz_after=3000.0
    )
    found = disturbances(loud, cores=2)
    assert [line.split()[0] for line in found] == ["other", "the", "5", "the"]
    assert "1.50 cores" in found[0]


def test_a_share_of_many_cores_disturbs_less() -> None:
    assert disturbances(Noise(other_cores=1.0), cores=64) == ()


def test_medians_that_differ_by_the_noise_alone_are_seldom_called_different() -> None:
    """At most 5 % of pairs that are equal; the rank test with five rounds a side has 3 %."""
    rng = random.Random(7)
    wrong = 0
    for _ in range(200):
        one, other = ([rng.lognormvariate(0, 0.05) for _ in range(5)] for _ in range(2))
        found = ratio(one, other)
        assert found is not None
        wrong += verdict(found) in {Verdict.HIGHER, Verdict.LOWER}
    assert wrong <= 10


@pytest.mark.parametrize("size", [6, 7, 8, 9, 12, 25, 60])
def test_the_interval_of_a_median_is_that_of_scipy(size: int) -> None:
    drawn = random.Random(size)
    samples = [drawn.gauss(10, 2) for _ in range(size)]
    expected = quantile_test(samples, p=0.5).confidence_interval(0.95)
    assert median_interval(samples) == (expected.low, expected.high)


def test_five_rounds_have_no_interval_of_the_median() -> None:
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None
    assert median_interval([]) is None
