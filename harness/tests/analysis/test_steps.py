"""Change points are found where a level changes, and not in noise."""

from __future__ import annotations

import random

from harness.analysis.steps import changes


def test_a_level_that_changes_is_found_and_noise_is_not() -> None:
    rng = random.Random(4)
    flat = [rng.gauss(1, 0.02) for _ in range(30)]
    assert changes(flat) == []
    assert changes([*flat[:20], *(value * 1.1 for value in flat[20:])]) == [20]
    assert changes([1.0] * 5) == []
