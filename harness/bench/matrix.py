"""A matrix of runs: every combination of sizes, server profiles, faults and memory limits.

A cell of the matrix is a run like any other, which records the matrix that it belongs to. So a
matrix that was stopped goes on where it stopped: its finished cells are in the history.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.bench.run import run_bench
from harness.history.store import new_id, open_history
from harness.model.errors import HarnessError, InputError
from harness.report.units import gigabytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.bench.options import BenchOptions
    from harness.model.record import Run
    from harness.servers.messages import ServerProfile

    Announce = Callable[[str], None]

# The parameters of a run that name its matrix and its cell.
MATRIX, CELL = "matrix", "cell"
# What a row of the scenario ``business`` takes on disk: 440 bytes of JSON, as much again for each
# prepared form, and the database with its indexes, its log and a copy in a staging table.
BYTES_PER_ROW = 440 * 8


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination, and after how long a trial of it is stopped."""

    rows: int
    profile: ServerProfile
    faults: str
    memory_bytes: int | None
    timeout_s: float

    def __str__(self) -> str:
        limit = "no memory limit" if self.memory_bytes is None else f"{self.memory_bytes:,} bytes"
        return f"{self.rows:,} rows, {self.profile}, faults {self.faults}, {limit}"


@dataclass(frozen=True, slots=True)
class Matrix:
    """The axes of a matrix. A trial may take ``timeout_s`` and ``timeout_per_million_s`` more."""

    rows: tuple[int, ...]
    profiles: tuple[ServerProfile, ...]
    faults: tuple[str, ...]
    memory_bytes: tuple[int | None, ...]
    timeout_s: float
    timeout_per_million_s: float = 0.0

    def cells(self) -> Iterator[Cell]:
        """Yield the cells, those of one size one after the other, the smallest size first."""
        axes = (sorted(self.rows), self.profiles, self.faults, self.memory_bytes)
        for rows, profile, faults, memory_bytes in itertools.product(*axes):
            timeout_s = self.timeout_s + self.timeout_per_million_s * rows / 1e6
            yield Cell(rows, profile, faults, memory_bytes, timeout_s)


def run_matrix(
    matrix: Matrix,
    options: BenchOptions,
    announce: Announce,
    *,
    resume: str | None = None,
    keep_datasets: bool = False,
) -> tuple[Run, ...]:
    """Make the runs of a matrix, or those that are missing, and return all of them.

    A run that was stopped ends the matrix; it is the last that is returned.

    Args:
        matrix: the axes.
        options: the options of every cell, but for those of the axes.
        announce: called with a line for each step.
        resume: the matrix to go on with.
        keep_datasets: whether to leave the datasets in the cache; else those of a size are removed
            when its cells are done.

    Raises:
        HarnessError: the disk is too small, or a run failed; recorded trials are kept.
    """
    name = new_id() if resume is None else resume
    made = {} if resume is None else _made(matrix, options.results, resume)
    cells = [cell for cell in matrix.cells() if cell not in made or not made[cell].finished_at]
    if cells:
        check_disk(max(cell.rows for cell in cells), options.cache)
    announce(f"matrix {name}: {len(cells)} runs")
    for rows, of_size in itertools.groupby(cells, lambda cell: cell.rows):
        own = options.cache / f"matrix-{name}-{rows}"
        given = options if keep_datasets else replace(options, cache=own)
        for cell in of_size:
            announce(f"== {cell}")
            made[cell] = _run_cell(cell, made.get(cell), name, given, announce)
            if made[cell].finished_at is None:
                return tuple(made.values())
        shutil.rmtree(own, ignore_errors=True)
    return tuple(made[cell] for cell in matrix.cells())


def check_disk(rows: int, cache: Path) -> None:
    """Check that datasets and database of the largest size have room on their disks.

    Raises:
        HarnessError: they have not.
    """
    needed = rows * BYTES_PER_ROW
    cache.mkdir(parents=True, exist_ok=True)
    for place in (cache, Path(tempfile.gettempdir())):
        free = shutil.disk_usage(place).free
        if free < needed:
            raise HarnessError(
                f"{rows:,} rows need some {gigabytes(needed)} of disk, and {place} has "
                f"{gigabytes(free)} free; free some, or leave that size out with --rows"
            )


def _made(matrix: Matrix, results: Path | None, name: str) -> dict[Cell, Run]:
    """Return the runs that a matrix has, by cell.

    Raises:
        InputError: it has none.
    """
    runs = [run for run in open_history(results).runs().runs if run.parameters.get(MATRIX) == name]
    if not runs:
        raise InputError(f"--resume {name}: it has no run; start a matrix without it")
    return {
        cell: run
        for cell in matrix.cells()
        for run in runs
        if run.parameters.get(CELL) == str(cell)
    }


def _run_cell(
    cell: Cell, unfinished: Run | None, matrix: str, options: BenchOptions, announce: Announce
) -> Run:
    """Make the run of a cell, or go on with it if that is possible."""
    given = replace(
        options,
        rows=cell.rows,
        server_profile=cell.profile,
        faults=cell.faults,
        limits=replace(options.limits, timeout_s=cell.timeout_s, memory_bytes=cell.memory_bytes),
        recorded={**options.recorded, MATRIX: matrix, CELL: str(cell)},
    )
    try:
        return run_bench(given, announce=announce, resume=unfinished)
    except InputError as error:
        if unfinished is None:
            raise
        announce(f"{error}; that run is left as it is, and this cell is measured anew")
        return run_bench(given, announce=announce)


def names(runs: Sequence[Run]) -> list[str]:
    """Return the matrices of runs, oldest first."""
    found = (run.parameters.get(MATRIX) for run in runs)
    return list(dict.fromkeys(str(name) for name in found if name))
