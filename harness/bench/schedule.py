"""Whose turn it is in a run, which turns are left, and how long they will take."""

from __future__ import annotations

import statistics
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from harness.model.record import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.engines.registry import Engine
    from harness.model.record import Run

# Among a run's parameters: the instants at which it was gone on with.
RESUMED = "resumed_at"


class Turn(NamedTuple):
    """Whose turn it is."""

    engine: Engine
    round: int
    warmup: bool


def schedule(engines: Sequence[Engine], *, rounds: int, warmup: int) -> Iterator[Turn]:
    """Yield whose turn it is: the warm-up rounds, then the others, each second one backwards.

    In the order ABBA, a machine that slows down or speeds up steadily favours no engine.
    """
    for count, is_warmup in ((warmup, True), (rounds, False)):
        for number in range(1, count + 1):
            for engine in engines if number % 2 else reversed(engines):
                yield Turn(engine, number, is_warmup)


def remaining(run: Run, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Return the turns that were not taken to their end yet."""
    taken = {
        (trial.engine, trial.round, trial.warmup)
        for trial in run.trials
        if not trial.repeated and trial.status is not Status.INTERRUPTED
    }
    return tuple(turn for turn in turns if (turn.engine.name, turn.round, turn.warmup) not in taken)


def resumed_at(run: Run) -> list[str]:
    """Return when a run was gone on with, after it was cut off."""
    found = run.parameters.get(RESUMED)
    return found if isinstance(found, list) else []


def remaining_s(run: Run, turns: Sequence[Turn], now: str) -> float | None:
    """Estimate how long the turns that are left will take, in seconds.

    Each takes the median of what its engine's trials took in this run, from the start of one to the
    start of the next, so with all that is around them.

    Args:
        run: what was made so far.
        turns: all turns of the run.
        now: this instant, as records keep it.

    Returns:
        None as long as there is an engine left that was not tried yet.
    """
    took: dict[str, list[float]] = {}
    starts = [datetime.fromisoformat(at) for at in (*(t.started_at for t in run.trials), now)]
    paused = [datetime.fromisoformat(at) for at in resumed_at(run)]
    for trial, (start, end) in zip(run.trials, pairwise(starts), strict=True):
        if not any(start < at <= end for at in paused):
            took.setdefault(trial.engine, []).append((end - start).total_seconds())
    waiting = [turn.engine.name for turn in remaining(run, turns)]
    if any(name not in took for name in waiting):
        return None
    return sum(statistics.median(took[name]) for name in waiting)
