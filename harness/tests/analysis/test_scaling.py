"""How figures grow with size, and which engines no other beats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from harness.analysis.figures import figures
from harness.analysis.frontier import frontier
from harness.analysis.scaling import growth, scalings
from harness.model.record import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model.record import Run, Trial

    MakeTrial = Callable[..., Trial]
    MakeRun = Callable[..., Run]

replace = msgspec.structs.replace


@pytest.mark.parametrize(
    ("exponent", "name"),
    [(0.0, "constant"), (0.5, "slower than linear"), (1.05, "linear"), (2, "faster than linear")],
)
def test_a_power_law_is_found(exponent: float, name: str) -> None:
    found = growth({rows: [3 * rows**exponent] for rows in (1000, 10_000, 1_000_000)})
    assert found is not None
    assert found.slope == pytest.approx(exponent)
    assert found.name == name


def test_one_size_has_no_slope() -> None:
    assert growth({1000: [1.0, 2.0]}) is None
    assert growth({1000: [1.0], 2000: [0.0]}) is None


def test_only_runs_that_differ_in_size_alone_are_grouped(
    make_run: MakeRun, make_trial: MakeTrial
) -> None:
    def run(id_: str, rows: int, **dataset: object) -> Run:
        made = make_run(make_trial("restore", 1.0), id=id_)
        return replace(made, dataset=replace(made.dataset, rows=rows, **dataset))

    runs = [run("c", 9000), run("a", 1000), run("b", 3000), run("d", 9000, faults="realistic")]
    found = [[each.run.id for each in group.runs] for group in scalings(map(figures, runs))]
    assert found == [["a", "b", "c"], ["d"]]


def test_the_frontier_is_of_engines_that_no_other_beats(
    make_run: MakeRun, make_trial: MakeTrial
) -> None:
    def trial(engine: str, wall_s: float, megabytes: float, **fields: object) -> Trial:
        return make_trial(engine, wall_s, peak_bytes=int(megabytes * 1e6), **fields)

    run = make_run(
        trial("fast", 1.0, 300),
        trial("lean", 9.0, 20),
        trial("middle", 3.0, 100),
        trial("beaten", 4.0, 150),
        trial("floor", 0.5, 10),
        trial("broken", 0.6, 10),
        trial("broken", 0.6, 10, status=Status.WRONG_RESULT),
    )
    assert [each.engine for each in frontier(figures(run))] == ["lean", "middle", "fast"]
