"""Reports runs of several sizes side by side: time, memory and growth of each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.analysis.figures import NOT_ATTEMPTED
from harness.model.record import AS_IT_IS, Status
from harness.report.blocks import Column, Grid
from harness.report.data import bench_data
from harness.report.reference_copy import engine_name
from harness.report.run import when
from harness.report.units import NONE, gigabytes, megabytes, rows_short, seconds, significant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.figures import EngineFigures, RunFigures
    from harness.analysis.scaling import Scaling
    from harness.report.blocks import Block, Cell

LEGEND = (
    "Time: median of the trials that are ok; below it the median of the peak memory. An engine "
    "without a time shows the status of its first trial that is not ok. Growth: the exponent of "
    "time over rows, fitted to the sizes that have a time; 1 is linear."
)


def scaling_report(of: Sequence[Scaling]) -> tuple[Block, ...]:
    """Lay out a table for each group of runs: a row for each engine, a column for each size."""
    blocks = [block for each in of for block in (title(each), scaling_grid(each))]
    return (*blocks, LEGEND)


def title(of: Scaling) -> str:
    """Describe a group of runs in a sentence: conditions, machine, rounds and days."""
    conditions, machine = of.conditions, of.runs[0].run.environment
    name, limit = conditions.profile, of.memory_limit_bytes
    memory = "" if limit is None else f", at most {megabytes(limit)} of memory for the engine"
    rounds = sorted({str(each.run.parameters.get("rounds")) for each in of.runs})
    days = sorted({when(each.run)[:10] for each in of.runs})
    return (
        f"{conditions.scenario}, faults {conditions.faults}, {conditions.server}, "
        f"{name if name == AS_IT_IS else f'profile {name}'}{memory}; {machine.cores} cores of "
        f"{machine.cpu}, {gigabytes(machine.memory_bytes)}; {' or '.join(rounds)} rounds, "
        f"{' to '.join(days)}:"
    )


def short_title(of: Scaling) -> str:
    """Describe the conditions of a group of runs in a few words."""
    conditions, limit = of.conditions, of.memory_limit_bytes
    memory = "" if limit is None else f", at most {megabytes(limit)} of memory"
    return f"profile {conditions.profile}, faults {conditions.faults}{memory}"


def scaling_grid(of: Scaling, chosen: Sequence[str] | None = None) -> Grid:
    """Lay out the table of one group of runs, of all engines or those that are chosen."""
    sizes = tuple(Column(rows_short(each.run.dataset.rows)) for each in of.runs)
    rows = tuple(
        (
            (engine_name(engine),),
            *(
                cell(run, figures)
                for run, figures in zip(of.runs, of.figures_of(engine), strict=True)
            ),
            (_growth(of, engine),),
        )
        for engine in (of.engines if chosen is None else chosen)
    )
    return Grid((Column("engine", "left"), *sizes, Column("growth")), rows)


def scaling_data(of: Sequence[Scaling]) -> dict[str, Any]:
    """Return the same as data, with the figures of each run."""
    return {
        "kind": "scaling",
        "schema": 1,
        "groups": [
            {
                "growth": {engine: _slope(each, engine) for engine in each.engines},
                "runs": [bench_data(run) for run in each.runs],
            }
            for each in of
        ],
    }


def cell(run: RunFigures, of: EngineFigures | None) -> Cell:
    """Format the median time and memory, or how the engine failed."""
    if of is None:
        return (NONE,)
    if of.wall_s is not None:
        peak = NONE if of.peak_bytes is None else megabytes(of.peak_bytes.median)
        return (seconds(of.wall_s.median), peak)
    failed = [trial for trial in run.failures if trial.engine == of.engine]
    if not failed:
        return (NONE,)
    first = next((each for each in failed if each.status not in NOT_ATTEMPTED), failed[0])
    if first.status is Status.TIMEOUT and of.at_least_s is not None:
        return (f"> {seconds(of.at_least_s)}", first.status.value)
    return (first.status.value,)


def _growth(of: Scaling, engine: str) -> str:
    slope = _slope(of, engine)
    return NONE if slope is None else significant(slope)


def _slope(of: Scaling, engine: str) -> float | None:
    found = of.time_growth(engine)
    return None if found is None else found.slope
