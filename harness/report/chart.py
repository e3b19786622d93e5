"""A small chart of one series over sessions, as SVG that stands in a page.

It scales with the page's width, has a title and a description for readers who do not see it, and
takes its colours from the page's style sheet. All text comes in escaped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.analysis.trends import Point

WIDTH = 320
HEIGHT = 130
_TOP, _BOTTOM, _SIDE = 18, 112, 8


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
class _Scale:
    """Maps places and figures to coordinates."""

    count: int
    low: float
    high: float

    def x(self, index: int) -> float:
        width = WIDTH - 2 * _SIDE
        return round(_SIDE + (width * index / (self.count - 1) if self.count > 1 else width / 2), 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(_BOTTOM - share * (_BOTTOM - _TOP), 1)


def chart(
    points: Sequence[Point | None],
    labels: Sequence[str],
    marks: Sequence[Mark],
    *,
    summary: str,
    axis: Axis,
) -> str:
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
    parts = [
        *(_band(points, run, scale) for run in runs),
        *(_line(points, run, scale) for run in runs),
        *(_mark(mark, scale) for mark in marks),
        *(
            _dot(point, scale.x(index), scale.y(point.median), labels[index])
            for index, point in enumerate(points)
            if point
        ),
        f'<text x="{_SIDE}" y="11">{axis.unit(scale.high)}</text>',
        f'<text x="{_SIDE}" y="{HEIGHT - 4}">{axis.unit(scale.low)}</text>',
    ]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{summary}">'
        f"{''.join(parts)}</svg>"
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
    """Draw the range of the rounds as an area."""
    present = [(scale.x(index), point) for index in run if (point := points[index])]
    upper = [(x, scale.y(point.high)) for x, point in present]
    lower = [(x, scale.y(point.low)) for x, point in present]
    if upper == lower:
        return ""
    return f'<polygon class="band" points="{_pairs([*upper, *reversed(lower)])}"/>'


def _line(points: Sequence[Point | None], run: Sequence[int], scale: _Scale) -> str:
    medians = [(scale.x(i), scale.y(point.median)) for i in run if (point := points[i])]
    return f'<polyline class="line" points="{_pairs(medians)}"/>'


def _dot(point: Point, x: float, y: float, label: str) -> str:
    """Draw a point: a square if trials failed, which differs without colour too."""
    title = f"<title>{label}</title>"
    if point.is_complete:
        return f'<circle class="dot" cx="{x:g}" cy="{y:g}" r="2.5">{title}</circle>'
    corner = f'x="{x - 3.5:g}" y="{y - 3.5:g}"'
    return f'<rect class="failed" {corner} width="7" height="7">{title}</rect>'


def _mark(mark: Mark, scale: _Scale) -> str:
    x = scale.x(mark.index)
    return (
        f'<g class="{mark.kind}"><title>{mark.text}</title>'
        f'<line x1="{x:g}" y1="{_TOP - 4}" x2="{x:g}" y2="{_BOTTOM}"/>'
        f'<text class="sign" x="{min(max(x, 12), WIDTH - 12):g}" y="11">{mark.sign}</text></g>'
    )
