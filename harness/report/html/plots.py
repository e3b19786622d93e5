"""Charts of two axes, and memory over time as one.

Positions are percentages of the drawing, with the origin at the top left, as in SVG.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.model.record import Status
from harness.report.html.measures import tick_bytes, tick_s
from harness.report.html.scale import Tick, linear
from harness.report.html.strips import STATUS_NAMES, sign_of
from harness.report.units import megabytes, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.analysis.figures import RunFigures
    from harness.model.record import Curve, Trial
    from harness.report.html.engines import Look
    from harness.report.html.labels import Name
    from harness.report.html.scale import Scale

# A drawing on a small screen, in pixels.
WIDTH = 250


@dataclass(frozen=True, slots=True)
class Point:
    """A point in percent, and its text; ``sign`` is a failure's, or empty."""

    x: float
    y: float
    text: str
    sign: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One engine's points, joined or not; ``whiskers`` are ranges, from corner to corner.

    ``marks`` are its failures. ``note`` and ``failure`` stand beside the engine's name in the key.
    """

    look: Look
    points: tuple[Point, ...]
    is_joined: bool = True
    note: str = ""
    failure: str = ""
    whiskers: tuple[tuple[float, float, float, float], ...] = ()
    has_markers: bool = True
    marks: tuple[Point, ...] = ()

    @property
    def path(self) -> str:
        """Return the coordinates as SVG has them."""
        return " ".join(f"{point.x:g},{point.y:g}" for point in self.points)


@dataclass(frozen=True, slots=True)
class Plot:
    """A chart of two axes; ``edge`` is a line behind the points."""

    title: str
    note: str
    x_title: str
    y_title: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    names: tuple[Name, ...] = ()
    edge: str = ""
    summary: tuple[str, ...] = field(default=())


def memory_over_time(
    of: RunFigures,
    looks: Mapping[str, Look],
    curve_of: Callable[[Trial], Curve | None],
    title: str,
) -> Plot | None:
    """Draw the memory of each engine's median trial; of an engine without one, of its last trial.

    Args:
        of: the run.
        looks: how engines look.
        curve_of: the engine's curve of a trial, or the server's.
        title: the chart's heading.
    """
    drawn = {}
    for engine in looks:
        trial = _drawn_trial(of, engine, curve_of)
        if trial is not None:
            drawn[engine] = trial
    curves = [curve for trial in drawn.values() if (curve := curve_of(trial))]
    if not curves:
        return None
    x = linear([at_s for curve in curves for at_s in curve.at_s], tick_s)
    y = linear([size for curve in curves for size in curve.bytes], tick_bytes)
    return Plot(
        title=title,
        note="the trial with the median time",
        x_title="time since the start",
        y_title="memory",
        x_ticks=x.thinned(WIDTH).ticks,
        y_ticks=flipped(y),
        lines=tuple(
            _curve_line(looks[engine], trial, curve, x, y)
            for engine, trial in drawn.items()
            if (curve := curve_of(trial))
        ),
    )


def _drawn_trial(
    of: RunFigures, engine: str, curve_of: Callable[[Trial], Curve | None]
) -> Trial | None:
    own = of.samples(engine)
    middle = own.median
    candidates = [middle] if middle is not None else list(reversed(own.trials))
    return next((trial for trial in candidates if _has_points(curve_of(trial))), None)


def _has_points(curve: Curve | None) -> bool:
    return curve is not None and bool(curve.bytes) and len(curve.bytes) == len(curve.at_s)


def _curve_line(look: Look, trial: Trial, curve: Curve, x: Scale, y: Scale) -> Line:
    points = [
        Point(x.at(at_s), 100 - y.at(size), f"{look.name}, {seconds(at_s)}: {megabytes(size)}")
        for at_s, size in zip(curve.at_s, curve.bytes, strict=True)
    ]
    marks: tuple[Point, ...] = ()
    failure = ""
    note = f"peak {megabytes(max(curve.bytes))}"
    if trial.status is not Status.OK:
        status = STATUS_NAMES[trial.status]
        end = replace(points[-1], sign=sign_of(trial.status), text=f"{points[-1].text}, {status}")
        marks, failure = (end,), f"then {status}"
    return Line(look, tuple(points), note=note, failure=failure, has_markers=False, marks=marks)


def flipped(scale: Scale) -> tuple[Tick, ...]:
    """Return the ticks of a vertical axis, which SVG counts from the top."""
    return tuple(replace(tick, at=round(100 - tick.at, 2)) for tick in scale.ticks)
