"""The geometry of charts: scales hold their figures, labels and names do not overlap."""

from __future__ import annotations

import itertools

import pytest

from harness.report.html.engines import looks
from harness.report.html.labels import _WIDTHS, Anchor, _name_box, place_names
from harness.report.html.measures import short, tick_bytes, tick_s
from harness.report.html.scale import linear, logarithmic


@pytest.mark.parametrize("values", [[0.1], [1.43, 17.4], [0.0], [5e9, 1e3], [1e300, 1.0]])
def test_a_linear_axis_starts_at_zero_and_holds_all_values(values: list[float]) -> None:
    scale = linear(values, tick_s)
    assert scale.at(0) == 0
    places = [scale.at(value) for value in values]
    assert all(0 <= place <= 100 for place in places)
    assert 2 <= len(scale.ticks) <= 6
    assert scale.ticks[0].at == 0


def test_a_linear_axis_is_in_proportion() -> None:
    scale = linear([10.0], tick_s)
    assert scale.at(5) == pytest.approx(scale.at(10) / 2, abs=0.01)
    assert [tick.label for tick in scale.ticks] == ["0 s", "2.5 s", "5 s", "7.5 s", "10 s"]


def test_a_share_ends_at_100_percent() -> None:
    assert linear([0.3], tick_s, most=1.0).at(1.0) == 100


def test_a_logarithmic_axis_gives_equal_room_to_equal_ratios() -> None:
    scale = logarithmic([1.0, 1000.0], tick_s)
    assert scale is not None
    steps = [scale.at(10 * value) - scale.at(value) for value in (1, 10, 100)]
    assert steps == pytest.approx([steps[0]] * 3, abs=0.02)
    assert [tick.label for tick in scale.ticks] == ["1 s", "10 s", "100 s", "1,000 s"]


def test_noise_does_not_fill_a_logarithmic_axis() -> None:
    scale = logarithmic([100.0, 101.0], tick_s)
    assert scale is not None
    assert scale.at(101) - scale.at(100) < 1


def test_nothing_positive_has_no_logarithmic_axis() -> None:
    assert logarithmic([0.0, -1.0], tick_s) is None


def test_labels_that_would_overlap_are_left_out() -> None:
    scale = linear([3e9], tick_bytes)
    assert [tick.label for tick in scale.thinned(1000).ticks] == [t.label for t in scale.ticks]
    thinned = scale.thinned(120).ticks
    assert len(thinned) == len(scale.ticks)
    assert 2 <= sum(bool(tick.label) for tick in thinned) < len(scale.ticks)
    assert thinned[0].label == "0"


def test_short_numbers() -> None:
    assert [short(n) for n in (50, 2500, 1e6, 2e9)] == ["50", "2.5k", "1M", "2G"]


def test_names_of_close_points_stand_apart() -> None:
    engines = list(looks(["legacy", "legacy-psycopg2", "restore", "another"]).values())
    points = [(30, 20), (24, 21), (70, 80), (71, 84)]
    anchors = [Anchor(look, *point) for look, point in zip(engines, points, strict=True)]
    whisker = (22.0, 21.0, 34.0, 21.0)
    names = place_names([whisker], anchors)
    assert [name.look for name in names] == engines
    for width, (one, other) in itertools.product(_WIDTHS, itertools.combinations(names, 2)):
        assert _name_box(one, width).overlap(_name_box(other, width)) == 0


def test_more_engines_than_colours_share_them() -> None:
    found = looks([f"engine{n}" for n in range(30)] + ["floor", "legacy", "restore"])
    assert [look.engine for look in found.values()][0::32] == ["restore", "floor"]
    assert [found[name].color for name in ("restore", "legacy", "floor")] == [0, 1, 3]
    assert all(4 <= found[f"engine{n}"].color <= 9 for n in range(30))
