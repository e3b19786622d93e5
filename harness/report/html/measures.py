"""What the page draws of each trial: how a figure is read, formatted and labelled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis import figures as of_trial
from harness.report.units import factor, megabytes, rate, seconds, spread_mb, spread_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.analysis.stats import Summary
    from harness.model.record import Trial

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BYTES = ((1e9, " GB"), (1e6, " MB"), (1e3, " kB"))


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of a trial.

    Args:
        key: names it in the page.
        title: its heading.
        better: which direction is better, in words.
        figure: reads it from a trial.
        text: formats it.
        tick: formats it on an axis.
        spread: formats the range of its summary.
        most: the highest possible figure, if there is one.
        with_failures: whether failed trials are drawn too.
    """

    key: str
    title: str
    better: str
    figure: Callable[[Trial], float | None]
    text: Callable[[float], str]
    tick: Callable[[float], str]
    spread: Callable[[Summary], str] = lambda _: ""
    most: float | None = None
    with_failures: bool = True


def short(value: float) -> str:
    """Format a round number with a prefix: ``20k``, ``1.5M``."""
    return _with_unit(value, _PREFIXES)


def tick_s(value: float) -> str:
    """Format a round number of seconds."""
    return f"{value:,g} s"


def tick_bytes(value: float) -> str:
    """Format a round number of bytes."""
    return _with_unit(value, _BYTES)


def _with_unit(value: float, units: tuple[tuple[float, str], ...]) -> str:
    """Format a number in the largest unit that it reaches."""
    for size, unit in units:
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def tick_factor(value: float) -> str:
    """Format a round ratio."""
    return f"{value:g}x"


def percent(value: float) -> str:
    """Format a share, rounded down: 100% means every row."""
    return f"{math.floor(value * 10_000) / 100:g}%"


TIME = Measure(
    key="time",
    title="Time",
    better="shorter is better",
    figure=of_trial.wall_s,
    text=seconds,
    tick=tick_s,
    spread=spread_s,
)
RATE = Measure(
    key="rate",
    title="Rows per second",
    better="more is better",
    figure=of_trial.rows_per_s,
    text=rate,
    tick=short,
    with_failures=False,
)
COMPLETENESS = Measure(
    key="rows",
    title="Rows restored",
    better="100% is every row that can be restored",
    figure=of_trial.restored_share,
    text=percent,
    tick=percent,
    most=1.0,
)
MEMORY = Measure(
    key="engine-memory",
    title="Peak memory of the engine",
    better="less is better",
    figure=of_trial.peak_bytes,
    text=megabytes,
    tick=tick_bytes,
    spread=spread_mb,
)
SERVER_MEMORY = Measure(
    key="server-memory",
    title="Peak memory of the server",
    better="less is better",
    figure=of_trial.server_peak_bytes,
    text=megabytes,
    tick=tick_bytes,
    spread=spread_mb,
)
TOTAL_MEMORY = Measure(
    key="total-memory",
    title="Peak memory of both",
    better="the largest sum at one time; less is better",
    figure=of_trial.total_peak_bytes,
    text=megabytes,
    tick=tick_bytes,
    spread=spread_mb,
)
CPU = Measure(
    key="cpu",
    title="CPU time of the engine",
    better="user and system, of all its processes; less is better",
    figure=of_trial.cpu_s,
    text=seconds,
    tick=tick_s,
    spread=spread_s,
)

# Ratios of trials are those of the rounds, which ``analysis`` makes.
VS_FLOOR = Measure(
    key="vs-copy",
    title="Time relative to the reference COPY",
    better="1x is as fast as the same rows pre-encoded",
    figure=lambda _: None,
    text=factor,
    tick=tick_factor,
)


def speed_over(reference: str) -> Measure:
    """Return the measure of speeds relative to another engine's."""
    return Measure(
        key="speed",
        title=f"Speed relative to {reference}",
        better="above 1x is faster",
        figure=lambda _: None,
        text=factor,
        tick=tick_factor,
    )


ALL = (TIME, RATE, COMPLETENESS, MEMORY, SERVER_MEMORY, TOTAL_MEMORY)
