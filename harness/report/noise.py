"""Reports a run's noise: disturbed trials, whether they were repeated, and outliers."""

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

# The report lists so many; the record has them all.
_NAMED = 5


def noise_report(run_figures: RunFigures) -> tuple[Bullets, ...]:
    """List the disturbances of a run and its outliers; empty if it was quiet."""
    lines = [*_noisy(run_figures), *_outliers(run_figures)]
    more = len(lines) - _NAMED
    named = (*lines[:_NAMED], *((f"{more} more",) if more > 0 else ()))
    return (Bullets("Noise:", named),) if lines else ()


def _noisy(run_figures: RunFigures) -> Iterator[str]:
    """Yield a line for each disturbed trial that is no warm-up."""
    for trial in run_figures.run.trials:
        found = disturbances(trial.noise, run_figures.run.environment.cores)
        if found and not trial.warmup:
            again = "; repeated" if trial.repeated else ""
            yield f"{_which(trial)}: {', '.join(found)}{again}"


def _outliers(run_figures: RunFigures) -> Iterator[str]:
    """Yield a line for each time far from the others of its engine; it stays in the statistics."""
    for each in run_figures.engines:
        timed = [trial for trial in run_figures.samples(each.engine).ok if trial.wall_s is not None]
        walls_s = [trial.wall_s or 0.0 for trial in timed]
        for place in outliers(walls_s, MIN_EFFECT):
            yield f"{_which(timed[place])}: {seconds(walls_s[place])} is an outlier, and is kept"


def _which(trial: Trial) -> str:
    return f"{trial.engine}, round {trial.round}"
