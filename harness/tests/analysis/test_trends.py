"""Sessions of different conditions stand apart, and changes are found where they are."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
import pytest

from harness.analysis.sessions import session
from harness.analysis.trends import (
    MAX_ENGINES,
    MAX_POINTS,
    MAX_SESSIONS,
    Accepted,
    Measure,
    trends,
)
from harness.model.record import Status, TableResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.analysis.sessions import Session
    from harness.analysis.trends import Series, Trend
    from harness.model.record import Run

LOST = TableResult(table="users", expected=1000, found=999, checksum_match=False)


@pytest.fixture
def make_sessions(
    make_run: Callable[..., Run], make_trial: Callable[..., object]
) -> Callable[..., list[Session]]:
    """Return what makes a session for each time given, a day apart, with 2% of noise."""
    rng = random.Random(4)

    def build(times_s: list[float], **fields: object) -> list[Session]:
        return [
            session(
                make_run(
                    *(
                        make_trial("restore", time_s * rng.gauss(1, 0.02), round=number)
                        for number in range(1, 4)
                    ),
                    id=f"run{day:05}",
                    started_at=f"{2000 + day // 28}-01-{1 + day % 28:02}T01:02:03Z",
                    **fields,
                )
            )
            for day, time_s in enumerate(times_s)
        ]

    return build


def series(trend: Trend, measure: Measure) -> Series:
    (found,) = (each for each in trend.series if each.measure is measure)
    return found


def test_a_session_is_one_observation_with_its_range(
    make_run: Callable[..., Run], make_trial: Callable[..., object]
) -> None:
    walls = [2.0, 1.0, 4.0]
    run = make_run(*(make_trial("restore", wall_s, round=n) for n, wall_s in enumerate(walls)))
    (trend,) = trends([session(run)])
    (point,) = series(trend, Measure.TIME).points
    assert point is not None
    assert (point.low, point.median, point.high) == (1.0, 2.0, 4.0)


@pytest.mark.parametrize(
    "changed",
    [
        {"server": {"kind": "docker"}},
        {"server": {"version": "17.2"}},
        {"environment": {"cores": 4}},
        {"environment": {"cpu": "Example CPU 4000"}},
        {"dataset": {"rows": 2000}},
        {"dataset": {"faults": "hostile"}},
        {"dataset": {"generator": "2"}},
        {"parameters": {"jobs": 4}},
        {"server": {"profile": "stock"}},
    ],
    ids=str,
)
def test_sessions_of_other_conditions_stand_apart(
    changed: dict[str, dict[str, object]],
    make_run: Callable[..., Run],
    make_trial: Callable[..., object],
) -> None:
    usual = make_run(make_trial("restore", 1.0))
    fields = {
        key: values
        if key == "parameters"
        else msgspec.structs.replace(getattr(usual, key), **values)
        for key, values in changed.items()
    }
    other = msgspec.structs.replace(usual, id="bbbb0001", **fields)
    assert len(trends([session(usual), session(other)])) == 2


def test_what_does_not_matter_stands_together(
    make_run: Callable[..., Run], make_trial: Callable[..., object]
) -> None:
    usual = make_run(make_trial("restore", 1.0))
    other = msgspec.structs.replace(
        usual,
        id="bbbb0001",
        server=msgspec.structs.replace(usual.server, version="18.3", profile="bulk"),
        environment=msgspec.structs.replace(usual.environment, commit="f" * 40, os="Linux 6.2"),
        parameters={"rounds": 9},
    )
    assert len(trends([session(usual), session(other)])) == 1


def test_a_level_that_rises_is_marked_where_it_begins(
    make_sessions: Callable[..., list[Session]],
) -> None:
    (trend,) = trends(make_sessions([1.0] * 12 + [1.2] * 8))
    (step,) = series(trend, Measure.TIME).steps
    assert (step.run, step.is_worse, step.accepted) == ("run00012", True, None)
    assert step.after / step.before == pytest.approx(1.2, abs=0.03)
    assert series(trend, Measure.MEMORY).steps == ()


def test_noise_and_small_changes_are_not_marked(
    make_sessions: Callable[..., list[Session]],
) -> None:
    (trend,) = trends(make_sessions([1.0] * 15 + [1.03] * 15))
    assert series(trend, Measure.TIME).steps == ()


def test_an_accepted_change_says_why(make_sessions: Callable[..., list[Session]]) -> None:
    sessions = make_sessions([1.0] * 10 + [0.5] * 5)
    told = Accepted("run00010", ("restore",), "a faster reader")
    (trend,) = trends(sessions, [Accepted("run00010", ("legacy",), "another"), told])
    (step,) = series(trend, Measure.TIME).steps
    assert (step.accepted, step.is_worse) == ("a faster reader", False)
    assert told in trend.accepted


def test_one_lost_row_is_a_change_at_once(
    make_sessions: Callable[..., list[Session]],
    make_run: Callable[..., Run],
    make_trial: Callable[..., object],
) -> None:
    lost = make_trial("restore", 1.0, tables=(LOST,), status=Status.WRONG_RESULT)
    last = session(make_run(lost, id="run00099", started_at="2024-05-01T00:00:00Z"))
    (trend,) = trends([last, *make_sessions([1.0])])
    (step,) = series(trend, Measure.COMPLETENESS).steps
    assert (step.run, step.before, step.after, step.is_worse) == ("run00099", 1.0, 0.999, True)
    points = series(trend, Measure.COMPLETENESS).points
    assert [point.is_complete for point in points if point] == [True, False]


def test_trials_that_fail_are_a_change_even_if_all_rows_are_there(
    make_sessions: Callable[..., list[Session]],
    make_run: Callable[..., Run],
    make_trial: Callable[..., object],
) -> None:
    failed = [make_trial("restore", 1.0), make_trial("restore", 1.0, status=Status.ERROR)]
    last = session(make_run(*failed, id="run00099", started_at="2024-05-01T00:00:00Z"))
    (trend,) = trends([*make_sessions([1.0]), last])
    (step,) = series(trend, Measure.COMPLETENESS).steps
    assert (step.run, step.before, step.after, step.is_worse) == ("run00099", 1.0, 1.0, True)


def test_a_long_history_is_thinned_but_keeps_the_newest_and_the_changes(
    make_sessions: Callable[..., list[Session]],
) -> None:
    sessions = make_sessions([1.0] * 200 + [1.5] * (MAX_SESSIONS - 50))
    (trend,) = trends(sessions)
    assert len(trend.sessions) <= MAX_POINTS
    assert trend.thinned == len(sessions) - len(trend.sessions)
    assert trend.sessions[-40:] == tuple(sessions[-40:])
    (step,) = series(trend, Measure.TIME).steps
    assert step.run == "run00200"
    assert step.run in {each.run for each in trend.sessions}
    assert all(len(each.points) == len(trend.sessions) for each in trend.series)


def test_figures_that_cannot_be_are_not_drawn(
    make_run: Callable[..., Run], make_trial: Callable[..., object]
) -> None:
    odd = [make_trial("restore", wall_s, peak_bytes=10**30) for wall_s in (-1.0, 0.0, 1e308)]
    (trend,) = trends([session(make_run(*odd))])
    assert [each.measure for each in trend.series] == [Measure.COMPLETENESS]


def test_the_number_of_engines_is_bounded(
    make_run: Callable[..., Run], make_trial: Callable[..., object]
) -> None:
    run = make_run(*(make_trial(f"engine{number}", 1.0) for number in range(MAX_ENGINES + 3)))
    (trend,) = trends([session(run)])
    assert len({each.engine for each in trend.series}) == MAX_ENGINES
    assert trend.left_out == 3
