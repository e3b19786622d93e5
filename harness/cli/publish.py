"""``python -m harness publish``: copies runs into a folder that is kept in git."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.bench.matrix import MATRIX
from harness.cli.output import write
from harness.history.publish import published_copy
from harness.history.store import History, choose, open_history
from harness.model.errors import ExitCode, InputError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``publish``."""
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="a run, or a matrix for all of its runs")
    add("--out", type=Path, required=True, metavar="DIR", help="such as results/2024-01-01")
    add("--results", type=Path, metavar="DIR", help="where the runs are recorded")


def run(given: argparse.Namespace) -> int:
    """Copy finished runs, each without the curves and reports of all but its median trials.

    Raises:
        HarnessError: there is no such run, it is unfinished, or a copy cannot be written.
    """
    runs = open_history(given.results).runs().runs
    chosen = []
    for name in given.runs:
        of_matrix = [each for each in runs if each.parameters.get(MATRIX) == name]
        chosen += of_matrix or [choose(runs, name)]
    for each in chosen:
        if each.finished_at is None:
            raise InputError(
                f"run {each.id} is unfinished; finish it with --resume, or name others"
            )
    for each in chosen:
        write(f"{History(given.out).write(published_copy(each))}\n")
    return ExitCode.OK
