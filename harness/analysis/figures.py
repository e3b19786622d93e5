"""What one run says about each of its engines.

Pure: a record in, figures out; no file, no clock, no text. Only trials that are ``ok`` and no
warm-ups enter the statistics of speed and memory, so a failure can never look fast; success counts
every trial that was attempted.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.stats import Ratio, Summary, ratio, summarize
from harness.model.record import FLOOR, REFERENCE, Status

if TYPE_CHECKING:
    from harness.model.record import Run, Trial

# Neither says anything about the engine: the one never began, the other the user stopped.
NOT_ATTEMPTED = frozenset({Status.SKIPPED, Status.INTERRUPTED})


@dataclass(frozen=True, slots=True)
class Success:
    """Rows that arrived of those that a perfect restore would have loaded, over all attempts."""

    restored: int
    restorable: int

    @property
    def rate(self) -> float:
        """The share that arrived, 0 to 1."""
        return self.restored / self.restorable


@dataclass(frozen=True, slots=True)
class Samples:
    """An engine's attempts in a run, in the order in which they were made."""

    trials: tuple[Trial, ...]

    @property
    def ok(self) -> tuple[Trial, ...]:
        """The attempts that ended well."""
        return tuple(trial for trial in self.trials if trial.status is Status.OK)

    @property
    def at_least_s(self) -> float | None:
        """A lower bound of the median time, where timeouts hide the median itself.

        They do when no fewer trials ran into the time limit than ended well.
        """
        walls = [trial.wall_s for trial in self.ok if trial.wall_s is not None]
        late = [trial for trial in self.trials if trial.status is Status.TIMEOUT]
        bounds = [trial.wall_s for trial in late if trial.wall_s is not None]
        if not bounds or len(bounds) < len(walls):
            return None
        return statistics.median(walls + bounds)

    @property
    def walls_s(self) -> list[float]:
        """The times that make a median; none where there is only a lower bound of it."""
        if self.at_least_s is not None:
            return []
        return [trial.wall_s for trial in self.ok if trial.wall_s is not None]

    @property
    def peaks_bytes(self) -> list[float]:
        """The peaks of the attempts that ended well."""
        return [trial.peak_bytes for trial in self.ok if trial.peak_bytes is not None]


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """What a run says about one engine.

    ``at_least_s`` stands in place of ``wall_s`` where timeouts hide the median. ``speed`` is the
    reference's time over this engine's (2 is twice as fast), ``memory`` this engine's peak over the
    reference's; the reference itself has neither. ``speed_at_least`` stands in place of ``speed``
    where the reference has only a lower bound. ``vs_floor`` is this engine's time over the floor's,
    and ``vs_floor_at_least`` stands in its place where this engine has only a lower bound.
    """

    engine: str
    attempted: int
    ok: int
    wall_s: Summary | None
    at_least_s: float | None
    rows_per_s: float | None
    peak_bytes: Summary | None
    success: Success | None
    speed: Ratio | None
    speed_at_least: float | None
    memory: Ratio | None
    vs_floor: Ratio | None
    vs_floor_at_least: float | None


@dataclass(frozen=True, slots=True)
class RunFigures:
    """What a run says: its engines in the order of their first trials, and what went wrong."""

    run: Run
    reference: str | None
    engines: tuple[EngineFigures, ...]
    failures: tuple[Trial, ...]

    def engine(self, name: str) -> EngineFigures | None:
        """Return the figures of one engine, or None where the run has no trial of it."""
        return next((each for each in self.engines if each.engine == name), None)

    def samples(self, engine: str) -> Samples:
        """Return the attempts behind one engine's figures."""
        return samples(self.run, engine)

    def multiples(self, engine: str, reference: str) -> list[float]:
        """Return ``multiples`` of this run."""
        return multiples(self.run, engine, reference)


def figures(run: Run, reference: str | None = REFERENCE) -> RunFigures:
    """Work out what ``run`` says about each engine, beside ``reference`` and the floor.

    Where ``reference`` is None, no ratio is worked out, which takes most of the time.
    """
    engines = dict.fromkeys(trial.engine for trial in run.trials)
    return RunFigures(
        run=run,
        reference=reference,
        engines=tuple(_engine_figures(run, engine, reference) for engine in engines),
        failures=tuple(
            trial for trial in run.trials if trial.status is not Status.OK and not trial.repeated
        ),
    )


def samples(run: Run, engine: str) -> Samples:
    """Return the trials that say something about ``engine``.

    No warm-ups, nothing cut short, and nothing that was made again because of noise.
    """
    return Samples(
        tuple(
            trial
            for trial in run.trials
            if trial.engine == engine
            and not (trial.warmup or trial.repeated)
            and trial.status not in NOT_ATTEMPTED
        )
    )


def multiples(run: Run, engine: str, reference: str) -> list[float]:
    """Return, for each round that both ended well, an engine's time over the reference's.

    What disturbs the machine for longer than a round is in both, and so in neither.
    """
    own, yardstick = samples(run, engine), samples(run, reference)
    if not own.walls_s or not yardstick.walls_s:
        return []
    below = {trial.round: trial.wall_s for trial in yardstick.ok if trial.wall_s}
    return [
        trial.wall_s / below[trial.round]
        for trial in own.ok
        if trial.wall_s is not None and trial.round in below
    ]


def _engine_figures(run: Run, engine: str, reference: str | None) -> EngineFigures:
    """Work out one engine's figures, and its ratios where it is not the reference itself."""
    own = samples(run, engine)
    yardstick = Samples(()) if reference in {None, engine} else samples(run, reference)
    floor = Samples(()) if reference is None or engine == FLOOR else samples(run, FLOOR)
    wall_s = summarize(own.walls_s)
    return EngineFigures(
        engine=engine,
        attempted=len(own.trials),
        ok=len(own.ok),
        wall_s=wall_s,
        at_least_s=own.at_least_s,
        rows_per_s=_rows_per_s(own, wall_s),
        peak_bytes=summarize(own.peaks_bytes),
        success=success_of(run, own),
        speed=ratio(yardstick.walls_s, own.walls_s),
        speed_at_least=_at_least(yardstick.at_least_s, wall_s),
        memory=ratio(own.peaks_bytes, yardstick.peaks_bytes),
        vs_floor=ratio(own.walls_s, floor.walls_s),
        vs_floor_at_least=_at_least(own.at_least_s, summarize(floor.walls_s)),
    )


def _rows_per_s(own: Samples, wall_s: Summary | None) -> float | None:
    """Return rows restored a second, at the median time."""
    if wall_s is None or wall_s.median <= 0:
        return None
    return statistics.median(trial.restored for trial in own.ok) / wall_s.median


def success_of(run: Run, own: Samples) -> Success | None:
    """Sum up what arrived; a trial in which nothing could be counted restored nothing."""
    restorable = max((trial.expected for trial in run.trials), default=0)
    if not own.trials or not restorable:
        return None
    return Success(sum(trial.restored for trial in own.trials), restorable * len(own.trials))


def _at_least(bound_s: float | None, wall_s: Summary | None) -> float | None:
    """Return how many times as long at least what timed out took; None if that is no news."""
    if bound_s is None or wall_s is None or wall_s.median <= 0:
        return None
    at_least = bound_s / wall_s.median
    return at_least if at_least > 1 else None
