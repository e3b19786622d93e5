"""Reports one engine's figures from run to run, a line and a bar each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.report import reference_copy
from harness.report.blocks import Column, Grid
from harness.report.units import NONE, factor, megabytes, percent, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.report.blocks import Block, Cell

_BAR = 20

LEGEND = (
    f"Medians of each run. The bar is {reference_copy.COLUMN} if known, else the time, which is "
    "comparable on one machine only."
)


def trend_report(rows: Sequence[dict[str, Any]]) -> tuple[Block, ...]:
    """Lay out one engine's figures, the newest run last.

    Args:
        rows: what ``Index.figures`` returns for one engine.
    """
    columns = (
        Column("run", "left"),
        Column("started", "left"),
        Column("rows"),
        Column("time"),
        Column(reference_copy.COLUMN),
        Column("vs legacy"),
        Column("peak RSS"),
        Column("success"),
        Column("", "left"),
    )
    drawn = [row["x_floor"] or row["wall_s"] for row in rows]
    largest = max((value for value in drawn if value), default=1.0)
    cells = [_row(row, value, largest) for row, value in zip(rows, drawn, strict=True)]
    return Grid(columns, tuple(cells)), LEGEND


def _row(row: dict[str, Any], drawn: float | None, largest: float) -> tuple[Cell, ...]:
    return (
        (row["id"],),
        (row["started_at"][:16].replace("T", " "),),
        (f"{row['rows']:,}",),
        (NONE if row["wall_s"] is None else seconds(row["wall_s"]),),
        (NONE if row["x_floor"] is None else factor(row["x_floor"]),),
        (NONE if row["x_legacy"] is None else factor(row["x_legacy"]),),
        (NONE if row["peak_bytes"] is None else megabytes(row["peak_bytes"]),),
        (NONE if row["success"] is None else percent(row["success"]),),
        ("█" * round(_BAR * drawn / largest) if drawn else "",),
    )
