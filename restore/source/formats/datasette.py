"""Datasette's JSON of a table or query: rows as objects, or as lists beside their columns."""

from __future__ import annotations

from restore.source.formats.columns_and_rows import ColumnsAndRows

FORMAT = ColumnsAndRows(
    "datasette",
    "JSON of Datasette",
    "an object of `columns` (names), `rows` (objects or lists) and others such as `truncated`",
    columns=("columns",),
    rows=("rows",),
    following=("next", "truncated"),
)
