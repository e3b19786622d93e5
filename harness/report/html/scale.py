"""Scales of charts: figures as percentages of an axis, linear from zero or logarithmic.

Positions are percentages, so that a chart takes the width that it is given while its text keeps its
size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Label = Callable[[float], str]

# So many gridlines are read without counting, and their labels fit on a narrow chart.
MOST_TICKS = 6

# From here to the end of an axis, in percent, a label would stand out.
_NEAR_END = 6.0

# A letter of a label in pixels, and the room between two labels.
_LETTER, _GAP = 6.2, 6.0

# Room beyond the largest figure, and around the figures of a logarithmic axis, as shares.
_ROOM = 0.04
_LOG_ROOM = 0.08

# A logarithmic axis spans at least this, so that noise does not fill it.
_LEAST_DECADES = 0.8

# Longer figures are damage; the logarithm of none is infinite.
_SMALLEST, _LARGEST = 1e-9, 1e18


@dataclass(frozen=True, slots=True)
class Tick:
    """A gridline: its place in percent, and its label."""

    at: float
    label: str

    @property
    def is_first(self) -> bool:
        """Return whether it is at the start of the axis."""
        return self.at < _NEAR_END

    @property
    def is_last(self) -> bool:
        """Return whether it is at the end of the axis."""
        return self.at > 100 - _NEAR_END


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from ``low`` to ``high``; if ``is_log``, these are logarithms to base 10."""

    low: float
    high: float
    is_log: bool
    ticks: tuple[Tick, ...]

    @property
    def name(self) -> str:
        """Return the name by which the style sheet shows or hides what is drawn on it."""
        return "log" if self.is_log else "linear"

    def thinned(self, width: float) -> Scale:
        """Return the scale without the labels that would overlap on a chart of ``width`` pixels."""
        kept: list[Tick] = []
        free = -math.inf
        for tick in self.ticks:
            length = _LETTER * len(tick.label)
            # Labels at the ends are drawn inwards.
            share = 0.0 if tick.is_first else 1.0 if tick.is_last else 0.5
            start = tick.at * width / 100 - share * length
            is_free = start >= free
            kept.append(tick if is_free else replace(tick, label=""))
            free = start + length + _GAP if is_free else free
        return replace(self, ticks=tuple(kept))

    def at(self, value: float) -> float:
        """Return the place of a figure in percent; beyond the axis, its end."""
        return _at(value, self.low, self.high, is_log=self.is_log)


def linear(
    values: Iterable[float], label: Label, most: float | None = None, ticks: int = MOST_TICKS
) -> Scale:
    """Return a scale from zero that holds all values.

    Args:
        values: the figures to draw.
        label: formats a tick.
        most: where the axis ends, if no figure can be higher.
        ticks: the most gridlines.
    """
    largest = min(max((v for v in values if math.isfinite(v)), default=0.0), _LARGEST)
    largest = max(largest, _SMALLEST)
    high = largest * (1 + _ROOM) if most is None else most
    step = _round_step(high / (ticks - 1))
    places = [step * n for n in range(ticks) if step * n <= high * (1 + 1e-9)]
    return _scale(0.0, high, places, label, is_log=False)


def logarithmic(values: Iterable[float], label: Label, ticks: int = MOST_TICKS) -> Scale | None:
    """Return a logarithmic scale that holds all positive values; None if there are none."""
    logs = [math.log10(min(max(v, _SMALLEST), _LARGEST)) for v in values if v > 0]
    if not logs:
        return None
    low, high = min(logs), max(logs)
    if (missing := _LEAST_DECADES - (high - low)) > 0:
        low, high = low - missing / 2, high + missing / 2
    room = (high - low) * _LOG_ROOM
    low, high = low - room, high + room
    return _scale(low, high, _log_ticks(low, high, ticks), label, is_log=True)


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    """Return round figures: each 1, 2 and 5, or powers of ten only, or some of these."""
    decades = range(math.floor(low), math.ceil(high) + 1)
    for digits in ((1, 2, 5), (1, 3), (1,)):
        round_figures = (n * 10.0**power for power in decades for n in digits)
        inside = [tick for tick in round_figures if low <= math.log10(tick) <= high]
        if len(inside) <= most:
            return inside
    return inside[:: math.ceil(len(inside) / most)]


def _scale(low: float, high: float, ticks: list[float], label: Label, *, is_log: bool) -> Scale:
    placed = tuple(Tick(_at(value, low, high, is_log=is_log), label(value)) for value in ticks)
    return Scale(low, high, is_log, placed)


def _at(value: float, low: float, high: float, *, is_log: bool) -> float:
    if is_log:
        value = math.log10(max(value, _SMALLEST))
    share = (value - low) / (high - low)
    return round(100 * min(max(share, 0.0), 1.0), 2)


def _round_step(least: float) -> float:
    """Return 1, 2, 2.5 or 5 times a power of ten, at least ``least``."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(n * power for n in (1, 2, 2.5, 5, 10) if n * power >= least * (1 - 1e-9))
