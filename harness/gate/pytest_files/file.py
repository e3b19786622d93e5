"""The file of pytest-benchmark: its documented fields, validated when read and written.

Other fields are ignored. Two are ours, which other readers ignore: ``failed`` and ``run``.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from harness.model.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

# The version of pytest-benchmark whose format is written; its files since 3.1 are read.
FORM = "5.2.0"

# Quartiles are interpolated between rounds, which can be off in the last digit.
_EXACT = 1 + 1e-9


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """The times of a benchmark in seconds; ``data`` holds each, if they were saved."""

    min: float
    max: float
    mean: float
    stddev: float
    rounds: int
    median: float
    iqr: float
    q1: float
    q3: float
    iqr_outliers: int
    stddev_outliers: int
    outliers: str
    ld15iqr: float
    hd15iqr: float
    ops: float
    total: float
    data: tuple[float, ...] = ()
    iterations: int = 1


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """A benchmark without a time because it failed."""

    fullname: str
    name: str
    group: str | None = None
    params: dict[str, Any] | None = None
    param: str | None = None
    extra_info: dict[str, Any] = {}


class Benchmark(Failed, frozen=True, kw_only=True):
    """A benchmark with a time."""

    options: dict[str, Any] = {}
    stats: Stats


class BenchmarkFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file; ``run`` is the run of the harness that it was converted from, if any."""

    machine_info: dict[str, Any]
    commit_info: dict[str, Any]
    benchmarks: tuple[Benchmark, ...]
    datetime: str
    version: str
    failed: tuple[Failed, ...] = ()
    run: str | None = None


class _RunHead(msgspec.Struct):
    """The fields that identify a recorded run of the harness."""

    schema: int
    trials: msgspec.Raw


def is_run(path: Path) -> bool:
    """Return whether a file is a recorded run of the harness, not a file of pytest-benchmark."""
    try:
        msgspec.json.decode(path.read_bytes(), type=_RunHead)
    except (OSError, msgspec.DecodeError):
        return False
    return True


def read(path: Path) -> BenchmarkFile:
    """Read and validate a file.

    Raises:
        InputError: it cannot be read, or is invalid.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=BenchmarkFile)
        _check(found)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise InputError(
            f"{path} is not a file of pytest-benchmark ({error}); make one with "
            "--benchmark-json, or with: python -m harness history RUN --format pytest-benchmark"
        ) from error
    return found


def encode(file: BenchmarkFile) -> bytes:
    """Encode a file, and validate the result by reading it back."""
    content = msgspec.json.format(msgspec.json.encode(file), indent=4) + b"\n"
    _check(msgspec.json.decode(content, type=BenchmarkFile))
    return content


def _check(file: BenchmarkFile) -> None:
    """Check that a file is consistent.

    Raises:
        ValueError: it is not; the message names the benchmark.
    """
    names = Counter(each.fullname for each in (*file.benchmarks, *file.failed))
    for name, times in names.items():
        if times > 1:
            raise ValueError(f"it holds {name} more than once")
    for each in file.benchmarks:
        stats = each.stats
        rising = itertools.pairwise([0.0, stats.min, stats.q1, stats.median, stats.q3, stats.max])
        if stats.rounds < 1 or not all(low <= high * _EXACT for low, high in rising):
            raise ValueError(f"the times of {each.fullname} are inconsistent")
        if stats.data and (len(stats.data), min(stats.data), max(stats.data)) != (
            stats.rounds,
            stats.min,
            stats.max,
        ):
            raise ValueError(f"the rounds of {each.fullname} do not match its figures")
