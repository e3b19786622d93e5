"""Results of queries that name their columns once: of Oracle's tools, and of rqlite."""

from __future__ import annotations

from restore.source.formats.columns_and_rows import ColumnsAndRows
from restore.source.formats.paths import ITEM

ORACLE = ColumnsAndRows(
    "oracle",
    "JSON of SQL Developer or SQLcl",
    "an object of just `results`: a list of objects of `columns` and `items`",
    columns=("results", ITEM, "columns"),
    rows=("results", ITEM, "items"),
    others=frozenset(),
)
RQLITE = ColumnsAndRows(
    "rqlite",
    "an answer of rqlite",
    "`results`: a list of objects of `columns`, `types` and `values`",
    columns=("results", ITEM, "columns"),
    rows=("results", ITEM, "values"),
    others=frozenset({"time"}),
)
