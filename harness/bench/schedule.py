"""The order of trials in a run, the remaining ones, and how long they will take."""

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

# The parameter that records when a run was resumed.
RESUMED = "resumed_at"


class Turn(NamedTuple):
    """One trial that is due: its engine, its round, and whether it is a warm-up."""

    engine: Engine
    round: int
    warmup: bool


def schedule(engines: Sequence[Engine], *, rounds: int, warmup: int) -> Iterator[Turn]:
    """Yield the trials in order: warm-up rounds, then the others, every second one reversed.

    In the order ABBA, a machine that slows down or speeds up steadily favours no engine.
    """
    for count, is_warmup in ((warmup, True), (rounds, False)):
        for number in range(1, count + 1):
            for engine in engines if number % 2 else reversed(engines):
                yield Turn(engine, number, is_warmup)


def remaining(run: Run, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Return the turns without a completed trial."""
    taken = {
        (trial.engine, trial.round, trial.warmup)
        for trial in run.trials
        if not trial.repeated and trial.status is not Status.INTERRUPTED
    }
    return tuple(turn for turn in turns if (turn.engine.name, turn.round, turn.warmup) not in taken)


def resumed_at(run: Run) -> list[str]:
    """Return the times at which a run was resumed."""
    found = run.parameters.get(RESUMED)
    return found if isinstance(found, list) else []


def remaining_s(run: Run, turns: Sequence[Turn], now: str) -> float | None:
    """Estimate how long the remaining turns will take, in seconds.

    Each counts as the median of its engine's trials in this run, from the start of one trial to the
    start of the next, which includes set-up and verification.

    Args:
        run: the run so far.
        turns: all turns of the run.
        now: the current time, as recorded.

    Returns:
        None while an engine with remaining turns has no trial yet.
    """
    durations: dict[str, list[float]] = {}
    starts = [datetime.fromisoformat(at) for at in (*(t.started_at for t in run.trials), now)]
    paused = [datetime.fromisoformat(at) for at in resumed_at(run)]
    for trial, (start, end) in zip(run.trials, pairwise(starts), strict=True):
        if not any(start < at <= end for at in paused):
            durations.setdefault(trial.engine, []).append((end - start).total_seconds())
    waiting = [turn.engine.name for turn in remaining(run, turns)]
    if any(name not in durations for name in waiting):
        return None
    return sum(statistics.median(durations[name]) for name in waiting)
