"""The file of pytest-benchmark: its documented fields, read and written with validation.

Fields that are not named here are passed over. Two are ours, which other readers pass over:
``failed`` and ``run``.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from harness.model.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

# The version of pytest-benchmark whose form is written; its files since 3.1 are read.
FORM = "5.2.0"

# Quartiles lie between rounds by a rule of three, which is exact but for its last digit.
_EXACT = 1 + 1e-9


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """The times of a benchmark in seconds; ``data`` holds each, where they were saved."""

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
    """A benchmark that has no time because it failed, and what is known of it."""

    fullname: str
    name: str
    group: str | None = None
    params: dict[str, Any] | None = None
    param: str | None = None
    extra_info: dict[str, Any] = {}


class Benchmark(Failed, frozen=True, kw_only=True):
    """A benchmark that has a time."""

    options: dict[str, Any] = {}
    stats: Stats


class BenchmarkFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file: ``run`` is the run of the harness that it was made of, if it was."""

    machine_info: dict[str, Any]
    commit_info: dict[str, Any]
    benchmarks: tuple[Benchmark, ...]
    datetime: str
    version: str
    failed: tuple[Failed, ...] = ()
    run: str | None = None


class _RunHead(msgspec.Struct):
    """What tells a recorded run of the harness from other JSON."""

    schema: int
    trials: msgspec.Raw


def is_run(path: Path) -> bool:
    """Say whether a file is a recorded run of the harness, and so none of pytest-benchmark."""
    try:
        msgspec.json.decode(path.read_bytes(), type=_RunHead)
    except (OSError, msgspec.DecodeError):
        return False
    return True


def read(path: Path) -> BenchmarkFile:
    """Read and validate a file.

    Raises:
        InputError: it cannot be read, or is none.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=BenchmarkFile)
        _check(found)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise InputError(
            f"{path} is no file of pytest-benchmark ({error}); make one with --benchmark-json, or "
            "with: python -m harness history RUN --format pytest-benchmark"
        ) from error
    return found


def encode(of: BenchmarkFile) -> bytes:
    """Turn it into bytes, having read them back as any reader would."""
    content = msgspec.json.format(msgspec.json.encode(of), indent=4) + b"\n"
    _check(msgspec.json.decode(content, type=BenchmarkFile))
    return content


def _check(of: BenchmarkFile) -> None:
    """Refuse what contradicts itself.

    Raises:
        ValueError: it does; the message names the benchmark.
    """
    names = Counter(each.fullname for each in (*of.benchmarks, *of.failed))
    for name, times in names.items():
        if times > 1:
            raise ValueError(f"{name} is in it more than once")
    for each in of.benchmarks:
        stats = each.stats
        rising = itertools.pairwise([0.0, stats.min, stats.q1, stats.median, stats.q3, stats.max])
        if stats.rounds < 1 or not all(low <= high * _EXACT for low, high in rising):
            raise ValueError(f"the times of {each.fullname} make no sense")
        if stats.data and (len(stats.data), min(stats.data), max(stats.data)) != (
            stats.rounds,
            stats.min,
            stats.max,
        ):
            raise ValueError(
                f"the rounds of {each.fullname} are not those that its figures tell of"
            )
