"""``python -m harness history-fetch``: copies the recorded runs of a branch into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.history_push import add_branch
from harness.cli.output import say
from harness.history.branch import fetch
from harness.model.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``history-fetch``."""
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="where to copy them; other commands: --results DIR"
    )
    add_branch(parser)


def run(given: argparse.Namespace) -> ExitCode:
    """Copy the runs of the branch, and say which of its files are none.

    Raises:
        HarnessError: the branch cannot be read, or the folder cannot be written.
    """
    done = fetch(given.folder, given.remote, given.branch)
    for line in done.left_out:
        say(f"warning: {line}; it was left out")
    say(f"branch {given.branch}: {len(done.written)} runs copied to {given.folder}")
    return ExitCode.OK
