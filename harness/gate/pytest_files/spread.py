"""The figures that pytest-benchmark gives of rounds, worked out as it does (its ``stats.py``)."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from harness.gate.pytest_files.file import Stats

if TYPE_CHECKING:
    from collections.abc import Sequence


def stats(times_s: Sequence[float]) -> Stats:
    """Return the figures of one round or more, each of one iteration."""
    ordered = sorted(times_s)
    mean, total = statistics.mean(times_s), sum(times_s)
    stddev = statistics.stdev(times_s) if len(times_s) > 1 else 0.0
    q1, q3 = _quartiles(ordered)
    iqr = q3 - q1
    low, high = q1 - 1.5 * iqr, q3 + 1.5 * iqr
    far = sum(abs(time_s - mean) > stddev for time_s in times_s)
    outliers = sum(not low <= time_s <= high for time_s in times_s)
    return Stats(
        min=ordered[0],
        max=ordered[-1],
        mean=mean,
        stddev=stddev,
        rounds=len(times_s),
        median=statistics.median(times_s),
        iqr=iqr,
        q1=q1,
        q3=q3,
        iqr_outliers=outliers,
        stddev_outliers=far,
        outliers=f"{far};{outliers}",
        ld15iqr=next(time_s for time_s in ordered if time_s >= low),
        hd15iqr=next(time_s for time_s in reversed(ordered) if time_s <= high),
        ops=len(times_s) / total if total else 0.0,
        total=total,
        data=tuple(times_s),
    )


def _quartiles(ordered: Sequence[float]) -> tuple[float, float]:
    """Return the first and the third quartile: of an even number, the medians of the halves."""
    count = len(ordered)
    if count == 1:
        return ordered[0], ordered[0]
    if count % 2 == 0:
        return statistics.median(ordered[: count // 2]), statistics.median(ordered[count // 2 :])
    n, rest = divmod(count, 4)
    if rest == 1:
        return (
            0.25 * ordered[n - 1] + 0.75 * ordered[n],
            0.75 * ordered[3 * n] + 0.25 * ordered[3 * n + 1],
        )
    return (
        0.75 * ordered[n] + 0.25 * ordered[n + 1],
        0.25 * ordered[3 * n + 1] + 0.75 * ordered[3 * n + 2],
    )
