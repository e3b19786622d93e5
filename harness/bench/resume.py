"""Resumes an unfinished run: finds it, and checks that the conditions are unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from harness.analysis.commits import COMMITS
from harness.analysis.compare import same_machine
from harness.bench.schedule import RESUMED, resumed_at
from harness.history.store import choose, open_history
from harness.model.errors import InputError
from harness.model.record import Status

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model.record import Dataset, Environment, Run, Server


def unfinished_run(results: Path | None, name: str) -> Run:
    """Return the unfinished run that is named, or the latest one.

    Raises:
        InputError: there is none.
    """
    runs = [
        run
        for run in open_history(results).runs().runs
        if run.finished_at is None and COMMITS not in run.parameters  # whose checkouts are gone
    ]
    if not runs:
        raise InputError("--resume: there is no unfinished run; start one without it")
    return choose(runs, name)


def resumed_run(
    run: Run, *, dataset: Dataset, server: Server, environment: Environment, now: str
) -> Run:
    """Return the run to resume; its interrupted trials are repeated.

    Args:
        run: the unfinished run.
        dataset: the dataset as it is now.
        server: the server as it is now.
        environment: the machine and the code as they are now.
        now: the current time, as recorded.

    Raises:
        InputError: one of them has changed, so that the trials would not be comparable.
    """
    here = msgspec.structs.replace(run, server=server, environment=environment)
    was, is_ = run.environment, environment
    differing = [
        *(["the dataset"] if dataset != run.dataset else []),
        *(["the machine or the server"] if not same_machine(run, here) else []),
        *(["the code"] if _code(was) != _code(is_) else []),
        *(
            ["Python or a package"]
            if (was.python, was.packages) != (is_.python, is_.packages)
            else []
        ),
    ]
    if differing:
        raise InputError(
            f"--resume {run.id}: {' and '.join(differing)} changed since, and a run "
            "needs equal conditions; start a new run"
        )
    if is_.dirty and is_.tree is None:
        raise InputError(
            f"--resume {run.id}: the code has uncommitted changes, which the run does not record, "
            "so they may have changed since; start a new run"
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


def _code(of: Environment) -> tuple[object, ...]:
    return of.commit, of.dirty, of.tree
