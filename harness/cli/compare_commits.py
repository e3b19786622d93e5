"""``python -m harness compare-commits``: measures two commits in one run, and judges them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from harness.analysis.sequential import DEFAULT_MAX_ROUNDS, DEFAULT_ROUNDS, Plan
from harness.cli.bench import add_measurement, from_arguments
from harness.cli.output import add_format, say, show, write
from harness.gate.commits import BESIDE, CommitsOptions, compare_commits, exit_code
from harness.gate.limits import load
from harness.model.errors import InputError
from harness.report.commits import commits_data, commits_report
from harness.report.rows import to_json

if TYPE_CHECKING:
    import argparse

    from harness.gate.commits import ComparedCommits
    from harness.model.errors import ExitCode

DEFAULT_ENGINE = "restore"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``compare-commits``."""
    add = parser.add_argument
    add("base", metavar="BASE", help="the commit before")
    add(
        "head",
        nargs="?",
        default=".",
        metavar="HEAD",
        help="the commit after; . or worktree (default) is the working tree as it is",
    )
    add_measured(parser)
    add_format(parser)


def add_measured(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say what is compared and measured."""
    _add_comparison(parser)
    add_measurement(parser, rounds=f"{DEFAULT_ROUNDS}, then twice as many each time")


def _add_comparison(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("comparison").add_argument
    add(
        "--engine",
        action="append",
        metavar="NAME",
        help=f"an engine whose two versions are compared; repeat it for several (default "
        f"{DEFAULT_ENGINE})",
    )
    add(
        "--max-rounds",
        type=int,
        metavar="N",
        help="rounds at most, if fewer are inconclusive (default the larger of --rounds and "
        f"{DEFAULT_MAX_ROUNDS})",
    )
    add(
        "--time-limit",
        type=float,
        metavar="SHARE",
        help="the smallest increase of time and CPU time that matters, such as 0.05 (default that "
        "of [tool.harness.gate])",
    )
    add(
        "--no-yardsticks",
        action="store_true",
        help=f"do not run {' and '.join(BESIDE)} beside them",
    )


def run(given: argparse.Namespace) -> ExitCode:
    """Compare two commits; exit code 4 if the second is worse.

    Raises:
        HarnessError: a commit is unknown or cannot be built, an argument is invalid, or the run
            failed.
    """
    return compare(given, given.base, given.head)


def compare(given: argparse.Namespace, base: str, head: str) -> ExitCode:
    """Compare two commits with the arguments of ``add_measured`` and the format."""
    settings = load()
    if given.time_limit is not None:
        if not given.time_limit >= 0:
            raise InputError(f"--time-limit {given.time_limit:g} is below 0; write 0.05 for 5%")
        settings = msgspec.structs.replace(settings, time=given.time_limit)
    rounds = DEFAULT_ROUNDS if given.rounds is None else given.rounds
    most = max(rounds, DEFAULT_MAX_ROUNDS) if given.max_rounds is None else given.max_rounds
    options = CommitsOptions(
        base=base,
        head=head,
        engines=tuple(given.engine or (DEFAULT_ENGINE,)),
        yardsticks=() if given.no_yardsticks else BESIDE,
        plan=Plan(rounds, most),
        settings=settings,
    )
    compared = compare_commits(options, from_arguments(given, ()), say)
    _show(compared, given.format)
    return exit_code(compared)


def _show(compared: ComparedCommits, form: str) -> None:
    """Print the judgement on two commits."""
    parts = compared.run, compared.judgement, compared.titles, compared.warnings
    if form == "json":
        write(to_json(commits_data(*parts)))
    else:
        show(commits_report(*parts), form)
    if compared.run.finished_at is None:
        say(f"stopped: the trials so far are kept as run {compared.run.id}")
