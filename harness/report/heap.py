"""Reports the heaps traced by memray: their sizes, and the functions that held them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.blocks import Bullets, Column, Grid
from harness.report.units import NONE, count, megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model.record import Heap, HeapFunction, Run
    from harness.report.blocks import Block, Cell

# Functions below this share of the heap are left out.
_LEAST_SHARE = 0.01

LEGEND = (
    "Heap: allocated and not yet freed, traced by memray in a separate pass after the trials, "
    "which enters no other figure. It is the sum of the peaks of all processes; below it, the "
    "functions that allocated it, each with the line that allocated most."
)


def heap_report(run: Run) -> tuple[Block, ...]:
    """Lay out the traced heaps with the functions that held most; empty if none was traced."""
    if not run.heaps:
        return ()
    traced = [heap for heap in run.heaps if heap.peak_bytes is not None]
    pages = [heap.flame_graph for heap in traced if heap.flame_graph is not None]
    blocks: list[Block] = []
    if traced:
        columns = (
            Column("engine", "left"),
            Column("heap"),
            Column("share"),
            Column("function", "left"),
            Column("file", "left"),
        )
        blocks += [Grid(columns, tuple(row for heap in traced for row in _rows(heap))), LEGEND]
    if pages:
        blocks.append(Bullets("Flame graphs, beside the run's file:", tuple(pages)))
    failed = [f"{heap.engine}: {_failure(heap)}" for heap in run.heaps if heap.detail is not None]
    if failed:
        blocks.append(Bullets("Not ok with memray:", tuple(failed)))
    return tuple(blocks)


def _rows(heap: Heap) -> Iterator[tuple[Cell, ...]]:
    """Yield a row for a heap, and one for each function above the minimum share."""
    peak_bytes = heap.peak_bytes or 0
    many = f", {heap.processes} processes" if heap.processes > 1 else ""
    asked = f"{count(heap.allocations or 0)} allocations{many}"
    yield (heap.engine,), (megabytes(peak_bytes),), ("",), (asked,), ("",)
    for function in heap.functions:
        part = function.bytes / peak_bytes if peak_bytes else 0.0
        if part >= _LEAST_SHARE:
            size = megabytes(function.bytes)
            yield ("",), (size,), (f"{part:.0%}",), (function.function,), (_where(function),)


def _where(function: HeapFunction) -> str:
    if function.file is None:
        return NONE
    return function.file if function.line is None else f"{function.file}:{function.line}"


def _failure(heap: Heap) -> str:
    return f"{heap.status.value}; {heap.detail}"
