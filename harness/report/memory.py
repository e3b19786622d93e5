"""What is said of memory over time: a curve of each engine's median trial, the server's beside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.stats import summarize
from harness.report.blocks import Column, Grid
from harness.report.units import NONE, megabytes, seconds, spread_mb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.figures import RunFigures, Samples
    from harness.model.record import Curve, Trial
    from harness.report.blocks import Block, Cell

_LEVELS = "▁▂▃▄▅▆▇█"

# Two curves, a name and a size fit on a line of 80 characters.
_WIDTH = 22

LEGEND = (
    "Memory over time: of the trial with the median time, from its start to its end, each curve as "
    "high as its own peak. The server's memory is not in the engine's; median over the trials that "
    "ended well, lowest-highest beneath."
)


def memory_report(of: RunFigures) -> tuple[Block, ...]:
    """Draw what each engine and the server held over time; nothing where no trial tells it."""
    rows = [
        (each.engine, middle, of.samples(each.engine))
        for each in of.engines
        if (middle := median_trial(of.samples(each.engine))) is not None
        and middle.curve is not None
    ]
    if not rows:
        return ()
    columns = (
        Column("engine", "left"),
        Column("memory over time", "left"),
        Column("server's peak"),
        Column("server's over time", "left"),
    )
    cells = tuple(
        ((engine,), _drawn(middle.curve, middle), _server(own), _drawn(middle.server_curve, middle))
        for engine, middle, own in rows
    )
    return Grid(columns, cells), LEGEND


def median_trial(of: Samples) -> Trial | None:
    """Return the trial that ended well with the median time, the faster of two."""
    timed = sorted((trial.wall_s, place) for place, trial in enumerate(of.ok) if trial.wall_s)
    return of.ok[timed[(len(timed) - 1) // 2][1]] if timed else None


def sparkline(curve: Curve, wall_s: float, width: int = _WIDTH) -> str:
    """Draw a curve in so many characters, the peak as a full block.

    A stretch of time without a point holds what the one before it did.

    Args:
        curve: memory over time.
        wall_s: how long the trial took, in seconds.
        width: characters.
    """
    highest: dict[int, int] = {}
    for at_s, size_bytes in zip(curve.at_s, curve.bytes, strict=True):
        place = min(int(width * at_s / wall_s), width - 1)
        highest[place] = max(highest.get(place, 0), size_bytes)
    return "".join(map(_level, _filled(highest, width), [max(curve.bytes)] * width))


def _filled(highest: dict[int, int], width: int) -> Sequence[int]:
    """Return a value for each place, that of the one before where it has none."""
    values, last = [], 0
    for place in range(width):
        last = highest.get(place, last)
        values.append(last)
    return values


def _level(value: int, peak: int) -> str:
    return _LEVELS[min(int(len(_LEVELS) * value / peak), len(_LEVELS) - 1)] if peak else _LEVELS[0]


def _drawn(curve: Curve | None, of: Trial) -> Cell:
    """Draw a curve, and say beneath when it was highest; nothing where it is not known."""
    if curve is None or not curve.bytes or not of.wall_s:
        return (NONE,)
    peak_bytes = max(curve.bytes)
    at_s = curve.at_s[curve.bytes.index(peak_bytes)]
    return (
        sparkline(curve, of.wall_s),
        f"{megabytes(peak_bytes)} at {seconds(at_s)}",
    )


def _server(own: Samples) -> Cell:
    """Write the median of the server's peaks and their range."""
    peaks = [trial.server_peak_bytes for trial in own.ok if trial.server_peak_bytes is not None]
    of = summarize(peaks)
    return (NONE,) if of is None else (megabytes(of.median), spread_mb(of))
