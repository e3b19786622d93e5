"""The figures of each engine in one run.

Pure: a record in, figures out; no file, no clock, no text. Only trials that are ``ok`` and no
warm-ups enter the statistics of speed and memory, so a failure can never look fast; success counts
every attempt.
"""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.paired import paired_ratio
from harness.analysis.stats import Ratio, Summary, summarize
from harness.model.record import FLOOR, REFERENCE, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model.record import Run, Trial

    Figure = Callable[[Trial], float | None]

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
    def median(self) -> Trial | None:
        """Return the ok trial with the median time, the faster of two."""
        timed = sorted((trial.wall_s, place) for place, trial in enumerate(self.ok) if trial.wall_s)
        return self.ok[timed[(len(timed) - 1) // 2][1]] if timed else None

    @property
    def shown(self) -> Trial | None:
        """Return the trial to show of them: the median one, else the first; None of none."""
        return self.median or (self.trials[0] if self.trials else None)

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
    def peaks_bytes(self) -> list[float]:
        """Return the memory peaks of the attempts that are ok."""
        return [trial.peak_bytes for trial in self.ok if trial.peak_bytes is not None]


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """The figures of one engine in a run.

    Ratios are paired: of the rounds in which both engines are ok (``analysis.paired``).
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
    """The figures of a run: its engines in the order in which they were named, its failures."""

    run: Run
    reference: str | None
    engines: tuple[EngineFigures, ...]
    failures: tuple[Trial, ...]

    def engine(self, name: str) -> EngineFigures | None:
        """Return the figures of one engine, or None if the run has no trial of it."""
        return next((each for each in self.engines if each.engine == name), None)

    def failed(self, engine: str) -> list[Trial]:
        """Return the attempts of an engine that are not ok, warm-ups among them."""
        return [
            trial
            for trial in self.failures
            if trial.engine == engine and trial.status not in NOT_ATTEMPTED
        ]

    def samples(self, engine: str) -> Samples:
        """Return the attempts behind one engine's figures."""
        return samples(self.run, engine)


def figures(run: Run, reference: str | None = REFERENCE) -> RunFigures:
    """Compute the figures of each engine, relative to ``reference`` and the floor.

    If ``reference`` is None, no ratios are computed, which take most of the time.
    """
    return RunFigures(
        run=run,
        reference=reference,
        engines=tuple(_engine_figures(run, engine, reference) for engine in engines(run)),
        failures=tuple(
            trial for trial in run.trials if trial.status is not Status.OK and not trial.repeated
        ),
    )


def engines(run: Run) -> list[str]:
    """Return the engines with trials, in the order in which they were named for the run."""
    tried = dict.fromkeys(trial.engine for trial in run.trials)
    recorded = run.parameters.get("engines")
    named = recorded if isinstance(recorded, list) else []
    return list(dict.fromkeys([*(name for name in named if name in tried), *tried]))


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


def in_rounds(
    run: Run, engine: str, other: str, figure: Figure, until: int | None = None
) -> tuple[list[float], list[float]]:
    """Return a figure of two engines in each round in which both are ok.

    Args:
        run: the run.
        engine: the one engine.
        other: the other engine.
        figure: returns the figure of a trial; a trial without it is left out.
        until: the last round; None for all.
    """
    own, others = (_by_round(run, name, figure, until) for name in (engine, other))
    common = [key for key in own if key in others]
    return [own[key] for key in common], [others[key] for key in common]


def time_ratio(run: Run, engine: str, other: str) -> Ratio | None:
    """Return the time of an engine relative to another's, from the rounds in which both are ok.

    None if timeouts hide the median of one.
    """
    if any(samples(run, name).at_least_s is not None for name in (engine, other)):
        return None
    return paired_ratio(*in_rounds(run, engine, other, wall_s))


def memory_ratio(run: Run, engine: str, other: str) -> Ratio | None:
    """Return the peak memory of an engine relative to another's, likewise."""
    return paired_ratio(*in_rounds(run, engine, other, peak_bytes))


def wall_s(trial: Trial) -> float | None:
    """Return the time of a trial."""
    return trial.wall_s


def cpu_s(trial: Trial) -> float | None:
    """Return the CPU time of a trial, of the engine's own processes."""
    if trial.user_s is None or trial.system_s is None:
        return None
    return trial.user_s + trial.system_s


def peak_bytes(trial: Trial) -> float | None:
    """Return the peak memory of a trial."""
    return trial.peak_bytes


def server_peak_bytes(trial: Trial) -> float | None:
    """Return the peak memory of the server during a trial."""
    return trial.server_peak_bytes


def total_peak_bytes(trial: Trial) -> float | None:
    """Return the largest sum of engine and server at one time of a trial."""
    return trial.total_peak_bytes


def rows_per_s(trial: Trial) -> float | None:
    """Return the rows that a trial restored per second."""
    return trial.restored / trial.wall_s if trial.wall_s else None


def restored_share(trial: Trial) -> float | None:
    """Return the share of the restorable rows that a trial restored, 0 to 1."""
    return trial.restored / trial.expected if trial.expected else None


def _by_round(
    run: Run, engine: str, figure: Figure, until: int | None
) -> dict[tuple[int, int], float]:
    """Return an engine's positive figures by round, with a count if a round is there twice."""
    seen = Counter[int]()
    found = {}
    for trial in samples(run, engine).ok:
        value = figure(trial)
        seen[trial.round] += 1
        if value is not None and value > 0 and (until is None or trial.round <= until):
            found[trial.round, seen[trial.round]] = value
    return found


def _engine_figures(run: Run, engine: str, reference: str | None) -> EngineFigures:
    """Compute one engine's figures, and its ratios unless it is the reference itself."""
    own = samples(run, engine)
    has_reference = reference is not None and engine != reference
    has_floor = reference is not None and engine != FLOOR
    reference_samples = samples(run, reference) if reference and has_reference else Samples(())
    floor = samples(run, FLOOR) if has_floor else Samples(())
    median = summarize(own.walls_s)
    return EngineFigures(
        engine=engine,
        attempted=len(own.trials),
        ok=len(own.ok),
        wall_s=median,
        at_least_s=own.at_least_s,
        rows_per_s=_rows_per_s(own, median),
        peak_bytes=summarize(own.peaks_bytes),
        success=success_of(run, own),
        speed=time_ratio(run, reference, engine) if reference and has_reference else None,
        speed_at_least=_at_least(reference_samples.at_least_s, median),
        memory=memory_ratio(run, engine, reference) if reference and has_reference else None,
        vs_floor=time_ratio(run, engine, FLOOR) if has_floor else None,
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
