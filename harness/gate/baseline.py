"""Chooses the runs that another is judged against; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.commits import COMMITS
from harness.gate.limits import ROLLING
from harness.model.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.history.accepted import AcceptedChange
    from harness.model.record import Run

# Sessions further back say little of the machine as it is now.
MAX_SESSIONS = 30


@dataclass(frozen=True, slots=True)
class Baseline:
    """The runs that another is judged against, all of the same work, and accepted changes."""

    runs: tuple[Run, ...]
    comparable: tuple[Run, ...]
    accepted: tuple[AcceptedChange, ...]

    def runs_for(self, engine: str) -> tuple[Run, ...]:
        """Return the runs that an engine is judged against: none before an accepted change."""
        change = self.accepted_change(engine)
        if change is None:
            return self.runs
        since = tuple(run for run in self.runs if run.started_at >= change.started_at)
        return since or tuple(run for run in self.comparable if run.id == change.run)

    @property
    def history(self) -> tuple[Run, ...]:
        """Return the last runs of the same work, from which the spread of sessions is known."""
        return self.comparable[-MAX_SESSIONS:]

    def accepted_change(self, engine: str) -> AcceptedChange | None:
        """Return the newest accepted change of an engine."""
        covering = [each for each in self.accepted if each.covers(engine)]
        return max(covering, key=lambda each: each.started_at, default=None)


def candidates(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Return the runs that can be judged or be a baseline: finished, of one version of the code."""
    measured = (run for run in runs if run.finished_at and run.chaos is None)
    return tuple(run for run in measured if COMMITS not in run.parameters)


def choose_baseline(
    runs: Sequence[Run], head: Run, accepted: Sequence[AcceptedChange], named: str, count: int
) -> Baseline:
    """Return the baseline of ``head``.

    Args:
        runs: the history, oldest first.
        head: the run to judge.
        accepted: accepted changes, and names of runs.
        named: ``rolling``, a name that was given with ``accept --as``, the start of a run's id or
            of a commit.
        count: maximum number of runs in a rolling baseline.

    Raises:
        InputError: no run has that name, or it did other work.
    """
    earlier = [run for run in candidates(runs) if run.started_at < head.started_at]
    comparable = tuple(run for run in earlier if _workload(run) == _workload(head))
    # Changes accepted after this run started do not apply to it.
    known = tuple(each for each in accepted if each.started_at <= head.started_at)
    if named == ROLLING:
        return Baseline(comparable[-count:], comparable, known)
    names = {each.name: each.run for each in accepted if each.name}
    run_id = names.get(named, named)
    chosen = [run for run in candidates(runs) if run.id.startswith(run_id) and run.id != head.id]
    if named not in names and not chosen:
        commits = [(run, run.environment.commit or "") for run in candidates(runs)]
        chosen = [run for run, commit in commits if commit.startswith(named) and run.id != head.id]
    if not chosen:
        raise InputError(
            f"--baseline {named}: no other finished run has that name, id or commit; "
            f"write {ROLLING}, or name one with: python -m harness accept RUN --as NAME --why TEXT"
        )
    fitting = tuple(run for run in chosen if _workload(run) == _workload(head))
    if not fitting:
        raise InputError(
            f"--baseline {named}: its runs differ from run {head.id} in dataset, --jobs or "
            "--server-profile; name a baseline of the same work"
        )
    return Baseline(fitting[-count:], comparable, known)


def _workload(run: Run) -> tuple[object, ...]:
    """Return what identifies the work of a run, so that figures can be compared."""
    return run.dataset, run.parameters.get("jobs"), run.server.profile_name
