"""``python -m harness bench-full``: the matrix of all engines, sizes and conditions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness.bench.matrix import MATRIX, Matrix, names, run_matrix
from harness.bench.options import BenchOptions, default_jobs, engine
from harness.cli.bench import show_matrix
from harness.cli.output import add_format, say
from harness.cli.values import row_counts, size_bytes
from harness.engines import registry
from harness.engines.peers import catalog
from harness.generate.spec import FAULTS
from harness.history.store import LATEST, open_history
from harness.model.errors import InputError
from harness.servers import CHOICES
from harness.servers.settings import PROFILES
from harness.trial.meter import Limits

if TYPE_CHECKING:
    import argparse

    from harness.engines.engine import Engine

_Word = TypeVar("_Word", bound=str)

ROWS = "100k,500k,1M,5M,10M"
ROUNDS = 3
# With these, a trial may take 150 s at 100,000 rows and 52 minutes at 10 million.
TIMEOUT_S = 120.0
TIMEOUT_PER_MILLION_S = 300.0
# What takes minutes needs no further round to be told from what takes seconds.
TIME_PER_ENGINE_S = 300.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bench-full``."""
    add = parser.add_argument
    add("--engine", action="append", metavar="NAME", help="an engine (default all, and all peers)")
    add("--rows", type=row_counts, default=row_counts(ROWS), help=f"sizes (default {ROWS})")
    add("--server-profile", default="bulk,stock", help="profiles (default %(default)s)")
    add("--faults", default="none,realistic", help="kinds of damage (default %(default)s)")
    add(
        "--memory-limit",
        default="none,2GiB",
        metavar="SIZES",
        help="memory above which a trial is stopped (default %(default)s)",
    )
    add("--rounds", type=int, default=ROUNDS, metavar="N", help="default %(default)s")
    add(
        "--timeout",
        type=float,
        default=TIMEOUT_S,
        metavar="S",
        help="seconds after which a trial is stopped (default %(default)g)",
    )
    add(
        "--timeout-per-million",
        type=float,
        default=TIMEOUT_PER_MILLION_S,
        metavar="S",
        help="seconds more for each million rows (default %(default)g)",
    )
    add(
        "--time-per-engine",
        type=float,
        default=TIME_PER_ENGINE_S,
        metavar="S",
        help="seconds after which an engine gets no further round in a run (default %(default)g)",
    )
    add(
        "--jobs",
        type=int,
        default=default_jobs(),
        metavar="N",
        help="connections or processes of an engine (default: the cores of this machine)",
    )
    add("--server", default="auto", help=f"{CHOICES} (default %(default)s)")
    add("--results", type=Path, metavar="DIR", help="where its runs are recorded")
    add(
        "--resume",
        nargs="?",
        const=LATEST,
        metavar="MATRIX",
        help="make the runs that a matrix (default the latest) lacks; give the same arguments",
    )
    add_format(parser)


def run(given: argparse.Namespace) -> int:
    """Make the matrix, or go on with one, and show its runs side by side.

    Raises:
        HarnessError: an argument is invalid, the disk is too small, or a run failed.
    """
    matrix = Matrix(
        rows=given.rows,
        profiles=_chosen("--server-profile", given.server_profile, PROFILES),
        faults=_chosen("--faults", given.faults, FAULTS),
        memory_bytes=tuple(
            None if text == "none" else size_bytes(text) for text in given.memory_limit.split(",")
        ),
        timeout_s=given.timeout,
        timeout_per_million_s=given.timeout_per_million,
    )
    options = BenchOptions(
        engines=_engines(given.engine),
        rounds=given.rounds,
        warmup=0,
        repeats=0,
        jobs=given.jobs,
        server=given.server,
        results=given.results,
        time_per_engine_s=given.time_per_engine,
    )
    for cell in matrix.cells():  # so that a mistake is found now, not after hours
        limits = Limits(cell.timeout_s, cell.memory_bytes)
        replace(options, rows=cell.rows, faults=cell.faults, limits=limits)
    resume = given.resume
    if resume == LATEST:
        resume = _latest(given.results)
    return show_matrix(run_matrix(matrix, options, say, resume=resume), given.format)


def _engines(chosen: list[str] | None) -> tuple[Engine, ...]:
    own = (each.name for each in registry.ENGINES)
    return tuple(engine(name) for name in chosen or (*own, *catalog.names()))


def _chosen(option: str, text: str, known: tuple[_Word, ...]) -> tuple[_Word, ...]:
    """Return the words of a list, each of them known.

    Raises:
        InputError: one is not.
    """
    words = text.split(",")
    if unknown := [word for word in words if word not in known]:
        raise InputError(f"{option}: {unknown[0]!r} is unknown; write some of {','.join(known)}")
    return tuple(word for word in known if word in words)


def _latest(results: Path | None) -> str:
    """Return the matrix of the latest run that has one.

    Raises:
        InputError: there is none.
    """
    found = names(open_history(results).runs().runs)
    if not found:
        raise InputError(f"--resume: no run of a {MATRIX} is recorded; start one without it")
    return found[-1]
