"""How ``bench`` is called: its arguments, with their defaults and what they say of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.bench.options import (
    DEFAULT_REPEATS,
    DEFAULT_ROUNDS,
    DEFAULT_ROWS,
    DEFAULT_SERVER,
    DEFAULT_TIMEOUT_S,
    DEFAULT_WARMUP,
    MANY_ROWS,
    ROUNDS_OF_MANY,
    default_jobs,
)
from harness.engines import registry as engines
from harness.history.store import LATEST
from harness.servers import CHOICES

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bench``, or, less those that choose engines, of ``ablate``."""
    _add_what(parser.add_argument_group("what is restored"))
    _add_how(parser.add_argument_group("how it is measured"))


def add_engines(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose engines."""
    _add_who(parser.add_argument_group("who restores it"))


def add_resume(parser: argparse.ArgumentParser) -> None:
    """Add the argument that goes on with a run."""
    parser.add_argument(
        "--resume",
        nargs="?",
        const=LATEST,
        metavar="RUN",
        help="go on with a run that was cut off, the latest if none is named, as it was begun; of "
        "the other arguments only --server, --dataset and --results count",
    )


def _add_what(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--rows", type=int, default=DEFAULT_ROWS, metavar="N", help="rows (default %(default)s)")
    add("--scenario", default="business", metavar="NAME", help="schema (default %(default)s)")
    add("--faults", default="none", metavar="PROFILE", help="none, realistic or hostile damage")
    add("--seed", type=int, default=0, metavar="N", help="another seed, other rows")
    add("--style", default="lines", metavar="STYLE", help="lines, compact or pretty JSON")
    add("--compress", default="none", metavar="HOW", help="none, gz or zst")
    add(
        "--dataset",
        type=Path,
        metavar="DIR",
        help="a dataset that was generated before, instead of one by the arguments above",
    )


def _add_who(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--engine",
        action="append",
        metavar="NAME",
        help=f"what restores; repeat it for several (default {' and '.join(engines.DEFAULT)})",
    )
    add(
        "--no-floor",
        action="store_true",
        help="leave out the engine floor, which else runs beside those that are named",
    )
    add(
        "--engine-command",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="one of your own, beside those: a command line with {backup} and {dsn}, perhaps "
        "{report}, {rejects}",
    )


def _add_how(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--rounds",
        type=int,
        metavar="N",
        help=f"measured trials of each engine (default {DEFAULT_ROUNDS}, above {MANY_ROWS:,} rows "
        f"{ROUNDS_OF_MANY})",
    )
    add(
        "--warmup",
        type=int,
        default=DEFAULT_WARMUP,
        metavar="N",
        help="trials of each engine before that, outside the statistics (default %(default)s)",
    )
    add(
        "--repeats",
        type=int,
        default=DEFAULT_REPEATS,
        metavar="N",
        help="noisy trials of a run that are made again (default %(default)s)",
    )
    add(
        "--jobs",
        type=int,
        default=default_jobs(),
        metavar="N",
        help="processes or connections of an engine that can choose (default the cores of this"
        " machine, at most 8: %(default)s)",
    )
    add("--server", help=f"{CHOICES} (default {DEFAULT_SERVER})")
    add(
        "--timeout",
        type=float,
        default=DEFAULT_TIMEOUT_S,
        metavar="S",
        help="seconds after which a trial is stopped (default %(default)g)",
    )
    add(
        "--memory-limit",
        metavar="SIZE",
        help="memory above which a trial is stopped, such as 2GiB (default none)",
    )
    add(
        "--memray",
        action="store_true",
        help="after the trials, trace each engine's heap in a pass that is not timed: what held "
        "the most at its peak, and a flame graph beside the run",
    )
    add(
        "--results",
        type=Path,
        metavar="DIR",
        help="where the run is recorded (default results/local)",
    )
