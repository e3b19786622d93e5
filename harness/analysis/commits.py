"""Judges two versions of an engine that ran in one run; pure: a run in, a judgement out."""

from __future__ import annotations

import enum
import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.figures import cpu_s, in_rounds, peak_bytes, samples, wall_s
from harness.analysis.sequential import Change, Plan, Series, is_settled, look
from harness.analysis.verdicts import Verdict
from harness.model.record import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.model.record import Run, Trial

# The roles of the two versions; an engine is called ``NAME@ROLE``.
BASE, HEAD = "base", "head"

# The parameter of a run that records the two commits. Such a run is no session of the history.
COMMITS = "commits"

_NOT_TRIED = frozenset({Status.SKIPPED, Status.INTERRUPTED})


class Measure(enum.Enum):
    """A measure whose rounds are compared. The CPU time is that of the engine's processes."""

    TIME = "time"
    CPU = "CPU time"
    MEMORY = "peak RSS"


FIGURES = {Measure.TIME: wall_s, Measure.CPU: cpu_s, Measure.MEMORY: peak_bytes}


@dataclass(frozen=True, slots=True)
class Loss:
    """A trial of the newer version that restored less than that of the older in the same round."""

    engine: str
    round: int
    is_warmup: bool
    before: Trial
    after: Trial


@dataclass(frozen=True, slots=True)
class CommitsJudgement:
    """The judgement on two versions.

    ``changes`` are those of each engine and measure after ``rounds`` rounds; ``failed`` names the
    engines that are ok in no round of both versions, so that nothing of them is compared, and
    ``broken`` those of them that are ok in no round of the newer version.
    """

    rounds: int
    plan: Plan
    changes: Mapping[tuple[str, Measure], Change]
    losses: tuple[Loss, ...]
    failed: tuple[str, ...]
    broken: tuple[str, ...]

    @property
    def worse(self) -> tuple[tuple[str, Measure], ...]:
        """Return the measures that got worse."""
        return self._keys(Verdict.HIGHER)

    @property
    def inconclusive(self) -> tuple[tuple[str, Measure], ...]:
        """Return the measures that the rounds do not settle."""
        return self._keys(Verdict.INCONCLUSIVE)

    @property
    def is_worse(self) -> bool:
        """Return whether anything got worse."""
        return bool(self.losses or self.worse)

    def _keys(self, verdict: Verdict) -> tuple[tuple[str, Measure], ...]:
        return tuple(key for key, change in self.changes.items() if change.verdict is verdict)


@dataclass(frozen=True, slots=True)
class CommitsTest:
    """What is judged: the engines, the smallest increase of each measure, and the looks."""

    engines: tuple[str, ...]
    limits: Mapping[tuple[str, Measure], float]
    plan: Plan

    def judge(self, run: Run) -> CommitsJudgement:
        """Judge the complete rounds of a run."""
        rounds = completed_rounds(run)
        series = {
            (engine, measure): found
            for engine, measure in itertools.product(self.engines, Measure)
            if (found := self._series(run, engine, measure, rounds)).after
        }
        measured = {engine for engine, _ in series}
        failed = tuple(engine for engine in self.engines if engine not in measured)
        return CommitsJudgement(
            rounds=rounds,
            plan=self.plan,
            changes=look(series, self.plan.level),
            losses=tuple(itertools.chain(*(_losses(run, each) for each in self.engines))),
            failed=failed,
            broken=tuple(each for each in failed if not samples(run, f"{each}@{HEAD}").ok),
        )

    def rounds_wanted(self, run: Run) -> int:
        """Return how many rounds a run shall have: none after a loss, else up to the next look."""
        rounds = completed_rounds(run)
        if any(_losses(run, engine) for engine in self.engines):
            return rounds
        looks = self.plan.looks
        following = next((each for each in looks if each > rounds), rounds)
        if rounds in looks and is_settled(self.judge(run).changes):
            return rounds
        return following

    def _series(self, run: Run, engine: str, measure: Measure, rounds: int) -> Series:
        """Return the figures of the complete rounds in which both versions are ok."""
        after, before = in_rounds(
            run, f"{engine}@{HEAD}", f"{engine}@{BASE}", FIGURES[measure], rounds
        )
        return Series(before, after, self.limits[engine, measure])


def completed_rounds(run: Run) -> int:
    """Return the number of rounds in which each engine of the run has been tried."""
    engines = run.parameters.get("engines")
    count = len(engines) if isinstance(engines, list) else 0
    tried = Counter(
        trial.round
        for trial in run.trials
        if not (trial.warmup or trial.repeated) and trial.status is not Status.INTERRUPTED
    )
    return sum(number == count for number in tried.values())


def _pairs(run: Run, engine: str) -> list[tuple[Trial, Trial]]:
    """Return the trials of both versions, round by round, warm-ups first."""
    tried = {
        (trial.engine, trial.warmup, trial.round): trial
        for trial in run.trials
        if not trial.repeated and trial.status not in _NOT_TRIED
    }
    rounds = sorted({(not warmup, number) for _, warmup, number in tried})
    return [
        (
            tried[f"{engine}@{BASE}", not measured, number],
            tried[f"{engine}@{HEAD}", not measured, number],
        )
        for measured, number in rounds
        if (f"{engine}@{BASE}", not measured, number) in tried
        and (f"{engine}@{HEAD}", not measured, number) in tried
    ]


def _losses(run: Run, engine: str) -> list[Loss]:
    """Return the rounds in which the newer version restored less, or is no longer ok."""
    return [
        Loss(engine, before.round, before.warmup, before, after)
        for before, after in _pairs(run, engine)
        if after.restored < before.restored
        or (before.status is Status.OK and after.status is not Status.OK)
    ]
