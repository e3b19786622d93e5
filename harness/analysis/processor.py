"""How many cores were in use over the time of a trial; pure."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.model.record import CpuCurve


def cores_in_use(curve: CpuCurve) -> tuple[tuple[float, float], ...]:
    """Return the mean number of cores in use from each point of a curve to the next.

    Returns:
        pairs of the start of the interval, in seconds since the start of the trial, and the cores.
    """
    points = ((0.0, 0), *zip(curve.at_s, curve.cpu_ms, strict=True))
    return tuple(
        (start_s, max(after - before, 0) / 1000 / (end_s - start_s))
        for (start_s, before), (end_s, after) in pairwise(points)
        if end_s > start_s
    )
