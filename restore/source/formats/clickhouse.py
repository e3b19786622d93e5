"""ClickHouse's formats JSON and JSONCompact; its JSONEachRow is plain records."""

from __future__ import annotations

from restore.source.formats.columns_and_rows import ColumnsAndRows

_COUNTS = {"rows", "rows_before_limit_at_least", "rows_before_aggregation", "exception"}

FORMAT = ColumnsAndRows(
    "clickhouse",
    "ClickHouse's FORMAT JSON",
    "an object of `meta`, `data` (objects or lists) and counts such as `rows`",
    columns=("meta",),
    rows=("data",),
    others=frozenset({"totals", "extremes", "statistics", *_COUNTS}),
)
