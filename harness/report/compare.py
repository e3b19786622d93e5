"""What is said of two runs side by side: what differs, what may be compared, what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.compare import Basis
from harness.analysis.verdicts import MIN_EFFECT, Verdict, verdict
from harness.report import cells
from harness.report.blocks import Block, Cell, Column, Grid
from harness.report.run import headline
from harness.report.units import NONE, factor, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.analysis.compare import Change, Comparison
    from harness.analysis.figures import EngineFigures
    from harness.analysis.stats import Ratio


def compare_report(comparison: Comparison) -> tuple[Block, ...]:
    """Lay two runs side by side, and say what may be compared and what changed."""
    columns = (
        Column("engine", "left"),
        Column("figure", "left"),
        Column("before"),
        Column("after"),
        Column("change"),
    )
    rows = [row for change in comparison.changes for row in _change_rows(change, comparison.basis)]
    return (
        f"Before: {headline(comparison.before.run)}",
        f"After: {headline(comparison.after.run)}",
        *_differences(comparison),
        *_caution(comparison),
        Grid(columns, tuple(rows)),
    )


def _change_rows(change: Change, basis: Basis) -> Iterator[tuple[Cell, ...]]:
    """Lay out what changed for one engine, a row for each figure."""
    old, new = change.before, change.after
    judged = _change(change.time, "slower", "faster")
    nothing: Cell = ()
    changed = judged if basis is Basis.TIMES else nothing
    yield (change.engine,), ("time",), cells.time(old), cells.time(new), changed
    if basis is not Basis.TIMES:
        changed = judged if basis is Basis.RATIOS else nothing
        name = ("speed beside", "the reference")
        yield nothing, name, (cells.speed(old),), (cells.speed(new),), changed
    if any(cells.vs_floor(each) != NONE for each in (old, new)):
        changed = nothing if basis is Basis.NOTHING else _change(change.vs_floor, "more", "less")
        yield nothing, ("x floor",), (cells.vs_floor(old),), (cells.vs_floor(new),), changed
    changed = _change(change.memory, "more", "less")
    yield nothing, ("peak memory",), cells.peak(old), cells.peak(new), changed
    changed = nothing if basis is Basis.NOTHING else _success_change(old, new)
    yield nothing, ("success",), (_success(old),), (_success(new),), changed
    yield nothing, ("ok",), (_trials(old),), (_trials(new),), nothing


def _success(of: EngineFigures | None) -> str:
    return NONE if of is None else share(of.success)


def _success_change(old: EngineFigures | None, new: EngineFigures | None) -> Cell:
    """Say whether more or fewer rows arrived; they are counted, so nothing here is chance."""
    before, after = (None if each is None else each.success for each in (old, new))
    if before is None or after is None:
        return (NONE,)
    if before.rate == after.rate:
        return ("the same",)
    return ("better" if after.rate > before.rate else "worse",)


def _trials(of: EngineFigures | None) -> str:
    return NONE if of is None else cells.trials(of)


def _change(of: Ratio | None, more: str, less: str) -> Cell:
    """Write a ratio of after to before, and whether it may be chance."""
    if of is None:
        return (NONE,)
    if verdict(of) is Verdict.SAME:
        return ("the same",)
    if abs(of.value - 1) < MIN_EFFECT:
        return ("about the same", cells.doubt(of))
    said = f"{factor(of.value)} {more}" if of.value >= 1 else f"{factor(1 / of.value)} {less}"
    return (said, cells.doubt(of))


def _differences(comparison: Comparison) -> tuple[Grid, ...]:
    """List in what else than their figures the runs differ."""
    if not comparison.differences:
        return ()
    columns = (
        Column("what differs", "left", wrap=True),
        Column("before", "left", wrap=True),
        Column("after", "left", wrap=True),
    )
    rows = tuple(((each.what,), (each.before,), (each.after,)) for each in comparison.differences)
    return (Grid(columns, rows),)


def _caution(comparison: Comparison) -> tuple[str, ...]:
    """Say what the runs do not let one compare."""
    if comparison.basis is Basis.NOTHING:
        said = (
            "The runs restored different datasets: their figures stand here side by side, but "
            "nothing can be concluded from the difference."
        )
    elif comparison.basis is Basis.RATIOS:
        said = (
            "The runs were made on different machines or servers: their times cannot be compared, "
            f"so each engine's speed beside {comparison.before.reference} is."
        )
    else:
        return ()
    return (said,)
