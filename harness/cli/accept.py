"""``python -m harness accept``: records that a change of figures is intended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.cli.gate import accepted_folder, add_run, choose_run
from harness.cli.history import add_results, open_index
from harness.cli.output import say
from harness.gate.limits import ROLLING
from harness.history import accepted
from harness.model.errors import ExitCode, InputError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``accept``."""
    add = parser.add_argument
    add_run(parser, "the run whose figures are intended (default the latest)")
    add("--why", required=True, metavar="TEXT", help="the reason, for later readers")
    add(
        "--engine",
        action="append",
        metavar="NAME",
        help="the engine whose figures changed; repeat it for several (default all)",
    )
    add_results(parser)
    add("--as", dest="name", metavar="NAME", help="a name for the run, as a baseline")


def run(given: argparse.Namespace) -> ExitCode:
    """Record that a run's figures are intended.

    Raises:
        HarnessError: there is no such run, or the record cannot be written.
    """
    if not given.why.strip():
        raise InputError("--why is empty; say why the change is intended")
    if given.name == ROLLING:
        raise InputError(f"--as {ROLLING} means the last runs; choose another name")
    with open_index(given.results) as index:
        head = choose_run(index, given.run_id)
    measured = {trial.engine for trial in head.trials}
    for engine in given.engine or ():
        if engine not in measured:
            raise InputError(f"--engine {engine}: run {head.id} has only {', '.join(measured)}")
    change = accepted.AcceptedChange(
        run=head.id,
        started_at=head.started_at,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        why=given.why.strip(),
        engines=given.engine,
        name=given.name,
        commit=head.environment.commit,
    )
    path = accepted.add(accepted_folder(given.results), change)
    say(f"accepted run {head.id} in {path}; commit that file if the gate runs elsewhere too")
    return ExitCode.OK
