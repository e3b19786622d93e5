"""A run of many engines as one table, each compared with ``restore``, the fastest first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.analysis.figures import cpu_s, in_rounds, wall_s
from harness.analysis.stats import summarize
from harness.report import cells
from harness.report.blocks import Column, Grid
from harness.report.reference_copy import engine_name
from harness.report.units import NONE, factor, seconds, share, significant

if TYPE_CHECKING:
    from harness.analysis.figures import EngineFigures, RunFigures
    from harness.report.blocks import Cell

COMPARED_WITH = "restore"
RUN_LEGEND = (
    "ok: trials whose result is right, of those that were made. Time and peak memory of the "
    "engine: median, and lowest to highest, of the trials that are ok. Ratio: the time relative to "
    f"that of {COMPARED_WITH} in the same round, and its 95% interval; of fewer than 6 rounds, "
    "the lowest and the highest ratio. Processor: median of the engine's own processor time. Rows "
    "right: of all that can be restored, over all trials. Ended: the statuses of the trials that "
    "are not ok."
)


def run_grid(of: RunFigures) -> Grid:
    """Lay out the engines of a run, the fastest first, then those that failed.

    Args:
        of: the run's figures, relative to ``COMPARED_WITH``.
    """
    columns = (
        *(Column("engine", "left"), Column("ok"), Column("time"), Column("ratio")),
        *(
            Column("peak memory"),
            Column("processor"),
            Column("rows right"),
            Column("ended", "left"),
        ),
    )
    tried = [each for each in of.engines if each.attempted]
    return Grid(columns, tuple(_row(of, each) for each in sorted(tried, key=_order)))


def _order(each: EngineFigures) -> tuple[bool, float]:
    if each.wall_s is not None:
        return False, each.wall_s.median
    return True, each.at_least_s or math.inf


def _row(of: RunFigures, each: EngineFigures) -> tuple[Cell, ...]:
    used = summarize([used for t in of.samples(each.engine).ok if (used := cpu_s(t)) is not None])
    ended = list(dict.fromkeys(trial.status.value for trial in of.failed(each.engine)))
    return (
        (engine_name(each.engine),),
        (cells.trials(each),),
        cells.time(each),
        _ratio(of, each),
        cells.peak(each),
        (NONE if used is None else seconds(used.median),),
        (share(each.success),),
        (", ".join(ended) or NONE,),
    )


def _ratio(of: RunFigures, each: EngineFigures) -> Cell:
    """Format the time relative to that of ``COMPARED_WITH``, and how far it may be from that."""
    if each.speed is None:
        return (NONE,)
    value = 1 / each.speed.value
    if each.speed.low is not None and each.speed.high is not None:
        low, high = 1 / each.speed.high, 1 / each.speed.low
    else:
        own, others = in_rounds(of.run, each.engine, COMPARED_WITH, wall_s)
        ratios = [one / other for one, other in zip(own, others, strict=True)]
        if len(ratios) == 1:
            return (factor(value),)
        low, high = min(ratios), max(ratios)
    return factor(value), f"{significant(low, 2)}-{significant(high, 2)}"
