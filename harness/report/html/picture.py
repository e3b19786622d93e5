"""Draws time and memory of some engines as a picture for the README, in SVG, light or dark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report import cells
from harness.report.html.page import environment
from harness.report.reference_copy import engine_name
from harness.report.units import megabytes, rows_short, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.figures import RunFigures

OWN = "restore"


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a picture."""

    text: str
    soft: str
    own: str
    bar: str
    worse: str


THEMES = {
    "light": Theme("#1c2024", "#59626e", "#0067b8", "#b4bcc6", "#b42318"),
    "dark": Theme("#e6e8eb", "#a0a9b5", "#58aefc", "#59626e", "#ff8a7a"),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure as text and as its share of the largest one."""

    share: float
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One engine: its bars, or how it failed in place of both."""

    name: str
    is_own: bool
    bars: tuple[Bar, ...]
    failure: str


def picture(of: RunFigures, engines: Sequence[str], theme: Theme) -> str:
    """Return a chart with two bars for each engine that was tried, the fastest first.

    Args:
        of: the run.
        engines: what is drawn of it.
        theme: its colours.
    """
    tried = [each for each in of.engines if each.engine in engines and each.attempted]
    ok = [(each.engine, each.wall_s, each.peak_bytes) for each in tried]
    right = {name: (wall_s.median, peak.median) for name, wall_s, peak in ok if wall_s and peak}
    longest_s = max((wall_s for wall_s, _ in right.values()), default=1.0)
    largest = max((peak for _, peak in right.values()), default=1.0)
    rows = [
        Row(
            engine_name(name),
            name == OWN,
            (Bar(wall_s / longest_s, seconds(wall_s)), Bar(peak / largest, megabytes(peak))),
            "",
        )
        for name, (wall_s, peak) in sorted(right.items(), key=lambda each: each[1])
    ]
    failed = [each.engine for each in tried if each.engine not in right]
    rows += [Row(engine_name(name), name == OWN, (), cells.failure(of, name)) for name in failed]
    size, version = rows_short(of.run.dataset.rows), of.run.server.version
    return (
        environment()
        .get_template("picture.svg.j2")
        .render(
            title=f"Restoring {size} rows of JSON into PostgreSQL {version}: time and memory",
            rows=rows,
            theme=theme,
        )
    )
