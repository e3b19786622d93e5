"""The ablation: its engines, and what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.figures import figures
from harness.engines import registry
from harness.engines.ablation import STEPS, ladder
from harness.model.record import Status
from harness.report.ablation import ablate_report, bar
from harness.report.blocks import Grid, to_markdown

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model.record import Run, Trial


def test_it_leads_from_the_naive_restorer_through_all_steps_to_the_full_one() -> None:
    full = registry.named("restore")
    assert ladder() == (registry.named("legacy"), *registry.STEPS, full)
    assert "--jobs={jobs}" in full.template


def run_of(make_run: Callable[..., Run], make_trial: Callable[..., Trial]) -> Run:
    trials = [
        make_trial(step.engine, 64.0 / 2**number, peak_bytes=800_000_000 >> number)
        for number, step in enumerate(STEPS)
    ]
    trials[2] = make_trial(STEPS[2].engine, 16.0, status=Status.ERROR)
    return make_run(*trials)


def test_what_a_step_gives_is_beside_the_step_above(
    make_run: Callable[..., Run], make_trial: Callable[..., Trial]
) -> None:
    blocks = ablate_report(figures(run_of(make_run, make_trial)))
    table, chart = (block for block in blocks if isinstance(block, Grid))
    gives = {row[0][0]: (row[4][0], row[5][0]) for row in table.rows}
    assert gives["legacy"] == ("-", "-")
    assert gives["step-batches"] == ("2.0x", "2.0x")
    # A step that failed gives nothing, and nothing is told beside it.
    assert gives["step-streaming"] == ("-", "-")
    assert gives["step-copy-text"] == ("-", "8.0x")
    assert gives["step-copy-binary"] == ("2.0x", "16x")
    assert [row[0] for row in chart.rows] == [row[0] for row in table.rows]
    assert "constraints dropped" in to_markdown(blocks)


def test_bars_are_as_long_as_their_share() -> None:
    assert len(bar(100.0, [100.0, 50.0, None])) == 2 * len(bar(50.0, [100.0, 50.0, None]))
    assert bar(0.001, [100.0, 0.001]) == "▏"
    assert bar(None, [100.0, None]) == "-"
    assert bar(None, [None]) == "-"
