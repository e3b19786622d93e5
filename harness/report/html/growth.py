"""How time and memory grow with the size of the dataset, as a chart on logarithmic axes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.analysis.scaling import growth
from harness.model.record import Status
from harness.report.html import measures
from harness.report.html.measures import short
from harness.report.html.plots import WIDTH, Line, Plot, Point, flipped
from harness.report.html.scale import Tick, logarithmic
from harness.report.html.strips import STATUS_NAMES, sign_of
from harness.report.units import count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.analysis.figures import RunFigures
    from harness.report.html.engines import Look
    from harness.report.html.measures import Measure
    from harness.report.html.scale import Scale


def growth_plot(
    runs: Sequence[RunFigures], measure: Measure, looks: Mapping[str, Look]
) -> Plot | None:
    """Draw how the medians of a figure grow with the rows, on logarithmic axes.

    Args:
        runs: runs that differ in size alone.
        measure: the figure.
        looks: how engines look.
    """
    found = {engine: _medians(runs, engine, measure) for engine in looks}
    failed = {engine: _failures(runs, engine, measure) for engine in looks}
    drawn = [pair for pairs in found.values() for pair in pairs]
    drawn += [(rows, value) for marks in failed.values() for rows, value, _ in marks]
    sizes = sorted({rows for rows, _ in drawn})
    x = logarithmic(sizes, short)
    y = logarithmic([value for _, value in drawn], measure.tick)
    if x is None or y is None:
        return None
    places = tuple(Tick(x.at(rows), short(rows)) for rows in sizes)
    lines = tuple(
        _growth_line(look, found[engine], failed[engine], measure=measure, x=x, y=y)
        for engine, look in looks.items()
        if found[engine] or failed[engine]
    )
    return Plot(
        title=measure.title,
        note="medians, and the exponent of a straight line through them",
        x_title="rows",
        y_title=measure.title.lower(),
        x_ticks=replace(x, ticks=places).thinned(WIDTH).ticks,
        y_ticks=flipped(y),
        lines=lines,
    )


def _medians(runs: Sequence[RunFigures], engine: str, measure: Measure) -> list[tuple[int, float]]:
    """Return the rows and the median of each run that has one."""
    found = []
    for each in runs:
        figures = each.engine(engine)
        if figures is None:
            continue
        summary = figures.wall_s if measure.key == measures.TIME.key else figures.peak_bytes
        if summary is not None and summary.median > 0:
            found.append((each.run.dataset.rows, summary.median))
    return found


def _failures(
    runs: Sequence[RunFigures], engine: str, measure: Measure
) -> list[tuple[int, float, Status]]:
    """Return the rows, the figure and the status of the last failure of each run."""
    found = []
    for each in runs:
        failed = [t for t in each.samples(engine).trials if t.status is not Status.OK]
        if failed and (value := measure.figure(failed[-1])):
            found.append((each.run.dataset.rows, value, failed[-1].status))
    return found


def _growth_line(
    look: Look,
    medians: Sequence[tuple[int, float]],
    failed: Sequence[tuple[int, float, Status]],
    *,
    measure: Measure,
    x: Scale,
    y: Scale,
) -> Line:
    by_rows: dict[int, list[float]] = {}
    for rows, value in medians:
        by_rows.setdefault(rows, []).append(value)
    fitted = growth(by_rows)
    note = "" if fitted is None else f"rows^{fitted.slope:.2f}, {fitted.name}"
    marks = tuple(
        Point(
            x.at(rows),
            100 - y.at(value),
            f"{look.name}, {count(rows)} rows: {STATUS_NAMES[status]} at {measure.text(value)}",
            sign_of(status),
        )
        for rows, value, status in failed
    )
    failures = [f"{STATUS_NAMES[status]} at {short(rows)}" for rows, _, status in failed]
    points = tuple(
        Point(
            x.at(rows),
            100 - y.at(value),
            f"{look.name}, {count(rows)} rows: {measure.text(value)}",
        )
        for rows, value in medians
    )
    return Line(look, points, note=note, failure=", ".join(failures), marks=marks)
