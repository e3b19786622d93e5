"""The order of trials in a run, the remaining ones, and how long they will take."""

from __future__ import annotations

import random
import statistics
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from harness.model.record import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.engines.engine import Engine
    from harness.model.record import Run, Trial

# The parameter that records when a run was resumed.
RESUMED = "resumed_at"


class Turn(NamedTuple):
    """One trial that is due: its engine, its round, and whether it is a warm-up."""

    engine: Engine
    round: int
    warmup: bool


def schedule(engines: Sequence[Engine], *, rounds: int, warmup: int, seed: str) -> Iterator[Turn]:
    """Yield the trials in order: warm-up rounds, then the others, in randomised complete blocks.

    A block is a round. Its order is drawn at random, so that no disturbance can favour an engine
    but by chance; within a cycle of rounds, each engine is equally often at each place, and equally
    often behind each other engine.

    Args:
        engines: the engines.
        rounds: the number of rounds; more rounds begin with the same ones.
        warmup: the number of warm-up rounds before them.
        seed: what the order is drawn from: the run's id.
    """
    for count, is_warmup in ((warmup, True), (rounds, False)):
        drawn = orders(len(engines), random.Random(f"{seed} {is_warmup}"))  # noqa: S311 - no secret
        for number, order in zip(range(1, count + 1), drawn, strict=False):
            for place in order:
                yield Turn(engines[place], number, is_warmup)


def orders(count: int, rng: random.Random) -> Iterator[list[int]]:
    """Yield the order of each round, cycle after cycle.

    A cycle is a design of E. J. Williams, "Experimental Designs Balanced for the Estimation of
    Residual Effects of Treatments" (1949): 0, 1, n-1, 2, n-2, ... and its shifts, for an odd number
    together with its mirror image. Which engine has which number is drawn for each cycle, and so is
    the order of its rounds.
    """
    first = [
        (place + 1) // 2 if place % 2 else (count - place // 2) % count for place in range(count)
    ]
    shifts = [[(place + shift) % count for place in first] for shift in range(count)]
    design = shifts if count % 2 == 0 else [*shifts, *(row[::-1] for row in shifts)]
    while True:
        engines = rng.sample(range(count), count)
        for row in rng.sample(design, len(design)):
            yield [engines[place] for place in row]


def remaining(run: Run, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Return the turns without a completed trial."""
    taken = _taken(run)
    return tuple(turn for turn in turns if (turn.engine.name, turn.round, turn.warmup) not in taken)


def within(run: Run, turns: Sequence[Turn], time_per_engine_s: float) -> tuple[Turn, ...]:
    """Leave out the remaining turns of engines whose trials have taken so long together."""
    taken = _taken(run)
    spent_s = dict.fromkeys((turn.engine.name for turn in turns), 0.0)
    for (name, _, _), trial in taken.items():
        spent_s[name] += trial.wall_s or 0.0
    return tuple(
        turn
        for turn in turns
        if spent_s[turn.engine.name] < time_per_engine_s
        or (turn.engine.name, turn.round, turn.warmup) in taken
    )


def _taken(run: Run) -> dict[tuple[str, int, bool], Trial]:
    """Return the completed trials by engine, round, and whether it is a warm-up."""
    return {
        (trial.engine, trial.round, trial.warmup): trial
        for trial in run.trials
        if not trial.repeated and trial.status is not Status.INTERRUPTED
    }


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
