"""``python -m harness bench``: measures engines; its arguments, and the options that they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis.figures import figures
from harness.analysis.scaling import scalings
from harness.bench.matrix import Matrix, run_matrix
from harness.bench.options import (
    DEFAULT_REPEATS,
    DEFAULT_ROUNDS,
    DEFAULT_ROWS,
    DEFAULT_SERVER,
    DEFAULT_SERVER_PROFILE,
    DEFAULT_TIMEOUT_S,
    DEFAULT_WARMUP,
    MANY_ROWS,
    ROUNDS_OF_MANY,
    BenchOptions,
    dataset_folder,
    default_jobs,
    engine,
    options_from_run,
)
from harness.bench.resume import unfinished_run
from harness.bench.run import exit_code, run_bench
from harness.cli import live
from harness.cli.output import add_format, say, show_report
from harness.cli.values import one_row_count, row_counts, size_bytes
from harness.engines import configured
from harness.engines import fake as fake_engine
from harness.engines import registry as engines
from harness.history.store import LATEST
from harness.model import manifest
from harness.model.errors import ExitCode
from harness.model.record import FLOOR
from harness.report.data import bench_data
from harness.report.run import bench_report
from harness.report.scaling import scaling_data, scaling_report
from harness.servers import CHOICES
from harness.servers.settings import PROFILES
from harness.trial.meter import Limits

if TYPE_CHECKING:
    import argparse

    from harness.engines.engine import Engine
    from harness.model.record import Run

ROUNDS = f"{DEFAULT_ROUNDS}, above {MANY_ROWS:,} rows {ROUNDS_OF_MANY}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bench``."""
    _add_engines(parser.add_argument_group("engines"))
    add_measurement(parser, several=True)
    add_format(parser)
    parser.add_argument(
        "--resume",
        nargs="?",
        const=LATEST,
        metavar="RUN",
        help="run the remaining trials of an unfinished run (default the latest) with its own "
        "options; of the other arguments, only --server, --dataset, --results and --format apply",
    )


def add_measurement(
    parser: argparse.ArgumentParser, rounds: str = ROUNDS, *, several: bool = False
) -> None:
    """Add the arguments that other commands have too: the dataset, and how it is measured.

    Args:
        parser: the parser of the command.
        rounds: describes the default of ``--rounds``.
        several: whether ``--rows`` takes several sizes.
    """
    _add_dataset(parser.add_argument_group("dataset"), several=several)
    _add_conditions(parser.add_argument_group("measurement"), rounds)


def run(options: argparse.Namespace) -> int:
    """Measure the engines that are named, or resume an unfinished run."""
    if options.resume is not None:
        return _resume(options)
    given = from_arguments(options, chosen_engines(options))
    if len(options.rows) == 1 or given.dataset is not None:
        with live.shown() as (announce, watch):
            made = run_bench(given, announce=announce, watch=watch)
        return _shown(made, options.format)
    matrix = Matrix(
        rows=options.rows,
        profiles=(given.server_profile,),
        faults=(given.faults,),
        memory_bytes=(given.limits.memory_bytes,),
        timeout_s=given.limits.timeout_s,
    )
    return show_matrix(run_matrix(matrix, given, say, keep_datasets=True), options.format)


def show_matrix(runs: tuple[Run, ...], form: str) -> int:
    """Show runs of several sizes side by side, and return their exit code."""
    show_report(scalings(map(figures, runs)), scaling_report, scaling_data, form)
    return max(map(exit_code, runs), key=[ExitCode.OK, ExitCode.REJECTS, ExitCode.FAILED].index)


def say_if_stopped(made: Run) -> None:
    """Say how a run that was stopped can be continued."""
    if made.finished_at is None:
        say(f"stopped: the trials so far are kept as run {made.id}; continue with bench --resume")


def _resume(options: argparse.Namespace) -> int:
    unfinished = unfinished_run(options.results, options.resume)
    dataset = None if options.dataset is None else dataset_folder(options.dataset)
    given = options_from_run(
        unfinished, server=options.server, dataset=dataset, results=options.results
    )
    with live.shown() as (announce, watch):
        made = run_bench(given, announce=announce, watch=watch, resume=unfinished)
    return _shown(made, options.format)


def _shown(made: Run, form: str) -> int:
    """Show a run, and return its exit code."""
    show_report(figures(made), bench_report, bench_data, form)
    say_if_stopped(made)
    return exit_code(made)


def _add_dataset(group: argparse._ArgumentGroup, *, several: bool) -> None:
    add = group.add_argument
    add(
        "--rows",
        type=row_counts if several else one_row_count,
        default=(DEFAULT_ROWS,),
        metavar="N[,N...]" if several else "N",
        help=f"rows, such as 100k or 1M{'; several are compared' if several else ''}"
        f" (default {DEFAULT_ROWS})",
    )
    add("--scenario", default="business", metavar="NAME", help="schema (default %(default)s)")
    add("--faults", default="none", metavar="PROFILE", help="none, realistic or hostile damage")
    add("--seed", type=int, default=0, metavar="N", help="seed of the rows (default %(default)s)")
    add("--style", default="lines", metavar="STYLE", help="lines, compact or pretty JSON")
    add("--compress", default="none", metavar="HOW", help="none, gz or zst")
    add(
        "--dataset",
        type=Path,
        metavar="DIR",
        help="an existing dataset or the name of an adopted one, in place of one generated by the "
        "arguments above",
    )


def _add_engines(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--engine",
        action="append",
        metavar="NAME",
        help="an engine to measure; repeat it for several (default "
        f"{' and '.join(engines.DEFAULT)})",
    )
    add(
        "--no-floor",
        action="store_true",
        help="do not add the reference COPY (the engine floor) to the engines that are named",
    )
    add(
        "--engine-command",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="an engine of your own, added to the others: a command line with {backup} and {dsn}, "
        "optionally {report}, {rejects} and {jobs}",
    )
    add(
        "--config",
        type=Path,
        metavar="FILE",
        help="a TOML file with engines of your own, [tool.harness.engine.NAME] (default "
        f"{configured.SETTINGS} of the current folder)",
    )


def _add_conditions(group: argparse._ArgumentGroup, rounds: str) -> None:
    add = group.add_argument
    add(
        "--rounds",
        type=int,
        metavar="N",
        help=f"measured trials of each engine (default {rounds})",
    )
    add(
        "--warmup",
        type=int,
        default=DEFAULT_WARMUP,
        metavar="N",
        help="trials of each engine before that, not in the statistics (default %(default)s)",
    )
    add(
        "--repeats",
        type=int,
        default=DEFAULT_REPEATS,
        metavar="N",
        help="noisy rounds that are run again as a whole, at most, in a run (default %(default)s)",
    )
    add(
        "--jobs",
        type=int,
        default=default_jobs(),
        metavar="N",
        help="connections or processes of the engines that take it (default the cores of this"
        " machine, at most 8: %(default)s)",
    )
    add("--server", help=f"{CHOICES} (default {DEFAULT_SERVER})")
    add(
        "--server-profile",
        choices=PROFILES,
        default=DEFAULT_SERVER_PROFILE,
        help="how a server that is started is configured: as installed, or for a bulk load "
        "(default %(default)s); a server of yours is used as it is",
    )
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
        help="after the trials, trace each engine's heap in an untimed pass: the functions that "
        "held most at its peak, and a flame graph beside the run",
    )
    add(
        "--traffic",
        action="store_true",
        help="count the bytes between each engine and the server, in a relay that takes time: such "
        "a run is not compared with others",
    )
    add(
        "--results",
        type=Path,
        metavar="DIR",
        help="where the run is recorded (default results/local)",
    )


def chosen_engines(given: argparse.Namespace) -> tuple[Engine, ...]:
    """Return the engines that the parsed arguments name.

    Raises:
        InputError: an engine is unknown, or a command is invalid.
    """
    commands = tuple(engines.command(text) for text in given.engine_command)
    settings = configured.load(given.config)
    own = tuple(
        configured.engine(name, settings[name]) for name in given.engine or () if name in settings
    )
    return tuple(engine(name, (*commands, *own)) for name in _names(given, commands))


def from_arguments(given: argparse.Namespace, of: tuple[Engine, ...]) -> BenchOptions:
    """Return the options that the parsed arguments make, for these engines and the largest size.

    Raises:
        InputError: a value is invalid; the message names the argument.
    """
    memory_bytes = size_bytes(given.memory_limit) if given.memory_limit is not None else None
    dataset = None if given.dataset is None else dataset_folder(given.dataset)
    rows = max(given.rows) if dataset is None else manifest.load(dataset).rows
    few = DEFAULT_ROUNDS if rows <= MANY_ROWS else ROUNDS_OF_MANY
    return BenchOptions(
        engines=of,
        rows=max(given.rows),
        rounds=few if given.rounds is None else given.rounds,
        repeats=given.repeats,
        warmup=given.warmup,
        jobs=given.jobs,
        server=given.server or DEFAULT_SERVER,
        server_profile=given.server_profile,
        scenario=given.scenario,
        faults=given.faults,
        seed=given.seed,
        style=given.style,
        compress=given.compress,
        dataset=dataset,
        limits=Limits(given.timeout, memory_bytes),
        results=given.results,
        memray=given.memray,
        traffic=given.traffic,
    )


def _names(given: argparse.Namespace, commands: tuple[Engine, ...]) -> list[str]:
    """Return the names of a run's engines in order, with the floor last unless it is named.

    Beside fake engines alone there is no floor: their figures are no restore into this server.
    """
    chosen = given.engine or [name for name in engines.DEFAULT if name != FLOOR]
    own = [command.name for command in commands if command.name not in chosen]
    names = [*chosen, *own]
    real = any(not name.startswith(fake_engine.PREFIX) for name in names)
    wanted = real and not given.no_floor and FLOOR not in names
    return [*names, FLOOR] if wanted else names
