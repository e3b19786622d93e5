"""The engine ``floor`` as it is shown: a reference COPY, with its start-up apart."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import msgspec

from harness.model.record import FLOOR
from harness.report.units import seconds

if TYPE_CHECKING:
    from harness.analysis.figures import RunFigures

NAME = "reference COPY"
# As wide as a table of a terminal has room for.
SHORT_NAME = "ref. COPY"
COLUMN = "vs COPY"
LEGEND = (
    f"{COLUMN}: time relative to the {NAME} ({SHORT_NAME}, the engine {FLOOR}), which sends the "
    "same rows pre-encoded."
)


class _Report(msgspec.Struct):
    """The field of the engine's report that is shown."""

    start_up_s: float | None = None


def engine_name(engine: str) -> str:
    """Return an engine's name as tables show it."""
    return SHORT_NAME if engine == FLOOR else engine


def start_up(run_figures: RunFigures) -> str:
    """Say how long the reference COPY took until its first COPY; empty if it is not known."""
    known = [
        (reported.start_up_s, trial.wall_s)
        for trial in run_figures.samples(FLOOR).ok
        if (reported := msgspec.json.decode(trial.report, type=_Report | None)) is not None
        and reported.start_up_s is not None
        and trial.wall_s is not None
    ]
    if not known:
        return ""
    started_s = statistics.median(start_up_s for start_up_s, _ in known)
    rest_s = statistics.median(wall_s - start_up_s for start_up_s, wall_s in known)
    return (
        f"Of the {NAME}'s time, {seconds(started_s)} passed before its first COPY, and "
        f"{seconds(rest_s)} after (medians)."
    )
