"""``python -m harness history-push``: adds recorded runs to a branch of a git repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.output import say, write
from harness.history.branch import BRANCH, REMOTE, push
from harness.history.store import History, read
from harness.model.errors import ExitCode, HistoryError, InputError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``history-push``."""
    parser.add_argument(
        "--results", type=Path, required=True, metavar="DIR", help="folder of the runs to add"
    )
    add_branch(parser)


def add_branch(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name a branch of a repository."""
    add = parser.add_argument
    add(
        "--remote",
        default=REMOTE,
        metavar="NAME|URL",
        help="a remote of this checkout, or the address of a repository (default %(default)s)",
    )
    add("--branch", default=BRANCH, metavar="NAME", help="its branch (default %(default)s)")


def run(given: argparse.Namespace) -> ExitCode:
    """Push the finished runs of a folder that the branch does not have.

    Raises:
        HarnessError: there are none, or the branch cannot be read or written.
    """
    finished = [path for path in History(given.results).files() if _is_finished(path)]
    if not finished:
        raise InputError(f"--results {given.results}: there is no finished run in this folder")
    done = push(finished, given.remote, given.branch)
    for name in done.added:
        write(f"added {name}\n")
    say(f"branch {given.branch}: {len(done.added)} added, {len(done.known)} there already")
    return ExitCode.OK


def _is_finished(path: Path) -> bool:
    """Return whether a file is a finished run, and say so if it is not."""
    try:
        is_finished = read(path).finished_at is not None
    except HistoryError as error:
        say(f"warning: {path} was skipped: {error}")
        return False
    if not is_finished:
        say(f"warning: {path} was skipped: the run is unfinished; see bench --resume")
    return is_finished
