"""``python -m harness compare``: compares two runs, or two files of pytest-benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis.compare import Basis, compare
from harness.cli.history import FORMATS, add_results, open_index
from harness.cli.output import add_format, show, write
from harness.cli.pytest_files import are_files, compare_files
from harness.history.store import choose, read
from harness.model.errors import ExitCode, InputError
from harness.report import rows as export
from harness.report.compare import compare_report

if TYPE_CHECKING:
    import argparse

    from harness.history.index import Entry

_RUNS_COMPARED = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``compare``."""
    parser.add_argument(
        "ids",
        nargs="*",
        metavar="RUN",
        help="before and after: the starts of their ids or files, or latest (default the newest "
        "two); one alone is compared with the latest; or two files of pytest-benchmark",
    )
    parser.add_argument(
        "--times",
        action="store_true",
        help="fail if times cannot be compared, since dataset, machine or server differ",
    )
    add_results(parser)
    add_format(parser, FORMATS)


def run(given: argparse.Namespace) -> ExitCode:
    """Compare two runs, or two files of pytest-benchmark if files are named.

    Raises:
        HarnessError: there are no such runs, or their times cannot be compared as was asked.
    """
    if are_files(given.ids):
        return compare_files(given.ids, given.format)
    with open_index(given.results) as index:
        before, after = _chosen(index.entries(measured=True), given.ids)
    found = compare(read(Path(before.path)), read(Path(after.path)))
    if given.times and found.basis is not Basis.TIMES:
        advice = (
            "measure both on this machine: python -m harness compare-commits"
            if found.basis is Basis.MEMORY
            else "restore the same dataset with both"
        )
        raise InputError(
            f"the times of runs {before.id} and {after.id} cannot be compared: dataset, machine "
            f"or server differ; {advice}"
        )
    if given.format in export.WRITERS:
        write(export.WRITERS[given.format](export.compared(found)))
    else:
        show(compare_report(found), given.format)
    return ExitCode.OK


def _chosen(entries: list[Entry], ids: list[str]) -> tuple[Entry, Entry]:
    """Return the two runs that were named, or the newest two."""
    if len(ids) > _RUNS_COMPARED:
        raise InputError(f"{len(ids)} runs were named; name two, one or none")
    if len(entries) < _RUNS_COMPARED:
        held = "one run" if entries else "no run"
        raise InputError(
            f"compare needs two runs, and the history holds {held}; make another with bench"
        )
    before = choose(entries, ids[0]) if ids else entries[-2]
    after = choose(entries, ids[1]) if len(ids) == _RUNS_COMPARED else entries[-1]
    if before.id == after.id:
        raise InputError(f"both are run {before.id}; name two different ones")
    return before, after
