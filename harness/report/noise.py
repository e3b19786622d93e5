"""What is said of a run's noise: which trials were made again and why, and which stand out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.noise import disturbances
from harness.analysis.stats import outliers
from harness.analysis.verdicts import MIN_EFFECT
from harness.report.blocks import Bullets
from harness.report.units import seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.analysis.figures import RunFigures
    from harness.model.record import Trial

# So many are named; the record has them all.
_NAMED = 5


def noise_report(of: RunFigures) -> tuple[Bullets, ...]:
    """Say what disturbed a run, and which of its figures stand out; nothing where it was quiet."""
    lines = [*_noisy(of), *_outliers(of)]
    more = len(lines) - _NAMED
    named = (*lines[:_NAMED], *((f"{more} more",) if more > 0 else ()))
    return (Bullets("Noise:", named),) if lines else ()


def _noisy(of: RunFigures) -> Iterator[str]:
    """Name the trials that something else disturbed, less warm-ups."""
    for trial in of.run.trials:
        found = disturbances(trial.noise, of.run.environment.cores)
        if found and not trial.warmup:
            again = "; made again" if trial.repeated else ""
            yield f"{_which(trial)}: {', '.join(found)}{again}"


def _outliers(of: RunFigures) -> Iterator[str]:
    """Name the times that lie far from the others of their engine; they count all the same."""
    for each in of.engines:
        timed = [trial for trial in of.samples(each.engine).ok if trial.wall_s is not None]
        walls_s = [trial.wall_s or 0.0 for trial in timed]
        for place in outliers(walls_s, MIN_EFFECT):
            yield f"{_which(timed[place])}: {seconds(walls_s[place])} stands out; it counts"


def _which(trial: Trial) -> str:
    return f"{trial.engine}, round {trial.round}"
