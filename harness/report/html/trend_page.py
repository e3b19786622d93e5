"""The trends of the history as one page: HTML, without scripts, that requests nothing.

Everything in it comes from files that others may have written (``page``). The number of charts and
rows is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.steps import MIN_SESSIONS
from harness.analysis.trends import MAX_TRENDS, MIN_EFFECT, Measure
from harness.report.html.engines import looks
from harness.report.html.measures import percent
from harness.report.html.page import render
from harness.report.html.series import Axis, Mark, draw
from harness.report.reference_copy import engine_name
from harness.report.units import NONE, megabytes, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harness.analysis.sessions import Conditions, EngineSession, Session
    from harness.analysis.trends import Point, Series, Step, Trend
    from harness.report.html.engines import Look
    from harness.report.html.series import Drawing

MAX_CHANGES = 50
MAX_UNREADABLE = 20

_TITLES = {
    Measure.TIME: "Time",
    Measure.MEMORY: "Peak memory",
    Measure.COMPLETENESS: "Rows restored",
}
# What a change is called if a figure rises, and if it falls.
_NAMES = {
    Measure.TIME: ("slower", "faster"),
    Measure.MEMORY: ("more memory", "less memory"),
    Measure.COMPLETENESS: ("more rows restored", "fewer rows restored"),
}


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an engine's level as a row."""

    since: str
    commit: str | None
    engine: str
    kind: str
    name: str
    before: str
    after: str
    accepted: str


@dataclass(frozen=True, slots=True)
class Panel:
    """The chart of one engine, with its latest figure and the difference to the one before."""

    look: Look
    latest: str
    difference: str
    is_notable: bool
    drawing: Drawing


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session's figures of all engines."""

    when: str
    run: str
    commit: str | None
    is_dirty: bool
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MeasureView:
    """One measure of all engines, as charts and as rows, the newest first."""

    title: str
    panels: tuple[Panel, ...]
    rows: tuple[SessionRow, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """The sessions of one set of conditions."""

    heading: str
    notes: tuple[str, ...]
    measures: tuple[MeasureView, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """All that the template shows."""

    span: str
    changes: tuple[Change, ...]
    older_changes: str
    sections: tuple[Section, ...]
    not_drawn: tuple[str, ...]
    unreadable: tuple[str, ...]
    more_unreadable: str
    min_sessions: int = MIN_SESSIONS
    min_effect: str = f"{MIN_EFFECT:.0%}"


def trend_page(trends: Sequence[Trend], unreadable: Sequence[str]) -> str:
    """Lay out the page.

    Args:
        trends: the trend with the newest session first.
        unreadable: a line for each file of the history that could not be read.
    """
    shown, others = trends[:MAX_TRENDS], trends[MAX_TRENDS:]
    steps = sorted(
        (step for trend in shown for each in trend.series for step in each.steps),
        key=lambda step: step.at,
        reverse=True,
    )
    page = Page(
        span=_span(trends),
        changes=tuple(map(_change, steps[:MAX_CHANGES])),
        older_changes=_more(steps, MAX_CHANGES),
        sections=tuple(map(_section, shown)),
        not_drawn=tuple(_heading(trend.conditions) for trend in others[:MAX_UNREADABLE]),
        unreadable=tuple(unreadable[:MAX_UNREADABLE]),
        more_unreadable=_more(unreadable, MAX_UNREADABLE),
    )
    return render("trends", page=page)


def _more(found: Sequence[object], shown: int) -> str:
    return f"{len(found) - shown:,}" if len(found) > shown else ""


def _span(trends: Sequence[Trend]) -> str:
    sessions = [each for trend in trends for each in trend.sessions]
    if not sessions:
        return "The history has no finished run yet."
    first, last = min(each.at for each in sessions), max(each.at for each in sessions)
    count = len(sessions) + sum(trend.thinned for trend in trends)
    return (
        f"{count:,} session{'s' * (count != 1)}, {first:%Y-%m-%d} to {last:%Y-%m-%d}, "
        f"under {len(trends)} set{'s' * (len(trends) != 1)} of conditions"
    )


def _change(step: Step) -> Change:
    figure = _unit(step.measure)
    return Change(
        since=f"{step.at:%Y-%m-%d %H:%M}",
        commit=step.commit,
        engine=engine_name(step.engine),
        kind=_kind(step),
        name=_change_name(step),
        before=figure(step.before),
        after=figure(step.after),
        accepted=step.accepted or NONE,
    )


def _kind(step: Step) -> str:
    return "accepted" if step.accepted is not None else "worse" if step.is_worse else "better"


def _change_name(step: Step) -> str:
    if step.after == step.before:
        return "trials fail" if step.is_worse else "trials are ok again"
    rises, falls = _NAMES[step.measure]
    name = rises if step.after > step.before else falls
    if step.measure is Measure.COMPLETENESS:
        return name
    return f"{abs(step.after / step.before - 1):.0%} {name}"


def _section(trend: Trend) -> Section:
    where = trend.conditions
    server = f"{where.server}, {where.profile} settings"
    notes = [f"{where.machine}; {server}; --jobs {where.jobs}; {where.dataset}"]
    if trend.thinned:
        notes.append(f"{trend.thinned:,} older sessions are not drawn.")
    if trend.left_out:
        notes.append(f"{trend.left_out:,} engines without newer figures are not drawn.")
    measures = (_measure(trend, measure) for measure in Measure)
    return Section(_heading(where), tuple(notes), tuple(each for each in measures if each.panels))


def _heading(where: Conditions) -> str:
    faults = "" if where.faults == "none" else f", {where.faults} faults"
    return f"{where.scenario}, {where.rows:,} rows{faults}"


def _measure(trend: Trend, measure: Measure) -> MeasureView:
    shown = looks(each.engine for each in trend.series)
    engines = list(shown)
    series = [each for each in trend.series if each.measure is measure]
    series.sort(key=lambda each: engines.index(each.engine))
    engines = [each.engine for each in series]
    return MeasureView(
        _TITLES[measure],
        tuple(_panel(trend, each, shown[each.engine]) for each in series),
        tuple(_session_row(each, engines, measure) for each in reversed(trend.sessions)),
    )


def _panel(trend: Trend, series: Series, look: Look) -> Panel:
    labels = [
        "" if point is None else f"{_when(each)}: {_figure(point, series.measure)}"
        for each, point in zip(trend.sessions, series.points, strict=True)
    ]
    newest = [point for point in series.points if point][-2:]
    latest, difference = _figure(newest[-1], series.measure), _since_last(newest)
    drawing = draw(
        series.points,
        labels,
        _marks(trend, series),
        summary=f"{look.name}, {_TITLES[series.measure].lower()}: latest {latest}{difference}",
        axis=_SHARES if series.measure is Measure.COMPLETENESS else Axis(_unit(series.measure)),
    )
    is_notable = bool(difference) and abs(newest[-1].median / newest[0].median - 1) >= MIN_EFFECT
    return Panel(look, latest, difference, is_notable, drawing)


def _since_last(newest: Sequence[Point]) -> str:
    """Return the difference of the last two sessions, which may be noise."""
    if len(newest) == 1 or newest[0].median <= 0 or newest[0].median == newest[1].median:
        return ""
    return f", {newest[-1].median / newest[0].median - 1:+.1%} since the session before"


def _marks(trend: Trend, series: Series) -> list[Mark]:
    """Return the lines of a chart: changes, and accepted changes where none was found."""
    places = {each.run: index for index, each in enumerate(trend.sessions)}
    marks = [
        Mark(
            places[step.run],
            _kind(step),
            "▲" if step.after > step.before else "▼" if step.after < step.before else "■",
            f"{step.at:%Y-%m-%d}: {_change_name(step)}",
        )
        for step in series.steps
    ]
    found = {step.run for step in series.steps}
    return marks + [
        Mark(places[each.run], "accepted", "✓", f"accepted: {each.why}")
        for each in trend.accepted
        if each.covers(series.engine) and each.run in places and each.run not in found
    ]


def _session_row(session: Session, engines: Iterable[str], measure: Measure) -> SessionRow:
    of = {each.engine: each for each in session.engines}
    return SessionRow(
        f"{session.at:%Y-%m-%d %H:%M}",
        session.run[:8],
        session.commit,
        session.is_dirty,
        tuple(_cell(of.get(engine), measure) for engine in engines),
    )


def _cell(of: EngineSession | None, measure: Measure) -> str:
    if of is None:
        return NONE
    if measure is Measure.COMPLETENESS:
        rows = NONE if of.success is None else percent(of.success)
        return f"{rows}, {of.ok}/{of.attempted} ok"
    summary = of.wall_s if measure is Measure.TIME else of.peak_bytes
    if summary is None:
        late = measure is Measure.TIME and of.at_least_s is not None
        return f"> {seconds(of.at_least_s or 0)}" if late else NONE
    unit = _unit(measure)
    return f"{unit(summary.median)} ({unit(summary.low)} to {unit(summary.high)})"


def _figure(point: Point, measure: Measure) -> str:
    """Format a figure with its range, and say if trials failed."""
    unit = _unit(measure)
    spread = "" if point.low == point.high else f" ({unit(point.low)} to {unit(point.high)})"
    return f"{unit(point.median)}{spread}{'' if point.is_complete else ', some trials failed'}"


def _unit(measure: Measure) -> Callable[[float], str]:
    return {Measure.TIME: seconds, Measure.MEMORY: megabytes, Measure.COMPLETENESS: percent}[
        measure
    ]


# One lost row of a thousand is seen.
_SHARES = Axis(percent, least_range=0.002, most=1.0)


def _when(session: Session) -> str:
    return f"{session.at:%Y-%m-%d %H:%M}, {(session.commit or 'no commit')[:8]}"
