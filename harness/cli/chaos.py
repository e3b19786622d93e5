"""``python -m harness chaos``: injects faults; its arguments, and the options that they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.chaos.campaign import exit_code, run_campaign
from harness.chaos.faults import KINDS, default_kinds
from harness.chaos.options import (
    DEFAULT_JOBS,
    DEFAULT_KILLS,
    DEFAULT_ROWS,
    EXECUTORS,
    ChaosOptions,
    resuming,
)
from harness.cli.history import run_report
from harness.cli.output import add_format, say, show_report
from harness.cli.values import row_count
from harness.engines import registry as engines
from harness.report.data import chaos_data

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``chaos``."""
    add = parser.add_argument
    add(
        "--rows",
        type=row_count,
        default=DEFAULT_ROWS,
        metavar="N",
        help="rows (default %(default)s)",
    )
    add(
        "--kills",
        type=int,
        default=DEFAULT_KILLS,
        metavar="K",
        help="faults to inject (default %(default)s)",
    )
    add("--seed", type=int, default=0, metavar="S", help="seed of the faults (default %(default)s)")
    add(
        "--faults",
        default="realistic",
        metavar="PROFILE",
        help="damage of the backup: none or realistic (default %(default)s)",
    )
    add(
        "--kinds",
        metavar="K,...",
        help=f"kinds of fault to choose from: {', '.join(KINDS)} (default all that can occur; "
        "those of a store only with --executor dask)",
    )
    add(
        "--executor",
        choices=EXECUTORS,
        default="threads",
        help="what loads: the restorer's threads, or a Dask cluster of the campaign, whose workers "
        "and scheduler are killed, too (default %(default)s)",
    )
    add(
        "--engine-command",
        metavar="NAME=COMMAND",
        help="the engine to test, which resumes when it is called again: a command line with "
        "{backup}, {dsn} and {rejects} (default our restorer with --clean --resume)",
    )
    add(
        "--jobs",
        type=int,
        default=DEFAULT_JOBS,
        metavar="N",
        help="connections of the restorer (default %(default)s)",
    )
    add(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="keep the logs and rejects of each cycle with findings",
    )
    add(
        "--results",
        type=Path,
        metavar="DIR",
        help="where the run is recorded (default results/local)",
    )
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Run a campaign and show what it found."""
    made = run_campaign(from_arguments(options), announce=say)
    show_report(made, run_report, chaos_data, options.format)
    if made.finished_at is None:
        say(f"stopped: the findings so far are kept as run {made.id}")
    return exit_code(made)


def from_arguments(given: argparse.Namespace) -> ChaosOptions:
    """Return the options that the parsed arguments make.

    Raises:
        InputError: a value is invalid; the message names the argument.
    """
    return ChaosOptions(
        rows=given.rows,
        kills=given.kills,
        seed=given.seed,
        faults=given.faults,
        kinds=default_kinds(given.executor)
        if given.kinds is None
        else tuple(filter(None, given.kinds.split(","))),
        engine=engines.command(given.engine_command)
        if given.engine_command
        else resuming(given.executor),
        executor=given.executor,
        jobs=given.jobs,
        keep=given.keep,
        results=given.results,
    )
