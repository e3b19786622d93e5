"""An engine's figures as the cells of a table: the figure, and its spread beneath."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.verdicts import Verdict, more_rounds, verdict
from harness.report.units import NONE, factor, faster, megabytes, seconds, spread_mb, spread_s

if TYPE_CHECKING:
    from harness.analysis.figures import EngineFigures
    from harness.analysis.stats import Ratio
    from harness.report.blocks import Cell


def trials(of: EngineFigures) -> str:
    """Write how many of an engine's attempts ended well."""
    return f"{of.ok}/{of.attempted}"


def time(of: EngineFigures | None) -> Cell:
    """Write the median time and its range, or its lower bound."""
    if of is None or (of.wall_s is None and of.at_least_s is None):
        return (NONE,)
    if of.wall_s is None:
        return (f"> {seconds(of.at_least_s or 0)}",)
    return (seconds(of.wall_s.median), spread_s(of.wall_s))


def peak(of: EngineFigures | None) -> Cell:
    """Write the median peak memory and its range."""
    if of is None or of.peak_bytes is None:
        return (NONE,)
    return (megabytes(of.peak_bytes.median), spread_mb(of.peak_bytes))


def vs_floor(of: EngineFigures | None) -> str:
    """Write how many times the floor's time an engine took."""
    if of is None or (of.vs_floor is None and of.vs_floor_at_least is None):
        return NONE
    return (
        f"> {factor(of.vs_floor_at_least or 0)}"
        if of.vs_floor is None
        else factor(of.vs_floor.value)
    )


def speed(of: EngineFigures | None) -> str:
    """Write how an engine's time stands beside the reference's."""
    if of is None or (of.speed is None and of.speed_at_least is None):
        return NONE
    return f"> {faster(of.speed_at_least or 0)}" if of.speed is None else faster(of.speed.value)


def doubt(of: Ratio) -> str:
    """Write why a ratio does not tell, and what would; nothing where it does."""
    if of.is_descriptive:
        return "descriptive, too few rounds"
    if verdict(of) is not Verdict.INCONCLUSIVE:
        return ""
    more = more_rounds(of)
    if more is None:
        return "inconclusive"
    return f"inconclusive, {more} more round{'' if more == 1 else 's'} may tell"
