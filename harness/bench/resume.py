"""Goes on with a run that was cut off: which one, and whether it still can be the same run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from harness.analysis.compare import same_machine
from harness.bench.schedule import RESUMED, resumed_at
from harness.history.store import choose, open_history
from harness.model.errors import InputError
from harness.model.record import Status

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model.record import Dataset, Environment, Run, Server


def cut_off(results: Path | None, name: str) -> Run:
    """Return the run that is named, or the latest of those that were cut off.

    Raises:
        InputError: there is none.
    """
    runs = [run for run in open_history(results).runs().runs if run.finished_at is None]
    if not runs:
        raise InputError("--resume: no run was cut off; begin one without it")
    return choose(runs, name)


def resumed(
    run: Run, *, dataset: Dataset, server: Server, environment: Environment, now: str
) -> Run:
    """Return a run as it goes on: what was interrupted is made again.

    Args:
        run: as it was cut off.
        dataset: what is to be restored now.
        server: what it is restored into now.
        environment: the machine and the code that are here now.
        now: this instant, as records keep it.

    Raises:
        InputError: one of them is another, so that it would not be one run any more.
    """
    here = msgspec.structs.replace(run, server=server, environment=environment)
    was, is_ = run.environment, environment
    differing = [
        *(["the dataset"] if dataset != run.dataset else []),
        *(["the machine or the server"] if not same_machine(run, here) else []),
        *(["the code"] if (was.commit, was.dirty) != (is_.commit, is_.dirty) else []),
        *(
            ["Python or a package"]
            if (was.python, was.packages) != (is_.python, is_.packages)
            else []
        ),
    ]
    if differing:
        raise InputError(
            f"--resume {run.id}: {' and '.join(differing)} changed since it was cut off, and a run "
            "is of one piece; begin a new one"
        )
    instants = [*resumed_at(run), now]
    return msgspec.structs.replace(
        run,
        parameters={**run.parameters, RESUMED: instants},
        trials=tuple(
            msgspec.structs.replace(trial, repeated=True)
            if trial.status is Status.INTERRUPTED
            else trial
            for trial in run.trials
        ),
    )
