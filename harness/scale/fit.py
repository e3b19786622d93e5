"""Fits the costs of tables to the times of their statements at two sizes; pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from harness.scale.costs import ANALYZED_ROWS, Index, Sorted, TableCosts
from harness.scale.statements import SPILLING_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.scale.statements import Statement, TableTimes


@dataclass(frozen=True, slots=True)
class Sizes:
    """The times of the same statements without a record and at two sizes."""

    empty: dict[str, TableTimes]
    small: dict[str, TableTimes]
    large: dict[str, TableTimes]


def table_costs(sizes: Sizes, json_bytes: Mapping[str, int]) -> tuple[TableCosts, ...]:
    """Return the costs of each table.

    Args:
        sizes: the times; those without a record are taken off the others.
        json_bytes: the size of each table's file, at the larger size.
    """
    records = sum(times.rows for times in sizes.large.values())
    merge_s = _mean_merge_s(sizes)
    return tuple(_table(sizes, name, json_bytes[name], records, merge_s) for name in sizes.large)


def _table(sizes: Sizes, name: str, json_bytes: int, records: int, merge_s: float) -> TableCosts:
    empty, small, large = sizes.empty[name], sizes.small[name], sizes.large[name]
    rows = large.rows

    def each_s(field: str) -> float:
        return max(float(getattr(large, field)) - float(getattr(empty, field)), 0.0) / rows

    def fitted(field: str) -> list[dict[str, Any]]:
        statements = (getattr(times, field) for times in (empty, small, large))
        return [_fit(each, (small.rows, rows), merge_s) for each in zip(*statements, strict=True)]

    unique = [index.unique for index in large.indexes]
    return TableCosts(
        table=name,
        share=rows / records,
        json_bytes=json_bytes / rows,
        row_bytes=large.row_bytes / rows,
        heap_bytes=large.heap_bytes / rows,
        wal_bytes=large.wal_bytes / rows,
        heap_s=each_s("unlogged_s"),
        wal_s=max(each_s("logged_s") - each_s("unlogged_s"), 0.0),
        frozen_s=each_s("frozen_s"),
        analyze_s=max(large.finish_s - empty.finish_s, 0.0) / min(rows, ANALYZED_ROWS),
        indexes=tuple(
            Index(**found, unique=is_unique)
            for found, is_unique in zip(fitted("indexes"), unique, strict=True)
        ),
        foreign_keys=tuple(Sorted(**found) for found in fitted("foreign_keys")),
    )


def _fit(
    times: tuple[Statement, Statement, Statement], rows: tuple[int, int], merge_s: float
) -> dict[str, Any]:
    """Fit a statement's times at two sizes; what costs less at the larger one is linear.

    Args:
        times: without a record, at the smaller size, at the larger one.
        rows: the records at these two.
        merge_s: what a record of others costs to merge, if this one needed little memory.
    """
    empty, small, large = times
    small_rows, large_rows = rows
    small_s = max(small.s - empty.s, 0.0) / small_rows
    large_s = max(large.s - empty.s, 0.0) / large_rows
    log2_s = max(large_s - small_s, 0.0) / (math.log2(large_rows) - math.log2(small_rows))
    found = Sorted(
        name=large.name,
        s=large_s - log2_s * math.log2(large_rows),
        log2_s=log2_s,
        merge_s=0.0,
        bytes=large.bytes / large_rows,
    )
    if found.spills(large_rows, SPILLING_BYTES):
        sorted_s = empty.s + found.at(large_rows, SPILLING_BYTES)
        merge_s = max(large.spilled_s - sorted_s, 0.0) / large_rows
    return msgspec.structs.asdict(found) | {"merge_s": merge_s}


def _mean_merge_s(sizes: Sizes) -> float:
    """Return what a record costs to merge, over the statements that needed more than little."""
    found = [
        (large.rows, each["merge_s"])
        for name, large in sizes.large.items()
        for field in ("indexes", "foreign_keys")
        for statements in zip(
            *(getattr(at[name], field) for at in (sizes.empty, sizes.small, sizes.large)),
            strict=True,
        )
        if (each := _fit(statements, (sizes.small[name].rows, large.rows), 0.0))["merge_s"]
    ]
    records = sum(rows for rows, _ in found)
    return sum(rows * merge_s for rows, merge_s in found) / records if records else 0.0
