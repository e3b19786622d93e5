"""A small chart of one series over sessions, as the coordinates that its template draws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.analysis.trends import Point

WIDTH = 320
HEIGHT = 130
TOP, BOTTOM, SIDE = 18, 112, 8

# A sign is so far from the edge, to be whole.
_SIGN_ROOM = 12


@dataclass(frozen=True, slots=True)
class Axis:
    """How figures are drawn: as text by ``unit``, and up to ``most`` if no figure can be higher.

    A range smaller than ``least_range``, a share of the highest figure, is not spread over the
    whole height: noise would look like change.
    """

    unit: Callable[[float], str]
    least_range: float = 0.1
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at a session: its place, its class in the style sheet, and its sign."""

    index: int
    kind: str
    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class PlacedMark:
    """A mark at its coordinates."""

    x: float
    sign_x: float
    kind: str
    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A session's median; it is not complete if trials failed."""

    x: float
    y: float
    is_complete: bool
    text: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """All coordinates of a chart; ``bands`` and ``lines`` as SVG has them."""

    summary: str
    bands: tuple[str, ...]
    lines: tuple[str, ...]
    dots: tuple[Dot, ...]
    marks: tuple[PlacedMark, ...]
    low: str
    high: str
    width: int = WIDTH
    height: int = HEIGHT
    top: int = TOP
    bottom: int = BOTTOM
    side: int = SIDE


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps places and figures to coordinates."""

    count: int
    low: float
    high: float

    def x(self, index: int) -> float:
        width = WIDTH - 2 * SIDE
        return round(SIDE + (width * index / (self.count - 1) if self.count > 1 else width / 2), 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(BOTTOM - share * (BOTTOM - TOP), 1)


def draw(
    points: Sequence[Point | None],
    labels: Sequence[str],
    marks: Sequence[Mark],
    *,
    summary: str,
    axis: Axis,
) -> Drawing:
    """Draw a series.

    Args:
        points: one for each session, None where the engine has no figure; at least one is not.
        labels: the text of each point.
        marks: vertical lines.
        summary: the description of the whole chart.
        axis: how its figures are drawn.
    """
    scale = _scale(points, axis)
    runs = _unbroken(points)
    return Drawing(
        summary=summary,
        bands=tuple(band for run in runs if (band := _band(points, run, scale))),
        lines=tuple(_line(points, run, scale) for run in runs),
        dots=tuple(
            Dot(scale.x(index), scale.y(point.median), point.is_complete, labels[index])
            for index, point in enumerate(points)
            if point
        ),
        marks=tuple(_place(mark, scale) for mark in marks),
        low=axis.unit(scale.low),
        high=axis.unit(scale.high),
    )


def _scale(points: Sequence[Point | None], axis: Axis) -> _Scale:
    """Return a scale that holds all points and their ranges, and is never empty."""
    present = [point for point in points if point]
    low, high = min(point.low for point in present), max(point.high for point in present)
    least = axis.least_range * max(abs(high), math.ulp(1.0))
    if high - low < least:
        high = (low + high + least) / 2
        if axis.most is not None:
            high = min(high, axis.most)
        low = high - least
    return _Scale(len(points), low, high)


def _unbroken(points: Sequence[Point | None]) -> list[list[int]]:
    """Return the indexes of points that follow each other without a gap."""
    runs: list[list[int]] = [[]]
    for index, point in enumerate(points):
        if point is None:
            runs.append([])
        else:
            runs[-1].append(index)
    return [run for run in runs if len(run) > 1]


def _pairs(coordinates: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in coordinates)


def _band(points: Sequence[Point | None], run: Sequence[int], scale: _Scale) -> str:
    """Return the range of the rounds as an area; empty if each session has one round."""
    present = [(scale.x(index), point) for index in run if (point := points[index])]
    upper = [(x, scale.y(point.high)) for x, point in present]
    lower = [(x, scale.y(point.low)) for x, point in present]
    return "" if upper == lower else _pairs([*upper, *reversed(lower)])


def _line(points: Sequence[Point | None], run: Sequence[int], scale: _Scale) -> str:
    return _pairs([(scale.x(i), scale.y(point.median)) for i in run if (point := points[i])])


def _place(mark: Mark, scale: _Scale) -> PlacedMark:
    x = scale.x(mark.index)
    sign_x = min(max(x, _SIGN_ROOM), WIDTH - _SIGN_ROOM)
    return PlacedMark(x, sign_x, mark.kind, mark.sign, mark.text)
