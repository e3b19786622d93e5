"""The ladder of techniques: what a step is called with, and what is said of it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from harness.analysis.figures import figures
from harness.engines.ablation import STEPS, ladder
from harness.model.record import Status
from harness.report.ablation import ablate_report, bar
from harness.report.blocks import Grid, to_markdown

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model.record import Run, Trial


def test_each_step_leaves_out_less_than_the_one_before() -> None:
    engines = ladder()
    assert [engine.name for engine in engines] == [
        "legacy",
        *(f"ablate-{step.name}" for step in STEPS),
    ]
    left_out = []
    for engine in engines[1:]:
        words = [word for word in engine.template if word.startswith("--without=")]
        techniques = set(words[0].partition("=")[2].split(",")) if words else set()
        kept = "--keep-indexes" in engine.template
        left_out.append(techniques | ({"aside"} if kept else set()))
    for more, less in pairwise(left_out[:-1]):
        assert less < more
        assert len(more - less) == 1
    assert left_out[-2:] == [set(), set()]
    jobs = [[word for word in engine.template if "--jobs" in word] for engine in engines[1:]]
    assert jobs == [["--jobs=1"]] * (len(STEPS) - 1) + [["--jobs={jobs}"]]


def run_of(make_run: Callable[..., Run], make_trial: Callable[..., Trial]) -> Run:
    trials = [make_trial("legacy", 64.0, peak_bytes=800_000_000)]
    for number, step in enumerate(STEPS):
        trials.append(make_trial(step.engine, 32.0 / 2**number))
    trials[3] = make_trial(STEPS[2].engine, 8.0, status=Status.ERROR)
    return make_run(*trials)


def test_what_a_step_gives_is_beside_the_step_above(
    make_run: Callable[..., Run], make_trial: Callable[..., Trial]
) -> None:
    blocks = ablate_report(figures(run_of(make_run, make_trial)))
    table, chart = (block for block in blocks if isinstance(block, Grid))
    gives = {row[0][0]: (row[4][0], row[5][0]) for row in table.rows}
    assert gives["legacy"] == ("-", "-")
    assert gives["bare"] == ("2.0x", "2.0x")
    # A step that failed gives nothing, and nothing is told beside it.
    assert gives["streaming"] == ("-", "-")
    assert gives["typed"] == ("-", "16x")
    assert gives["copy"] == ("2.0x", "32x")
    assert [row[0] for row in chart.rows] == [row[0] for row in table.rows]
    assert "constraints aside" in to_markdown(blocks)


def test_bars_are_as_long_as_their_share() -> None:
    assert len(bar(100.0, [100.0, 50.0, None])) == 2 * len(bar(50.0, [100.0, 50.0, None]))
    assert bar(0.001, [100.0, 0.001]) == "▏"
    assert bar(None, [100.0, None]) == "-"
    assert bar(None, [None]) == "-"
