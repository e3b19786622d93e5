"""Expressions that make a column's value of a text, or of a JSON document, on the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from psycopg import sql

from restore.decode.composites import holds_objects

if TYPE_CHECKING:
    from restore.target.catalog import Column

Form = Literal["plain", "instant", "object", "objects"]
"""How a value is made: as its type reads it; as an instant, of which a column without a time zone
keeps the time in the session's; of a composite type, or an array of one, from its JSON."""

_PLACEHOLDER = sql.SQL("%s")
_INSTANT = sql.SQL("CAST(CAST(%s AS pg_catalog.timestamptz) AS pg_catalog.timestamp)")
_OBJECT = sql.SQL("pg_catalog.json_populate_record(NULL::{type}, CAST(%s AS pg_catalog.json))")
_OBJECTS = sql.SQL(
    "ARRAY(SELECT CASE"
    " WHEN pg_catalog.json_typeof(restore_item.e) OPERATOR(pg_catalog.=) 'object'"
    " THEN pg_catalog.json_populate_record(NULL::{type}, restore_item.e)"
    " WHEN pg_catalog.json_typeof(restore_item.e) OPERATOR(pg_catalog.<>) 'null'"
    " THEN CAST(restore_item.e OPERATOR(pg_catalog.#>>) '{{}}' AS {type}) END"
    " FROM pg_catalog.json_array_elements(CAST(%s AS pg_catalog.json)) AS restore_item(e))"
)


def form_of(column: Column, raw: bytes, *, is_instant: bool) -> Form:
    """Return how a column's value is made of what stands for a JSON value.

    Args:
        column: the column.
        raw: the JSON value.
        is_instant: what stands for it has a time zone, or only the server knows.
    """
    if is_instant and column.type.name == "timestamp":
        # PostgreSQL drops an offset in a literal of this type in silence.
        return "instant"
    element = column.type.element
    if column.type.kind == "c" and raw[:1] == b"{":
        return "object"
    if element is not None and element.kind == "c" and raw[:1] == b"[" and holds_objects(raw):
        return "objects"
    return "plain"


def expression_of(column: Column, form: Form) -> sql.Composable:
    """Return the expression for a column's value, with its placeholder."""
    type_ = column.type.element if form == "objects" else column.type
    if form == "plain" or type_ is None:
        return _PLACEHOLDER
    if form == "instant":
        return _INSTANT
    name = quoted(type_.schema, type_.name)
    return (_OBJECT if form == "object" else _OBJECTS).format(type=name)


def quoted(*names: str) -> sql.Identifier:
    """Quote names for a statement with parameters, in which psycopg reads ``%%`` as ``%``."""
    return sql.Identifier(*(name.replace("%", "%%") for name in names))
