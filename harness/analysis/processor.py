"""How many cores were in use over the time of a trial; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.model.record import CpuCurve

# Processor time counts in hundredths of a second: of a shorter interval it says little.
_LEAST_S = 0.05


def cores_in_use(curve: CpuCurve) -> tuple[tuple[float, float], ...]:
    """Return the mean number of cores in use from each point of a curve to the next.

    Points that are close together count as one interval.

    Returns:
        pairs of the start of the interval, in seconds since the start of the trial, and the cores.
    """
    found, start_s, before_ms = [], 0.0, 0
    for at_s, cpu_ms in zip(curve.at_s, curve.cpu_ms, strict=True):
        if at_s - start_s >= _LEAST_S:
            found.append((start_s, max(cpu_ms - before_ms, 0) / 1000 / (at_s - start_s)))
            start_s, before_ms = at_s, cpu_ms
    return tuple(found)
