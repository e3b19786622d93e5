"""Reports the gain of each step of the ablation, as a table and a chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.figures import time_ratio
from harness.engines.ablation import STEPS
from harness.report import cells
from harness.report.blocks import Column, Grid
from harness.report.heap import heap_report
from harness.report.run import headline
from harness.report.units import NONE, factor

if TYPE_CHECKING:
    from harness.analysis.figures import RunFigures
    from harness.report.blocks import Block, Cell

_BAR = 26
_BLOCK, _LESS = "█", "▏"

LEGEND = (
    "Each step has all techniques of the steps above it. Gives: the time of the step above over "
    "this one's; so far: the time of legacy over this one's; of the rounds in which both are ok. "
    "Times and peaks are medians of the trials that are ok."
)


def ablate_report(of: RunFigures) -> tuple[Block, ...]:
    """Lay out the gain of each step, in a table and in a chart."""
    return (headline(of.run), ablation_grid(of), LEGEND, _chart(of), *heap_report(of.run))


def ablation_grid(of: RunFigures) -> Grid:
    """Lay out the steps, what each adds, and what it gains."""
    columns = (
        Column("step", "left"),
        Column("adds", "left", wrap=True),
        Column("ok"),
        Column("time"),
        Column("gives"),
        Column("so far"),
        Column("peak RSS"),
    )
    rows = []
    for number, step in enumerate(STEPS):
        figures = of.engine(step.engine)
        above = STEPS[number - 1].engine if number else None
        first = STEPS[0].engine if number else None
        rows.append(
            (
                (step.engine,),
                (step.adds,),
                (NONE if figures is None else cells.trials(figures),),
                cells.time(figures),
                _gain(of, above, step.engine),
                _gain(of, first, step.engine),
                cells.peak(figures),
            )
        )
    return Grid(columns, tuple(rows))


def _gain(of: RunFigures, before: str | None, after: str) -> Cell:
    """Format how many times as fast a step is as one before it, and the interval if known."""
    found = None if before is None else time_ratio(of.run, before, after)
    if found is None:
        return (NONE,)
    if found.low is None or found.high is None:
        return (factor(found.value),)
    return (factor(found.value), f"{factor(found.low)}-{factor(found.high)}")


def _chart(of: RunFigures) -> Grid:
    """Draw time and memory as bars, each against the longest of its kind."""
    figures = [of.engine(step.engine) for step in STEPS]
    times = [f.wall_s.median if f and f.wall_s else None for f in figures]
    peaks = [f.peak_bytes.median if f and f.peak_bytes else None for f in figures]
    columns = (Column("step", "left"), Column("time", "left"), Column("peak RSS", "left"))
    rows = [
        ((step.engine,), (bar(time, times),), (bar(peak, peaks),))
        for step, time, peak in zip(STEPS, times, peaks, strict=True)
    ]
    return Grid(columns, tuple(rows))


def bar(value: float | None, all_of: list[float | None]) -> str:
    """Draw a bar in proportion to the largest value; ``-`` if the value is unknown."""
    largest = max((v for v in all_of if v is not None), default=0.0)
    if value is None or largest <= 0:
        return NONE
    return _BLOCK * round(_BAR * value / largest) or _LESS
