"""Reports the bytes between each engine and the server, if they were counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.blocks import Column, Grid
from harness.report.memory import memory_sparkline
from harness.report.reference_copy import engine_name
from harness.report.units import NONE, megabytes

if TYPE_CHECKING:
    from harness.analysis.figures import RunFigures
    from harness.model.record import Curve
    from harness.report.blocks import Block, Cell

LEGEND = (
    "Traffic: bytes between engine and server in the median trial, and their total over time; "
    "counted in a relay between both, so the times above are longer than without it."
)


def traffic_report(run_figures: RunFigures) -> tuple[Block, ...]:
    """Lay out what each engine sent and received; empty if it was not counted."""
    rows = []
    for each in run_figures.engines:
        middle = run_figures.samples(each.engine).median
        if middle is not None and middle.sent_curve is not None and middle.wall_s:
            curves = (middle.sent_curve, middle.received_curve)
            cells = (cell for curve in curves for cell in _cells(curve, middle.wall_s))
            rows.append(((engine_name(each.engine),), *cells))
    if not rows:
        return ()
    columns = ("engine", "sent", "sent over time", "received", "received over time")
    return (Grid(tuple(Column(name, "left") for name in columns), tuple(rows)), LEGEND)


def _cells(curve: Curve | None, wall_s: float) -> tuple[Cell, Cell]:
    if curve is None or not curve.bytes:
        return (NONE,), (NONE,)
    return (megabytes(max(curve.bytes)),), (memory_sparkline(curve, wall_s),)
