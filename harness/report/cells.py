"""An engine's figures as cells of a table: the figure, and its spread below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.verdicts import Verdict, more_rounds, verdict
from harness.report.units import NONE, factor, faster, megabytes, seconds, spread_mb, spread_s

if TYPE_CHECKING:
    from harness.analysis.figures import EngineFigures, RunFigures
    from harness.analysis.stats import Ratio
    from harness.report.blocks import Cell


def trials(figures: EngineFigures) -> str:
    """Format how many of an engine's attempts were ok."""
    return f"{figures.ok}/{figures.attempted}"


def time(figures: EngineFigures | None) -> Cell:
    """Format the median time and its range, or its lower bound."""
    if figures is None or (figures.wall_s is None and figures.at_least_s is None):
        return (NONE,)
    if figures.wall_s is None:
        return (f"> {seconds(figures.at_least_s or 0)}",)
    return (seconds(figures.wall_s.median), spread_s(figures.wall_s))


def peak(figures: EngineFigures | None) -> Cell:
    """Format the median peak memory and its range."""
    if figures is None or figures.peak_bytes is None:
        return (NONE,)
    return (megabytes(figures.peak_bytes.median), spread_mb(figures.peak_bytes))


def failure(of: RunFigures, engine: str) -> str:
    """Format how an engine's first attempt that is not ok ended; ``-`` if there is none."""
    failed = of.failed(engine)
    if not failed:
        return NONE
    after = "" if failed[0].wall_s is None else f" after {seconds(failed[0].wall_s)}"
    return f"{failed[0].status.value}{after}"


def vs_floor(figures: EngineFigures | None) -> str:
    """Format an engine's time relative to the floor's."""
    if figures is None or (figures.vs_floor is None and figures.vs_floor_at_least is None):
        return NONE
    return (
        f"> {factor(figures.vs_floor_at_least or 0)}"
        if figures.vs_floor is None
        else factor(figures.vs_floor.value)
    )


def speed(figures: EngineFigures | None) -> str:
    """Format how much faster or slower an engine is than the reference."""
    if figures is None or (figures.speed is None and figures.speed_at_least is None):
        return NONE
    return (
        f"> {faster(figures.speed_at_least or 0)}"
        if figures.speed is None
        else faster(figures.speed.value)
    )


def uncertainty(ratio: Ratio) -> str:
    """Format why a ratio is inconclusive, and how many rounds may settle it; empty if it is not."""
    if ratio.is_descriptive:
        return "descriptive: too few rounds"
    if verdict(ratio) is not Verdict.INCONCLUSIVE:
        return ""
    more = more_rounds(ratio)
    if more is None:
        return "inconclusive"
    return f"inconclusive; {more} more round{'' if more == 1 else 's'} may settle it"
