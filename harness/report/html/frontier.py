"""Each engine's speed against its memory, with the frontier of the best, as a chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.frontier import frontier
from harness.report.html import measures
from harness.report.html.labels import Anchor, place_names
from harness.report.html.measures import short, tick_bytes
from harness.report.html.plots import WIDTH, Line, Plot, Point, flipped
from harness.report.html.scale import logarithmic
from harness.report.html.strips import counted
from harness.report.units import megabytes, rate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.analysis.figures import EngineFigures, RunFigures
    from harness.report.html.engines import Look
    from harness.report.html.labels import Name
    from harness.report.html.scale import Scale


def frontier_plot(of: RunFigures, looks: Mapping[str, Look]) -> Plot | None:
    """Draw each engine's speed against its memory, and the frontier of the best."""
    known = [
        each for each in of.engines if each.rows_per_s is not None and each.peak_bytes is not None
    ]
    if len(known) < 2:  # noqa: PLR2004 - one point is no comparison
        return None
    x = logarithmic([value for each in known for value in _rates(of, each.engine)], short)
    peaks = [each.peak_bytes for each in known if each.peak_bytes]
    y = logarithmic([value for each in peaks for value in (each.low, each.high)], tick_bytes)
    if x is None or y is None:
        return None
    by_engine = {each.engine: each for each in known}
    lines = tuple(
        _speed_point(of, by_engine[engine], look, x, y)
        if engine in by_engine
        else Line(look, (), is_joined=False, failure=", ".join(counted(of.samples(engine).trials)))
        for engine, look in looks.items()
    )
    best = frontier(of)
    return Plot(
        title="Speed against memory",
        note="right is faster, down is leaner; a whisker is the range of the trials",
        x_title="rows per second",
        y_title="peak memory of the engine",
        x_ticks=x.thinned(WIDTH).ticks,
        y_ticks=flipped(y),
        lines=lines,
        names=_names(lines),
        edge=_steps([_place(each, x, y) for each in best]),
        summary=tuple(looks[each.engine].name for each in best),
    )


def _rates(of: RunFigures, engine: str) -> list[float]:
    """Return the rows per second of each trial that is ok."""
    found = map(measures.RATE.figure, of.samples(engine).ok)
    return [value for value in found if value is not None]


def _place(of: EngineFigures, x: Scale, y: Scale) -> tuple[float, float]:
    peak = of.peak_bytes.median if of.peak_bytes else 0.0
    return x.at(of.rows_per_s or 0.0), 100 - y.at(peak)


def _speed_point(of: RunFigures, figures: EngineFigures, look: Look, x: Scale, y: Scale) -> Line:
    rates = _rates(of, figures.engine)
    peak = figures.peak_bytes
    at_x, at_y = _place(figures, x, y)
    whiskers = [(x.at(min(rates)), at_y, x.at(max(rates)), at_y)]
    text = rate(figures.rows_per_s or 0.0)
    if peak is not None:
        whiskers.append((at_x, 100 - y.at(peak.low), at_x, 100 - y.at(peak.high)))
        text = f"{text} rows/s, {megabytes(peak.median)}"
    is_whole = figures.ok == figures.attempted
    failure = "" if is_whole else f"{figures.ok} of {figures.attempted} ok"
    point = Point(at_x, at_y, f"{look.name}: {text}", "" if is_whole else "part")
    return Line(look, (point,), is_joined=False, failure=failure, whiskers=tuple(whiskers))


def _steps(best: Sequence[tuple[float, float]]) -> str:
    """Return the frontier as steps: what is right of and below it, no engine reaches."""
    if not best:
        return ""
    corners = [(0.0, best[0][1])]
    for n, (x, y) in enumerate(best):
        corners.append((x, y))
        corners.append((x, best[n + 1][1]) if n + 1 < len(best) else (x, 0.0))
    return " ".join(f"{x:g},{y:g}" for x, y in corners)


def _names(lines: Sequence[Line]) -> tuple[Name, ...]:
    """Place a name beside the only point of each line, clear of all whiskers."""
    anchors = [
        Anchor(line.look, line.points[0].x, line.points[0].y) for line in lines if line.points
    ]
    return place_names([whisker for line in lines for whisker in line.whiskers], anchors)
