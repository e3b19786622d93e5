"""Rows that a format finds, with the tables that they are of."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from restore.source.formats.format import TableColumns
from restore.tests.formats.reading import found_in

if TYPE_CHECKING:
    from restore.source.formats.format import Format


def table(*names: str, key: tuple[str, ...] = ("id",)) -> TableColumns:
    """Return the columns of a table, of which ``key`` are its primary key."""
    return TableColumns(names, key)


def rows(
    reader: Format, data: bytes, tables: dict[str, TableColumns] | None = None
) -> list[tuple[str | None, dict[str, Any]]]:
    """Return the tables and rows that a format finds, with numbers digit for digit."""
    found = found_in(reader, data, tables)
    assert not any(b"\n" in one.data or b"\r" in one.data for one in found)
    return [(one.table, json.loads(one.data, parse_float=Decimal)) for one in found]
