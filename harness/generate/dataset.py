"""Generates datasets, and caches them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from harness.generate.plan import fingerprint, make_plan
from harness.generate.scenario import load_scenario
from harness.generate.writer import Progress, locked, write_dataset
from harness.model import manifest
from harness.model.errors import InputError
from harness.model.machine import processor_count

if TYPE_CHECKING:
    from pathlib import Path

    from harness.generate.spec import DatasetSpec

#: Identifies the bytes that given arguments make; changed bytes need a new version.
GENERATOR_VERSION = "2"


def generate(
    spec: DatasetSpec,
    out: Path,
    *,
    progress: Progress | None = None,
    processes: int | None = None,
    executor: str | None = None,
) -> Path:
    """Generate a dataset.

    Args:
        spec: Its arguments; the same ones make the same bytes with any number of processes.
        out: The parent of its folder ``<YYYYMMDD_HHMMSS>``.
        progress: Called with the number of records written since the last call.
        processes: Number of worker processes; None for one per processor.
        executor: The Dask cluster that makes the records instead, ``dask://host:port``.

    Returns:
        The path of the dataset.

    Raises:
        InputError: The scenario is unknown, the dataset exists already, or Dask is missing.
        HarnessError: It could not be written.
    """
    if processes is not None and processes < 1:
        raise InputError(f"--processes {processes} is out of range; write 1 or more")
    return write_dataset(
        make_plan(spec, load_scenario(spec.scenario)),
        out,
        generator=GENERATOR_VERSION,
        makers=executor or processes or processor_count(),
        progress=progress or _no_progress,
    )


def cached(
    spec: DatasetSpec,
    cache_root: Path,
    *,
    progress: Progress | None = None,
    processes: int | None = None,
) -> Path:
    """Return a dataset from the cache, after generating it if it is missing.

    It is addressed by all that determines its bytes: the arguments, the scenario's files and the
    generator. Processes that need the same one wait for the first. Arguments and errors are those
    of ``generate``.
    """
    scenario = load_scenario(spec.scenario)
    out = cache_root / f"{spec.scenario}-{spec.rows}-{spec.faults}-{fingerprint(spec, scenario)}"
    final = out / scenario.stamp
    with locked(out):
        if is_complete(final):
            return final
        shutil.rmtree(final, ignore_errors=True)  # incomplete
        return generate(spec, out, progress=progress, processes=processes)


def is_complete(folder: Path) -> bool:
    """Return whether a folder is a complete dataset: all files with their full sizes."""
    try:
        truth = manifest.load(folder)
        sizes = {table.file: (folder / table.file).stat().st_size for table in truth.tables}
    except (InputError, OSError):
        return False
    return truth.compress != "none" or all(
        sizes[table.file] == table.bytes for table in truth.tables
    )


def _no_progress(_: int) -> None:
    """Ignore progress."""
