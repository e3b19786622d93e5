"""The engines that no other beats in both speed and memory; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model.record import FLOOR

if TYPE_CHECKING:
    from harness.analysis.figures import EngineFigures, RunFigures


def frontier(of: RunFigures) -> tuple[EngineFigures, ...]:
    """Return the engines of the frontier, the slowest first.

    An engine is on it if each that is at least as fast needs more memory. The reference COPY is
    left out: it cannot restore a backup. So are engines of which a trial was not ok.
    """
    best: list[EngineFigures] = []
    known = [
        each
        for each in of.engines
        if each.engine != FLOOR
        and each.rows_per_s is not None
        and each.peak_bytes is not None
        and each.ok == each.attempted
    ]
    for each in sorted(known, key=_speed_then_memory):
        if not best or _median_peak(each) < _median_peak(best[-1]):
            best.append(each)
    return tuple(reversed(best))


def _speed_then_memory(of: EngineFigures) -> tuple[float, float]:
    return -(of.rows_per_s or 0.0), _median_peak(of)


def _median_peak(of: EngineFigures) -> float:
    return of.peak_bytes.median if of.peak_bytes else 0.0
