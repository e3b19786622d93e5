"""The trends of the history as one page: HTML, without scripts, that requests nothing.

Everything in it comes from files that others may have written. Text is cut, and escaped; the page's
policy forbids all that a mistake in that could load. The number of charts and rows is bounded.
"""

from __future__ import annotations

import html
import math
from importlib.resources import files
from typing import TYPE_CHECKING

from harness.analysis.steps import MIN_SESSIONS
from harness.analysis.trends import MAX_TRENDS, MIN_EFFECT, Measure
from harness.report.chart import Axis, Mark, chart
from harness.report.units import NONE, megabytes, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harness.analysis.sessions import Conditions, EngineSession, Session
    from harness.analysis.trends import Point, Series, Step, Trend

# Longer texts are damage, or belong elsewhere.
_MAX_TEXT = 200
MAX_CHANGES = 50
MAX_UNREADABLE = 20

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

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


def trend_page(trends: Sequence[Trend], unreadable: Sequence[str]) -> str:
    """Lay out the page.

    Args:
        trends: the trend with the newest session first.
        unreadable: a line for each file of the history that could not be read.
    """
    shown = trends[:MAX_TRENDS]
    steps = sorted(
        (step for trend in shown for each in trend.series for step in each.steps),
        key=lambda step: step.at,
        reverse=True,
    )
    body = [
        "<h1>Benchmark trends</h1>",
        f'<p class="soft">{_span(trends)}</p>',
        _changes(steps),
        *(_section(trend) for trend in shown),
        _left_out(trends[MAX_TRENDS:], unreadable),
        _legend(),
    ]
    style = files(__package__).joinpath("trend_page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Benchmark trends</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


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


def _changes(steps: Sequence[Step]) -> str:
    if not steps:
        return "<p>No change was found.</p>"
    rows = "".join(_change_row(step) for step in steps[:MAX_CHANGES])
    more = len(steps) - MAX_CHANGES
    return (
        "<h2>Changes</h2>\n"
        + _table(("since", "commit", "engine", "change", "before", "after", "accepted"), rows)
        + (f'<p class="soft">{more:,} older changes are not listed.</p>' if more > 0 else "")
    )


def _change_row(step: Step) -> str:
    kind = "accepted" if step.accepted is not None else "worse" if step.is_worse else "better"
    figure = _unit(step.measure)
    return (
        f'<tr><td class="text">{step.at:%Y-%m-%d %H:%M}</td>'
        f'<td class="text">{_commit(step.commit)}</td><td class="text">{_text(step.engine)}</td>'
        f'<td class="text {kind}">{_change_name(step)}</td>'
        f"<td>{figure(step.before)}</td><td>{figure(step.after)}</td>"
        f'<td class="text why">{_text(step.accepted or NONE)}</td></tr>'
    )


def _change_name(step: Step) -> str:
    if step.after == step.before:
        return "trials fail" if step.is_worse else "trials are ok again"
    rises, falls = _NAMES[step.measure]
    name = rises if step.after > step.before else falls
    if step.measure is Measure.COMPLETENESS:
        return name
    return f"{abs(step.after / step.before - 1):.0%} {name}"


def _section(trend: Trend) -> str:
    where = trend.conditions
    settings = f"{_text(where.server)}, {_text(where.profile)} settings"
    work = f"--jobs {_text(where.jobs)}; {_text(where.dataset)}"
    notes = [f"{_text(where.machine)}; {settings}; {work}"]
    if trend.thinned:
        notes.append(f"{trend.thinned:,} older sessions are not drawn.")
    if trend.left_out:
        notes.append(f"{trend.left_out:,} engines without newer figures are not drawn.")
    parts = [
        f"<h2>{_heading(where)}</h2>",
        *(f'<p class="soft">{note}</p>' for note in notes),
        *(_measure(trend, measure) for measure in Measure),
    ]
    return "<section>\n" + "\n".join(parts) + "\n</section>"


def _heading(where: Conditions) -> str:
    faults = "" if where.faults == "none" else f", {_text(where.faults)} faults"
    return f"{_text(where.scenario)}, {where.rows:,} rows{faults}"


def _measure(trend: Trend, measure: Measure) -> str:
    series = [each for each in trend.series if each.measure is measure]
    if not series:
        return ""
    panels = "\n".join(_panel(trend, each) for each in series)
    rows = "".join(
        _session_row(each, [one.engine for one in series], measure)
        for each in reversed(trend.sessions)
    )
    heads = ("session", "commit", *(_text(each.engine) for each in series))
    title = _TITLES[measure]
    return (
        f'<h3>{title}</h3>\n<div class="panels">\n{panels}\n</div>\n'
        f"<details><summary>{title} as a table</summary>\n{_table(heads, rows)}</details>"
    )


def _panel(trend: Trend, series: Series) -> str:
    unit = _unit(series.measure)
    labels = [
        "" if point is None else f"{_when(each)}: {_figure(point, series.measure)}"
        for each, point in zip(trend.sessions, series.points, strict=True)
    ]
    newest = [point for point in series.points if point][-2:]
    latest, difference = _figure(newest[-1], series.measure), _since_last(newest)
    caption = latest + difference
    name = _text(series.engine)
    summary = f"{name}, {_TITLES[series.measure].lower()}: latest {caption}"
    if difference and abs(newest[-1].median / newest[0].median - 1) >= MIN_EFFECT:
        caption = f"{latest}<b>{difference}</b>"
    marks = _marks(trend, series)
    axis = _SHARES if series.measure is Measure.COMPLETENESS else Axis(unit)
    drawn = chart(series.points, labels, marks, summary=summary, axis=axis)
    return f"<figure><figcaption><b>{name}</b> <span>{caption}</span></figcaption>{drawn}</figure>"


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
            "accepted" if step.accepted is not None else "worse" if step.is_worse else "better",
            "▲" if step.after > step.before else "▼" if step.after < step.before else "■",
            f"{step.at:%Y-%m-%d}: {_change_name(step)}",
        )
        for step in series.steps
    ]
    found = {step.run for step in series.steps}
    return marks + [
        Mark(places[each.run], "accepted", "✓", f"accepted: {_text(each.why)}")
        for each in trend.accepted
        if each.covers(series.engine) and each.run in places and each.run not in found
    ]


def _session_row(session: Session, engines: Iterable[str], measure: Measure) -> str:
    of = {each.engine: each for each in session.engines}
    cells = "".join(f"<td>{_cell(of.get(engine), measure)}</td>" for engine in engines)
    return (
        f'<tr><td class="text">{session.at:%Y-%m-%d %H:%M} <code>{_text(session.run[:8])}</code>'
        f'</td><td class="text">{_commit(session.commit, is_dirty=session.is_dirty)}</td>'
        f"{cells}</tr>"
    )


def _cell(of: EngineSession | None, measure: Measure) -> str:
    if of is None:
        return NONE
    if measure is Measure.COMPLETENESS:
        rows = NONE if of.success is None else _share(of.success)
        return f"{rows}, {of.ok}/{of.attempted} ok"
    summary = of.wall_s if measure is Measure.TIME else of.peak_bytes
    if summary is None:
        late = measure is Measure.TIME and of.at_least_s is not None
        return f"&gt; {seconds(of.at_least_s or 0)}" if late else NONE
    unit = _unit(measure)
    return f"{unit(summary.median)} ({unit(summary.low)} to {unit(summary.high)})"


def _figure(point: Point, measure: Measure) -> str:
    """Format a figure with its range, and say if trials failed."""
    unit = _unit(measure)
    spread = "" if point.low == point.high else f" ({unit(point.low)} to {unit(point.high)})"
    return f"{unit(point.median)}{spread}{'' if point.is_complete else ', some trials failed'}"


def _unit(measure: Measure) -> Callable[[float], str]:
    return {Measure.TIME: seconds, Measure.MEMORY: megabytes, Measure.COMPLETENESS: _share}[measure]


def _share(value: float) -> str:
    """Format a share, rounded down: 100% means every row."""
    return f"{math.floor(value * 10_000) / 100:g}%"


# One lost row of a thousand is seen.
_SHARES = Axis(_share, least_range=0.002, most=1.0)


def _when(session: Session) -> str:
    return f"{session.at:%Y-%m-%d %H:%M}, {_text((session.commit or 'no commit')[:8])}"


def _commit(commit: str | None, *, is_dirty: bool = False) -> str:
    if not commit:
        return NONE
    return f"<code>{_text(commit[:8])}</code>{' with changes' if is_dirty else ''}"


def _table(heads: Sequence[str], rows: str) -> str:
    """Lay out a table whose first columns are text; ``heads`` and ``rows`` are escaped."""
    cells = "".join(
        f'<th scope="col"{" class=text" if head in _TEXT_HEADS else ""}>{head}</th>'
        for head in heads
    )
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{cells}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


_TEXT_HEADS = frozenset({"since", "session", "commit", "engine", "change", "accepted"})


def _left_out(others: Sequence[Trend], unreadable: Sequence[str]) -> str:
    """Say what the page does not show."""
    parts = []
    if others:
        names = ", ".join(_heading(trend.conditions) for trend in others[:MAX_UNREADABLE])
        parts.append(f'<p class="soft">Not drawn, since others are newer: {names}.</p>')
    if unreadable:
        lines = "".join(f"<li>{_text(line)}</li>" for line in unreadable[:MAX_UNREADABLE])
        more = len(unreadable) - MAX_UNREADABLE
        rest = f"<li>and {more:,} more</li>" if more > 0 else ""
        parts.append(f"<h2>Files that could not be read</h2>\n<ul>{lines}{rest}</ul>")
    return "\n".join(parts)


def _legend() -> str:
    return (
        "<h2>How to read this</h2>\n<p>A point is the median of one session, the area the range of "
        "its rounds; a square means that trials failed. Sessions on other machines, servers, "
        "settings or datasets stand in charts of their own, since their times do not compare. "
        "▲ and ▼ mark where the level of later sessions changes (optimal partitioning, from "
        f"{MIN_SESSIONS} sessions on, at least {MIN_EFFECT:.0%}), or where rows were lost or "
        "regained, ■ where trials fail or are ok again; ✓ marks an accepted change. A difference "
        "between two sessions alone can be noise.</p>"
    )


def _text(text: str) -> str:
    """Escape a text of a file, without control characters, and cut if it is long."""
    printable = "".join(each if each.isprintable() else "?" for each in text[:_MAX_TEXT])
    return html.escape(printable) + ("…" if len(text) > _MAX_TEXT else "")
