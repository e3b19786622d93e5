"""Places names beside points so that they do not overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.report.html.engines import Look

    _Line = tuple[float, float, float, float]

# Widths of a drawing: on a phone, beside another, and alone. Sizes are in pixels.
_WIDTHS = (250, 470, 1080)
_HEIGHT = 240
_LETTER, _LINE = 7.0, 15.0

# How far a name is from its point, in pixels: to the right or left, and up or down.
_ASIDE, _ABOVE = 9.0, 14.0


# A name that is placed may have to make room for a later one.
_PASSES = 3

# What is worse than to cover a line: to cover a name, in squares of pixels; or to leave the
# drawing, where there are ticks, in pixels.
_NAME_WEIGHT, _OUTSIDE_WEIGHT = 10.0, 20.0


@dataclass(frozen=True, slots=True)
class Anchor:
    """A point that is named: its engine, and its place in percent."""

    look: Look
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Name:
    """A name beside a point in percent: its distance in pixels, and which end of it is there."""

    look: Look
    x: float
    y: float
    dx: float
    dy: float
    anchor: str


@dataclass(frozen=True, slots=True)
class _Box:
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: _Box) -> float:
        """Return the area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)


def place_names(lines: Iterable[_Line], anchors: Sequence[Anchor]) -> tuple[Name, ...]:
    """Return a name for each point, on the side where it covers least.

    Args:
        lines: what is drawn, from corner to corner in percent.
        anchors: the points.
    """
    fixed = [*lines, *((each.x, each.y, each.x, each.y) for each in anchors)]
    names: dict[int, Name] = {}
    for _ in range(_PASSES):
        for number, anchor in enumerate(anchors):
            others = [name for other, name in names.items() if other != number]
            names[number] = min(_candidates(anchor), key=lambda name: _cost(name, fixed, others))
    return tuple(names[number] for number in range(len(anchors)))


def _cost(name: Name, fixed: Iterable[_Line], others: Sequence[Name]) -> float:
    """Return how much a name covers at all widths; other names count most."""
    total = 0.0
    for width in _WIDTHS:
        box = _name_box(name, width)
        total += sum(box.overlap(_box(*line, width)) for line in fixed)
        total += _NAME_WEIGHT * sum(box.overlap(_name_box(other, width)) for other in others)
        outside = max(-box.left, 0.0) + max(box.right - width, 0.0) + max(-box.top, 0.0)
        total += _OUTSIDE_WEIGHT * outside
    return total


def _candidates(anchor: Anchor) -> list[Name]:
    look, x, y = anchor.look, anchor.x, anchor.y
    return [
        Name(look, x, y, 0, -_ABOVE + 4, "middle"),
        Name(look, x, y, _ASIDE, 4, "start"),
        Name(look, x, y, -_ASIDE, 4, "end"),
        Name(look, x, y, 0, _ABOVE + 5, "middle"),
        Name(look, x, y, -4, -_ABOVE + 4, "start"),
        Name(look, x, y, -4, _ABOVE + 5, "start"),
        Name(look, x, y, 4, -_ABOVE + 4, "end"),
        Name(look, x, y, 4, _ABOVE + 5, "end"),
    ]


def _name_box(name: Name, drawing: float) -> _Box:
    width = _LETTER * len(name.look.name)
    start = {"start": 0.0, "middle": width / 2, "end": width}[name.anchor]
    left = name.x * drawing / 100 + name.dx - start
    bottom = name.y * _HEIGHT / 100 + name.dy + 3
    return _Box(left, bottom - _LINE, left + width, bottom)


def _box(x1: float, y1: float, x2: float, y2: float, drawing: float) -> _Box:
    """Return the rectangle of a line or a point in percent, a little wider than it is."""
    left, right = sorted((x1 * drawing / 100, x2 * drawing / 100))
    top, bottom = sorted((y1 * _HEIGHT / 100, y2 * _HEIGHT / 100))
    return _Box(left - 4, top - 4, right + 4, bottom + 4)
