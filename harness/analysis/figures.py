"""The figures of each engine in one run.

Pure: a record in, figures out; no file, no clock, no text. Only trials that are ``ok`` and no
warm-ups enter the statistics of speed and memory, so a failure can never look fast; success counts
every attempt.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.stats import Ratio, Summary, ratio, summarize
from harness.model.record import FLOOR, REFERENCE, Status

if TYPE_CHECKING:
    from harness.model.record import Run, Trial

# Neither is an attempt: one was never started, the other was stopped by the user.
NOT_ATTEMPTED = frozenset({Status.SKIPPED, Status.INTERRUPTED})


@dataclass(frozen=True, slots=True)
class Success:
    """Restored rows of the restorable ones, over all attempts."""

    restored: int
    restorable: int

    @property
    def rate(self) -> float:
        """Return the restored share, 0 to 1."""
        return self.restored / self.restorable


@dataclass(frozen=True, slots=True)
class Samples:
    """An engine's attempts in a run, in order."""

    trials: tuple[Trial, ...]

    @property
    def ok(self) -> tuple[Trial, ...]:
        """Return the attempts that are ok."""
        return tuple(trial for trial in self.trials if trial.status is Status.OK)

    @property
    def at_least_s(self) -> float | None:
        """Return a lower bound of the median time, if timeouts hide the median itself.

        They do if at least as many trials timed out as are ok.
        """
        walls = [trial.wall_s for trial in self.ok if trial.wall_s is not None]
        late = [trial for trial in self.trials if trial.status is Status.TIMEOUT]
        bounds = [trial.wall_s for trial in late if trial.wall_s is not None]
        if not bounds or len(bounds) < len(walls):
            return None
        return statistics.median(walls + bounds)

    @property
    def walls_s(self) -> list[float]:
        """Return the times for the median; none if only a lower bound is known."""
        if self.at_least_s is not None:
            return []
        return [trial.wall_s for trial in self.ok if trial.wall_s is not None]

    @property
    def cpus_s(self) -> list[float]:
        """Return the CPU times of the attempts that are ok, of the engine's own processes."""
        return [
            trial.user_s + trial.system_s
            for trial in self.ok
            if trial.user_s is not None and trial.system_s is not None
        ]

    @property
    def peaks_bytes(self) -> list[float]:
        """Return the memory peaks of the attempts that are ok."""
        return [trial.peak_bytes for trial in self.ok if trial.peak_bytes is not None]


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """The figures of one engine in a run.

    ``at_least_s`` replaces ``wall_s`` if timeouts hide the median. ``speed`` is the reference's
    time over this engine's (2 is twice as fast), ``memory`` this engine's peak over the
    reference's; the reference itself has neither. ``speed_at_least`` replaces ``speed`` if the
    reference has only a lower bound. ``vs_floor`` is this engine's time over the floor's, and
    ``vs_floor_at_least`` replaces it if this engine has only a lower bound.
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
    """The figures of a run: its engines in order of their first trials, and its failures."""

    run: Run
    reference: str | None
    engines: tuple[EngineFigures, ...]
    failures: tuple[Trial, ...]

    def engine(self, name: str) -> EngineFigures | None:
        """Return the figures of one engine, or None if the run has no trial of it."""
        return next((each for each in self.engines if each.engine == name), None)

    def samples(self, engine: str) -> Samples:
        """Return the attempts behind one engine's figures."""
        return samples(self.run, engine)

    def multiples(self, engine: str, reference: str) -> list[float]:
        """Return ``multiples`` of this run."""
        return multiples(self.run, engine, reference)


def figures(run: Run, reference: str | None = REFERENCE) -> RunFigures:
    """Compute the figures of each engine, relative to ``reference`` and the floor.

    If ``reference`` is None, no ratios are computed, which take most of the time.
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
    """Return the trials of ``engine`` that count.

    No warm-ups, no skipped or interrupted trials, and none that was repeated because of noise.
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
    """Return an engine's time over the reference's for each round in which both are ok.

    Disturbances longer than a round affect both, and so cancel out.
    """
    own, reference_samples = samples(run, engine), samples(run, reference)
    if not own.walls_s or not reference_samples.walls_s:
        return []
    below = {trial.round: trial.wall_s for trial in reference_samples.ok if trial.wall_s}
    return [
        trial.wall_s / below[trial.round]
        for trial in own.ok
        if trial.wall_s is not None and trial.round in below
    ]


def _engine_figures(run: Run, engine: str, reference: str | None) -> EngineFigures:
    """Compute one engine's figures, and its ratios unless it is the reference itself."""
    own = samples(run, engine)
    reference_samples = Samples(()) if reference in {None, engine} else samples(run, reference)
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
        speed=ratio(reference_samples.walls_s, own.walls_s),
        speed_at_least=_at_least(reference_samples.at_least_s, wall_s),
        memory=ratio(own.peaks_bytes, reference_samples.peaks_bytes),
        vs_floor=ratio(own.walls_s, floor.walls_s),
        vs_floor_at_least=_at_least(own.at_least_s, summarize(floor.walls_s)),
    )


def _rows_per_s(own: Samples, wall_s: Summary | None) -> float | None:
    """Return the rows restored per second, at the median time."""
    if wall_s is None or wall_s.median <= 0:
        return None
    return statistics.median(trial.restored for trial in own.ok) / wall_s.median


def success_of(run: Run, own: Samples) -> Success | None:
    """Sum the restored rows; a trial in which nothing could be counted restored none."""
    restorable = max((trial.expected for trial in run.trials), default=0)
    if not own.trials or not restorable:
        return None
    return Success(sum(trial.restored for trial in own.trials), restorable * len(own.trials))


def _at_least(bound_s: float | None, wall_s: Summary | None) -> float | None:
    """Return the lower bound of a ratio of times; None if it is not above 1."""
    if bound_s is None or wall_s is None or wall_s.median <= 0:
        return None
    at_least = bound_s / wall_s.median
    return at_least if at_least > 1 else None
