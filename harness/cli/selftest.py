"""The command ``selftest``: its arguments, and which checks they come to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.history.store import PUBLISHED, History
from harness.model.errors import ExitCode
from harness.selftest.checks import Check, report
from harness.selftest.simulate import pools, simulate

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from harness.report.blocks import Block

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
    add("--no-trials", action="store_true", help="simulate only, which takes a second")
    add(
        "--no-times",
        action="store_true",
        help="leave out the two trials whose times a busy machine can hide or feign: of an engine "
        "beside itself, and of one that is slower",
    )
    add(
        "--results",
        type=Path,
        default=PUBLISHED,
        metavar="DIR",
        help="the recorded trials to draw from (default the published ones, %(default)s)",
    )


def run(
    given: argparse.Namespace,
    show: Callable[[tuple[Block, ...]], None],
    announce: Callable[[str], None],
) -> ExitCode:
    """Make the checks and show them; 0 where all hold, else 1.

    Raises:
        HarnessError: trials could not be made.
    """
    checks: tuple[Check, ...] = simulate(pools(History(given.results).runs().runs))
    if not given.no_trials:
        # With them come psycopg and all that restores.
        from harness.bench.options import BenchOptions  # noqa: PLC0415
        from harness.selftest import real  # noqa: PLC0415

        options = BenchOptions(engines=(), rows=given.rows, server=given.server)
        checks = (*checks, *real.try_all(options, announce, times=not given.no_times))
    show(report(checks))
    return ExitCode.OK if all(check.passed for check in checks) else ExitCode.FAILED
