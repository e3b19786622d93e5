"""How ``bench`` is called: its arguments, with their defaults and what they say of themselves."""

from __future__ import annotations

import re
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
    BenchOptions,
    dataset_folder,
    default_jobs,
    engine,
)
from harness.engines import fake as fake_engine
from harness.engines import registry as engines
from harness.history.store import LATEST
from harness.model import manifest
from harness.model.errors import InputError
from harness.model.record import FLOOR
from harness.servers import CHOICES
from harness.trial.meter import Limits

if TYPE_CHECKING:
    import argparse

    from harness.engines.registry import Engine

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B)", re.IGNORECASE)
_UNITS: dict[str, int] = {
    f"{prefix}{suffix}": base ** (power + 1)
    for power, prefix in enumerate("kmgt")
    for suffix, base in (("b", 1000), ("ib", 1024))
}


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


def chosen_engines(given: argparse.Namespace) -> tuple[Engine, ...]:
    """Return the engines that the parsed arguments of ``add_engines`` name.

    Raises:
        InputError: there is no such engine, or a command makes no sense.
    """
    commands = tuple(engines.command(text) for text in given.engine_command)
    return tuple(engine(name, commands) for name in _names(given, commands))


def from_arguments(given: argparse.Namespace, of: tuple[Engine, ...]) -> BenchOptions:
    """Return what the parsed arguments of ``add_arguments`` come to, for these engines.

    Raises:
        InputError: a value makes no sense; the message names the argument.
    """
    memory_bytes = size_bytes(given.memory_limit) if given.memory_limit is not None else None
    dataset = None if given.dataset is None else dataset_folder(given.dataset)
    rows = given.rows if dataset is None else manifest.load(dataset).rows
    few = DEFAULT_ROUNDS if rows <= MANY_ROWS else ROUNDS_OF_MANY
    return BenchOptions(
        engines=of,
        rows=given.rows,
        rounds=few if given.rounds is None else given.rounds,
        repeats=given.repeats,
        warmup=given.warmup,
        jobs=given.jobs,
        server=given.server or DEFAULT_SERVER,
        scenario=given.scenario,
        faults=given.faults,
        seed=given.seed,
        style=given.style,
        compress=given.compress,
        dataset=dataset,
        limits=Limits(given.timeout, memory_bytes),
        results=given.results,
        memray=given.memray,
    )


def _names(given: argparse.Namespace, commands: tuple[Engine, ...]) -> list[str]:
    """Return the engines of a run in their order, the floor last, unless it is named elsewhere.

    Beside engines that are all fake there is none: what they tell is no restore into this server.
    """
    chosen = given.engine or [name for name in engines.DEFAULT if name != FLOOR]
    own = [command.name for command in commands if command.name not in chosen]
    names = [*chosen, *own]
    real = any(not name.startswith(fake_engine.PREFIX) for name in names)
    wanted = real and not given.no_floor and FLOOR not in names
    return [*names, FLOOR] if wanted else names


def size_bytes(text: str) -> int:
    """Return the bytes of a size such as ``512MiB`` or ``2GB``.

    Raises:
        InputError: it is none.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise InputError(f"{text!r} is no size; write a number and its unit, such as 512MiB or 2GB")
    number, unit = found.groups()
    return round(float(number) * _UNITS[unit.lower()])
