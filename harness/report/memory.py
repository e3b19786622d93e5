"""Reports memory over time: each engine's curve in its median trial, and the server's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.stats import summarize
from harness.report.blocks import Column, Grid
from harness.report.reference_copy import engine_name
from harness.report.units import NONE, megabytes, seconds, spread_mb

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.analysis.figures import RunFigures, Samples
    from harness.model.record import Curve, Trial
    from harness.report.blocks import Block, Cell

_LEVELS = "▁▂▃▄▅▆▇█"

# Two curves, a name and two sizes fit on a line of 80 characters.
_WIDTH = 16

LEGEND = (
    "Memory over time: the trial with the median time, from start to end, each curve scaled to its "
    "own peak. Server peak, and with server, the largest sum of engine and server at one time: "
    "median of the trials that are ok, lowest-highest below."
)


def memory_report(run_figures: RunFigures) -> tuple[Block, ...]:
    """Draw the memory of each engine and of the server over time; empty if none was recorded."""
    rows = [
        (each.engine, middle, run_figures.samples(each.engine))
        for each in run_figures.engines
        if (middle := run_figures.samples(each.engine).median) is not None
        and middle.curve is not None
    ]
    if not rows:
        return ()
    columns = (
        Column("engine", "left"),
        Column("memory over time", "left"),
        Column("server peak"),
        Column("with server"),
        Column("server over time", "left"),
    )
    cells = tuple(
        (
            (engine_name(engine),),
            _curve_cell(middle.curve, middle),
            *server_cells(own),
            _curve_cell(middle.server_curve, middle),
        )
        for engine, middle, own in rows
    )
    return Grid(columns, cells), LEGEND


def memory_sparkline(curve: Curve, wall_s: float) -> str:
    """Draw memory over the time of a trial, as ``sparkline`` does."""
    return sparkline(zip(curve.at_s, curve.bytes, strict=True), wall_s)


def sparkline(points: Iterable[tuple[float, float]], wall_s: float, width: int = _WIDTH) -> str:
    """Draw a curve with ``width`` characters, the peak as a full block.

    An interval without a point repeats the one before it.

    Args:
        points: times since the start of the trial, in seconds, and what is drawn.
        wall_s: duration of the trial, in seconds.
        width: characters.
    """
    highest: dict[int, float] = {}
    for at_s, value in points:
        place = min(int(width * at_s / wall_s), width - 1)
        highest[place] = max(highest.get(place, 0), value)
    return "".join(map(_level, _fill_gaps(highest, width), [max(highest.values())] * width))


def _fill_gaps(highest: dict[int, float], width: int) -> Sequence[float]:
    """Return a value for each position, that of the one before if it has none."""
    values, last = [], 0.0
    for place in range(width):
        last = highest.get(place, last)
        values.append(last)
    return values


def _level(value: float, peak: float) -> str:
    return _LEVELS[min(int(len(_LEVELS) * value / peak), len(_LEVELS) - 1)] if peak else _LEVELS[0]


def _curve_cell(curve: Curve | None, trial: Trial) -> Cell:
    """Draw a curve with the time of its peak below; ``-`` if it was not recorded."""
    if curve is None or not curve.bytes or not trial.wall_s:
        return (NONE,)
    peak_bytes = max(curve.bytes)
    at_s = curve.at_s[curve.bytes.index(peak_bytes)]
    return (
        memory_sparkline(curve, trial.wall_s),
        f"{megabytes(peak_bytes)} at {seconds(at_s)}",
    )


def server_cells(own: Samples) -> tuple[Cell, Cell]:
    """Format the peak memory of the server, and of engine and server at one time."""
    return (
        _summary(trial.server_peak_bytes for trial in own.ok),
        _summary(trial.total_peak_bytes for trial in own.ok),
    )


def _summary(peaks: Iterable[int | None]) -> Cell:
    """Format the median of peaks and their range."""
    summary = summarize([peak_bytes for peak_bytes in peaks if peak_bytes is not None])
    return (NONE,) if summary is None else (megabytes(summary.median), spread_mb(summary))
