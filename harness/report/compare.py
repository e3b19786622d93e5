"""Reports two runs side by side: differences, comparability, and changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.compare import Basis
from harness.analysis.verdicts import MIN_EFFECT
from harness.report import cells, reference_copy
from harness.report.blocks import Block, Cell, Column, Grid
from harness.report.reference_copy import engine_name
from harness.report.run import headline
from harness.report.units import NONE, factor, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.analysis.compare import Change, Comparison
    from harness.analysis.figures import EngineFigures


def compare_report(comparison: Comparison) -> tuple[Block, ...]:
    """Lay two runs side by side, with what can be compared and what changed."""
    columns = (
        Column("engine", "left"),
        Column("figure", "left"),
        Column("before"),
        Column("after"),
        Column("change"),
    )
    rows = [row for change in comparison.changes for row in _change_rows(change, comparison)]
    return (
        f"Before: {headline(comparison.before.run)}",
        f"After: {headline(comparison.after.run)}",
        *_differences(comparison),
        _caution(comparison),
        Grid(columns, tuple(rows)),
    )


def _change_rows(change: Change, comparison: Comparison) -> Iterator[tuple[Cell, ...]]:
    """Yield a row for each figure of one engine."""
    old, new = change.before, change.after
    nothing: Cell = ()
    changed = _change(change.time, "slower", "faster")
    yield (engine_name(change.engine),), ("time",), cells.time(old), cells.time(new), changed
    speeds = cells.speed(old), cells.speed(new)
    if any(each != NONE for each in speeds):
        name = (f"vs {comparison.before.reference}",)
        yield nothing, name, speeds[:1], speeds[1:], nothing
    if any(cells.vs_floor(each) != NONE for each in (old, new)):
        yield (
            nothing,
            (reference_copy.COLUMN,),
            (cells.vs_floor(old),),
            (cells.vs_floor(new),),
            nothing,
        )
    changed = _change(change.memory, "more", "less")
    yield nothing, ("peak RSS",), cells.peak(old), cells.peak(new), changed
    is_other = comparison.basis is Basis.NOTHING
    changed = nothing if is_other else _success_change(old, new)
    yield nothing, ("success",), (_success(old),), (_success(new),), changed
    yield nothing, ("ok",), (_trials(old),), (_trials(new),), nothing


def _success(engine_figures: EngineFigures | None) -> str:
    return NONE if engine_figures is None else share(engine_figures.success)


def _success_change(old: EngineFigures | None, new: EngineFigures | None) -> Cell:
    """Format whether more or fewer rows arrived; counts are exact, so no test is needed."""
    before, after = (None if each is None else each.success for each in (old, new))
    if before is None or after is None:
        return (NONE,)
    if before.rate == after.rate:
        return ("same",)
    return ("better" if after.rate > before.rate else "worse",)


def _trials(engine_figures: EngineFigures | None) -> str:
    return NONE if engine_figures is None else cells.trials(engine_figures)


def _change(ratio: float | None, more: str, less: str) -> Cell:
    """Format a ratio of after to before."""
    if ratio is None:
        return (NONE,)
    if abs(ratio - 1) < MIN_EFFECT:
        return ("about the same",)
    return (f"{factor(ratio)} {more}" if ratio >= 1 else f"{factor(1 / ratio)} {less}",)


def _differences(comparison: Comparison) -> tuple[Grid, ...]:
    """List the differences between the runs other than their figures."""
    if not comparison.differences:
        return ()
    columns = (
        Column("difference", "left", wrap=True),
        Column("before", "left", wrap=True),
        Column("after", "left", wrap=True),
    )
    rows = tuple(((each.what,), (each.before,), (each.after,)) for each in comparison.differences)
    return (Grid(columns, rows),)


def _caution(comparison: Comparison) -> str:
    """Explain what can be concluded from the two runs."""
    if comparison.basis is Basis.NOTHING:
        return (
            "The runs restored different datasets: their figures are listed side by side, but "
            "cannot be compared."
        )
    if comparison.basis is Basis.MEMORY:
        return (
            "The runs were made on different machines or servers: times cannot be compared, not "
            f"even relative to {comparison.before.reference}, since that ratio differs between "
            "machines."
        )
    return (
        "Each run is one observation: unchanged code takes other times on another day, so the "
        "changes are descriptive. For a verdict: python -m harness compare-commits."
    )
