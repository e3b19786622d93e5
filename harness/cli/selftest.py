"""``python -m harness selftest``: its arguments, and the checks that they select."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cli.output import add_format, say, show_report
from harness.model.errors import ExitCode
from harness.selftest.checks import Check, report, report_data
from harness.selftest.simulate import simulate

if TYPE_CHECKING:
    import argparse

ROWS = 2000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``selftest``."""
    add = parser.add_argument
    add("--server", default="embedded", help="as for bench (default %(default)s)")
    add(
        "--rows",
        type=int,
        default=ROWS,
        metavar="N",
        help="rows of the trials (default %(default)s)",
    )
    add("--no-trials", action="store_true", help="run the simulations alone")
    add(
        "--no-times",
        action="store_true",
        help="skip the checks of times, which a busy machine can fail: an engine beside itself, "
        "and a slower one",
    )
    add_format(parser)


def run(given: argparse.Namespace) -> ExitCode:
    """Run the checks and show them; exit code 0 if all passed, else 1.

    Raises:
        HarnessError: a trial could not be run.
    """
    checks: tuple[Check, ...] = simulate()
    if not given.no_trials:
        # They import psycopg and the engines.
        from harness.bench.options import BenchOptions  # noqa: PLC0415
        from harness.selftest import real  # noqa: PLC0415

        options = BenchOptions(engines=(), rows=given.rows, server=given.server)
        checks = (*checks, *real.run_trials(options, say, times=not given.no_times))
    show_report(checks, report, report_data, given.format)
    return ExitCode.OK if all(check.passed for check in checks) else ExitCode.FAILED
