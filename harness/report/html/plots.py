"""Charts of two axes, among them memory and cores in use over time.

Positions are percentages of the drawing, with the origin at the top left, as in SVG.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.analysis.processor import cores_in_use
from harness.model.record import Status
from harness.report.html.measures import tick_bytes, tick_s
from harness.report.html.scale import Tick, linear
from harness.report.html.strips import STATUS_NAMES, sign_of
from harness.report.units import megabytes, seconds, significant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.analysis.figures import RunFigures
    from harness.model.record import CpuCurve, Trial
    from harness.model.record import Curve as MemoryCurve
    from harness.report.html.engines import Look
    from harness.report.html.labels import Name
    from harness.report.html.scale import Scale

# A drawing on a small screen, in pixels.
WIDTH = 250
# More lines than these cannot be told apart in one drawing.
_MOST_LINES = 8


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
    """A chart of two axes; ``edge`` is a line behind the points.

    ``in_rows``: the lines are too many for one drawing. Each has a row, over its own length.
    """

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
    in_rows: bool = False


Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Course:
    """What is drawn over the time of a trial.

    ``curve_of`` returns its points, the time first, or none. ``tick`` formats a value on the axis,
    ``text`` one of a point.
    """

    title: str
    axis: str
    curve_of: Callable[[Trial], Curve]
    tick: Callable[[float], str]
    text: Callable[[float], str]


def _memory(curve: MemoryCurve | None) -> Curve:
    if curve is None or len(curve.bytes) != len(curve.at_s):
        return ()
    return tuple(zip(curve.at_s, curve.bytes, strict=True))


def _cores(curve: CpuCurve | None) -> Curve:
    return () if curve is None else cores_in_use(curve)


def _in_cores(value: float) -> str:
    return f"{significant(value, 2)} cores"


COURSES = (
    Course(
        *("Memory of the engine", "memory", lambda trial: _memory(trial.curve)),
        *(tick_bytes, megabytes),
    ),
    Course(
        *("Memory of the server", "memory", lambda trial: _memory(trial.server_curve)),
        *(tick_bytes, megabytes),
    ),
    Course(
        *("Processors used by the engine", "cores", lambda trial: _cores(trial.cpu_curve)),
        *(lambda value: f"{value:g}", _in_cores),
    ),
    Course(
        *("Processors used by the server", "cores", lambda trial: _cores(trial.server_cpu_curve)),
        *(lambda value: f"{value:g}", _in_cores),
    ),
)


def over_time(of: RunFigures, looks: Mapping[str, Look], course: Course) -> Plot | None:
    """Draw the course of each engine's median trial; of an engine without one, of its first trial.

    Args:
        of: the run.
        looks: how engines look.
        course: what is drawn.
    """
    drawn = {
        engine: (trial, curve)
        for engine in looks
        if (trial := of.samples(engine).shown) is not None and (curve := course.curve_of(trial))
    }
    points = [point for _, curve in drawn.values() for point in curve]
    if not points:
        return None
    x = linear([at_s for at_s, _ in points], tick_s)
    y = linear([value for _, value in points], course.tick)
    in_rows = len(drawn) > _MOST_LINES
    note = "the trial with the median time"
    return Plot(
        title=course.title,
        note=f"{note}, over its own length, and its peak; one scale" if in_rows else note,
        x_title="time since the start",
        y_title=course.axis,
        x_ticks=x.thinned(WIDTH).ticks,
        y_ticks=flipped(y),
        lines=tuple(
            _curve_line(looks[engine], course, of_engine, None if in_rows else x, y)
            for engine, of_engine in drawn.items()
        ),
        in_rows=in_rows,
    )


def _curve_line(
    look: Look, course: Course, drawn: tuple[Trial, Curve], x: Scale | None, y: Scale
) -> Line:
    """Draw one engine's line, on an axis that it shares, or over its own length."""
    trial, curve = drawn
    last_s = curve[-1][0] or 1.0
    points = [
        Point(
            round(100 * at_s / last_s, 2) if x is None else x.at(at_s),
            100 - y.at(value),
            f"{look.name}, {seconds(at_s)}: {course.text(value)}",
        )
        for at_s, value in curve
    ]
    marks: tuple[Point, ...] = ()
    failure = ""
    peak = course.text(max(value for _, value in curve))
    if trial.status is not Status.OK:
        status = STATUS_NAMES[trial.status]
        end = replace(points[-1], sign=sign_of(trial.status), text=f"{points[-1].text}, {status}")
        marks, failure = (end,), f"then {status}"
    note = peak if x is None else f"peak {peak}"
    return Line(look, tuple(points), note=note, failure=failure, has_markers=False, marks=marks)


def flipped(scale: Scale) -> tuple[Tick, ...]:
    """Return the ticks of a vertical axis, which SVG counts from the top."""
    return tuple(replace(tick, at=round(100 - tick.at, 2)) for tick in scale.ticks)
