"""Makes a published copy of a run: small enough for git, with all that a report needs."""

from __future__ import annotations

import msgspec

from harness.analysis.figures import engines, samples
from harness.model.record import NO_REPORT, Run, Trial


def published_copy(run: Run) -> Run:
    """Return a run with curves and reports of one trial of each engine alone: the median one.

    Of an engine without a trial that is ok, the first one keeps them.
    """
    kept = []
    for engine in engines(run):
        shown = samples(run, engine).shown
        kept += [] if shown is None else [shown]
    whole = {id(trial) for trial in kept}
    trials = tuple(trial if id(trial) in whole else _thin(trial) for trial in run.trials)
    return msgspec.structs.replace(run, trials=trials)


def _thin(trial: Trial) -> Trial:
    return msgspec.structs.replace(
        trial,
        curve=None,
        server_curve=None,
        cpu_curve=None,
        server_cpu_curve=None,
        sent_curve=None,
        received_curve=None,
        report=NO_REPORT,
    )
