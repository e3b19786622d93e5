"""Expressions that make a column's value of a text on the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from psycopg import sql

if TYPE_CHECKING:
    from restore.target.catalog import Column

Form = Literal["plain", "instant"]
"""How a value is made: as its type reads it; as an instant, of which a column without a time zone
keeps the time in the session's."""

_PLACEHOLDER = sql.SQL("%s")
_INSTANT = sql.SQL("CAST(CAST(%s AS pg_catalog.timestamptz) AS pg_catalog.timestamp)")


def form_of(column: Column, *, is_instant: bool) -> Form:
    """Return how a column's value is made of what stands for a JSON value.

    Args:
        column: the column.
        is_instant: what stands for it has a time zone, or only the server knows.
    """
    # PostgreSQL drops an offset in a literal of this type in silence.
    return "instant" if is_instant and column.type.name == "timestamp" else "plain"


def expression_of(form: Form) -> sql.Composable:
    """Return the expression for a value, with its placeholder."""
    return _INSTANT if form == "instant" else _PLACEHOLDER


def quoted(*names: str) -> sql.Identifier:
    """Quote names for a statement with parameters, in which psycopg reads ``%%`` as ``%``."""
    return sql.Identifier(*(name.replace("%", "%%") for name in names))
