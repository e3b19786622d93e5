"""Trends: the sessions of the same conditions as series, with the points where they change.

Pure: sessions in, series out. Sessions of different conditions never stand in one trend.
"""

from __future__ import annotations

import enum
import itertools
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.steps import changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from harness.analysis.sessions import Conditions, EngineSession, Session

# What is kept of a long history: a page of the bounds below stays under 4 MB, and each panel
# legible. Change points are sought among the newest MAX_SESSIONS.
MAX_TRENDS = 8
MAX_ENGINES = 12
MAX_SESSIONS = 200
MAX_POINTS = 60
_RECENT = 40

# Levels that differ by less are drawn, but are no change: the minimum effect of a comparison.
MIN_EFFECT = 0.05

# The index of a point, the figures before and after, and whether that is worse.
_Change = tuple[int, float, float, bool]

# Larger figures are damage: 30,000 years, or a petabyte.
_LARGEST = 1e15


class Measure(enum.Enum):
    """A figure that is followed over sessions."""

    TIME = "time"
    MEMORY = "peak memory"
    COMPLETENESS = "rows restored"


@dataclass(frozen=True, slots=True)
class Accepted:
    """An accepted change: from this run on, of these engines (None is all), and why."""

    run: str
    engines: tuple[str, ...] | None
    why: str

    def covers(self, engine: str) -> bool:
        """Return whether it applies to an engine."""
        return self.engines is None or engine in self.engines


@dataclass(frozen=True, slots=True)
class Point:
    """One session in a series: the median and the range of its rounds, in the measure's unit."""

    median: float
    low: float
    high: float
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """A change: the session that begins the new level, and both levels.

    Worse is slower, more memory, fewer rows, or the same rows by trials that failed. ``accepted``
    says why it is intended, None if it was not accepted.
    """

    run: str
    at: datetime
    commit: str | None
    engine: str
    measure: Measure
    before: float
    after: float
    is_worse: bool
    accepted: str | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One measure of one engine; a point for each session of the trend, None if it has none."""

    engine: str
    measure: Measure
    points: tuple[Point | None, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Trend:
    """The sessions of the same conditions, oldest first, and the series over them.

    ``thinned`` older sessions and ``left_out`` engines are not shown.
    """

    conditions: Conditions
    sessions: tuple[Session, ...]
    series: tuple[Series, ...]
    accepted: tuple[Accepted, ...]
    thinned: int
    left_out: int


def trends(sessions: Iterable[Session], accepted: Sequence[Accepted] = ()) -> tuple[Trend, ...]:
    """Return the trends of a history, the one with the newest session first.

    Args:
        sessions: in any order.
        accepted: changes that were accepted, oldest first.
    """
    groups: dict[Conditions, list[Session]] = {}
    for each in sorted(sessions, key=lambda each: (each.at, each.run)):
        groups.setdefault(each.conditions, []).append(each)
    newest = sorted(groups.values(), key=lambda group: group[-1].at, reverse=True)
    return tuple(_trend(group, accepted) for group in newest)


def _trend(group: list[Session], accepted: Sequence[Accepted]) -> Trend:
    recent = group[-MAX_SESSIONS:]
    # In the order of the newest session, which is that of its engines' first trials.
    engines = list(dict.fromkeys(of.engine for each in reversed(recent) for of in each.engines))
    full = [
        _series(engine, measure, recent, accepted)
        for measure in Measure
        for engine in engines[:MAX_ENGINES]
    ]
    runs = {each.run for each in recent}
    here = tuple(each for each in accepted if each.run in runs)
    marked = {each.run for each in here} | {step.run for each in full for step in each.steps}
    shown = _shown(recent, marked)
    return Trend(
        conditions=group[-1].conditions,
        sessions=tuple(recent[index] for index in shown),
        series=tuple(
            Series(each.engine, each.measure, tuple(each.points[index] for index in shown), steps)
            for each in full
            for steps in [_steps_of(each, {recent[index].run for index in shown})]
            if any(each.points)
        ),
        accepted=here,
        thinned=len(group) - len(shown),
        left_out=len(engines[MAX_ENGINES:]),
    )


def _steps_of(series: Series, shown: set[str]) -> tuple[Step, ...]:
    return tuple(step for step in series.steps if step.run in shown)


def _shown(sessions: Sequence[Session], marked: set[str]) -> list[int]:
    """Return the indexes to show: the newest, those with a mark, and every n-th of the others."""
    old = range(max(0, len(sessions) - _RECENT))
    special = [index for index in old if sessions[index].run in marked]
    room = MAX_POINTS - _RECENT
    special = special[-room:]
    others = [index for index in old if index not in special]
    stride = -(-len(others) // max(1, room - len(special)))
    some = others[::stride] if stride and room > len(special) else []
    return sorted({*special, *some, *range(len(old), len(sessions))})


def _series(
    engine: str, measure: Measure, sessions: Sequence[Session], accepted: Sequence[Accepted]
) -> Series:
    points = []
    for each in sessions:
        of = next((figures for figures in each.engines if figures.engine == engine), None)
        points.append(None if of is None else _point(of, measure))
    present = [(each, point) for each, point in zip(sessions, points, strict=True) if point]
    found = _losses if measure is Measure.COMPLETENESS else _levels
    steps = tuple(
        Step(
            run=at.run,
            at=at.at,
            commit=at.commit,
            engine=engine,
            measure=measure,
            before=before,
            after=after,
            is_worse=is_worse,
            accepted=next(
                (one.why for one in accepted if one.run == at.run and one.covers(engine)), None
            ),
        )
        for index, before, after, is_worse in found([point for _, point in present])
        for at in [present[index][0]]
    )
    return Series(engine, measure, tuple(points), steps)


def _point(of: EngineSession, measure: Measure) -> Point | None:
    """Return an engine's figure in one session; None if it has none that can be drawn."""
    if measure is Measure.COMPLETENESS:
        if of.success is None:
            return None
        return Point(of.success, of.success, of.success, is_complete=of.ok == of.attempted)
    summary = of.wall_s if measure is Measure.TIME else of.peak_bytes
    if summary is None or not 0 < summary.low <= summary.high < _LARGEST:
        return None
    is_complete = of.ok == of.attempted
    return Point(summary.median, summary.low, summary.high, is_complete=is_complete)


def _levels(points: Sequence[Point]) -> list[_Change]:
    """Return the changes of level, by the medians before and after."""
    values = [point.median for point in points]
    edges = [0, *changes(values), len(values)]
    levels = [statistics.median(values[a:b]) for a, b in itertools.pairwise(edges) if b]
    return [
        (edge, before, after, after > before)
        for edge, (before, after) in zip(edges[1:-1], itertools.pairwise(levels), strict=True)
        if abs(after / before - 1) >= MIN_EFFECT
    ]


def _losses(points: Sequence[Point]) -> list[_Change]:
    """Return the changes of completeness, which has no noise: one session shows it."""
    return [
        (index, before.median, after.median, _completeness(after) < _completeness(before))
        for index, (before, after) in enumerate(itertools.pairwise(points), start=1)
        if _completeness(before) != _completeness(after)
    ]


def _completeness(point: Point) -> tuple[float, bool]:
    return point.median, point.is_complete
