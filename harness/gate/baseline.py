"""Which runs another is judged against; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.gate.limits import ROLLING
from harness.model.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.history.accepted import AcceptedChange
    from harness.model.record import Run

# Set on a run that was made to confirm an alarm: it is no run of its own.
CONFIRMS = "confirms"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a run is judged against: some runs, oldest first, all that are like it, and why not."""

    runs: tuple[Run, ...]
    comparable: tuple[Run, ...]
    accepted: tuple[AcceptedChange, ...]

    def of(self, engine: str) -> tuple[Run, ...]:
        """Return the runs that an engine is judged against: none before a change that was meant."""
        change = self.accepted_change(engine)
        if change is None:
            return self.runs
        since = tuple(run for run in self.runs if run.started_at >= change.started_at)
        return since or tuple(run for run in self.comparable if run.id == change.run)

    def history(self, engine: str) -> tuple[Run, ...]:
        """Return all runs like the one that is judged, since the last change that was meant."""
        change = self.accepted_change(engine)
        start = "" if change is None else change.started_at
        return tuple(run for run in self.comparable if run.started_at >= start)

    def accepted_change(self, engine: str) -> AcceptedChange | None:
        """Return the newest change of an engine that was meant."""
        covering = [each for each in self.accepted if each.covers(engine)]
        return max(covering, key=lambda each: each.started_at, default=None)


def candidates(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Return the runs that can be judged or judge: finished, and made for their own sake."""
    measured = (run for run in runs if run.finished_at and run.chaos is None)
    return tuple(run for run in measured if not run.parameters.get(CONFIRMS))


def choose(
    runs: Sequence[Run], of: Run, accepted: Sequence[AcceptedChange], named: str, count: int
) -> Baseline:
    """Return what ``of`` is judged against.

    Args:
        runs: the history, oldest first.
        of: the run that is judged.
        accepted: changes that were meant, and names.
        named: ``rolling``, a name that was given with ``accept --as``, the start of a run's id or
            of a commit.
        count: how many runs a rolling baseline has at most.

    Raises:
        InputError: nothing is so named, or it restored something else.
    """
    earlier = [run for run in candidates(runs) if run.started_at < of.started_at]
    comparable = tuple(run for run in earlier if _workload(run) == _workload(of))
    # What is accepted later than this run was made says nothing of it yet.
    known = tuple(each for each in accepted if each.started_at <= of.started_at)
    if named == ROLLING:
        return Baseline(comparable[-count:], comparable, known)
    names = {each.name: each.run for each in accepted if each.name}
    run_id = names.get(named, named)
    chosen = [run for run in candidates(runs) if run.id.startswith(run_id) and run.id != of.id]
    if named not in names and not chosen:
        commits = [(run, run.environment.commit or "") for run in candidates(runs)]
        chosen = [run for run, commit in commits if commit.startswith(named) and run.id != of.id]
    if not chosen:
        raise InputError(
            f"--baseline {named}: no other finished run has that name, id or commit; "
            f"write {ROLLING}, or name one with: python -m harness accept RUN --as NAME --why TEXT"
        )
    fitting = tuple(run for run in chosen if _workload(run) == _workload(of))
    if not fitting:
        raise InputError(
            f"--baseline {named}: its runs restored another dataset or with other --jobs than run "
            f"{of.id}; figures of different work cannot be judged by each other"
        )
    return Baseline(fitting[-count:], comparable, known)


def _workload(run: Run) -> tuple[object, ...]:
    """Return what must be equal for figures to be of the same work."""
    return run.dataset, run.parameters.get("jobs")
