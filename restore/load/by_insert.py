"""Rows as INSERTs in place of COPY: how most scripts load, kept to show what COPY gives."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
from psycopg import sql

from restore.decode.expressions import quoted
from restore.load.copy import SUPPRESSED, CopyFailure
from restore.load.destination import Direct, Sent
from restore.target.sqlstate import is_transient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restore.decode.codec import Codec
    from restore.decode.rows import Rows
    from restore.target.catalog import Column

_NULL = b"null"


class ByInsert(Direct):
    """Rows go straight into the table, each by an INSERT with parameters, many in one go.

    Psycopg sends them without waiting for each one's answer, so this is as fast as INSERTs are.
    """

    def copy(self, codec: Codec, rows: Rows) -> Sent | CopyFailure:
        """Take rows of one codec, by INSERT."""
        by_name = {column.name: column for column in self._table.columns}
        statement = self._statement([by_name[name] for name in codec.columns])
        parameters = [[_parameter(value) for value in row] for row in codec.values(rows)]
        try:
            with self._conn.cursor() as cursor:
                cursor.executemany(statement, parameters)
                taken = cursor.rowcount
        except psycopg.Error as error:
            if is_transient(error):
                raise
            ours = error.sqlstate is None and isinstance(error, psycopg.DataError)
            error.__traceback__ = None
            message = error.diag.message_primary or str(error)
            return CopyFailure(None if ours else error, message, None)
        return Sent(taken) if taken == len(rows) else CopyFailure(None, SUPPRESSED, None)

    def _statement(self, columns: Sequence[Column]) -> sql.Composed:
        return sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
            quoted(self._table.schema, self._table.name),
            sql.SQL(", ").join(quoted(column.name) for column in columns),
            sql.SQL(", ").join(
                sql.SQL("CAST(%s AS {})").format(quoted(column.type.schema, column.type.name))
                for column in columns
            ),
        )


def _parameter(value: Any) -> Any:  # noqa: ANN401 - whatever a column holds
    """Return a value as psycopg sends it without being told the column's type."""
    if isinstance(value, msgspec.Raw):
        text = bytes(value)
        return None if text == _NULL else text.decode()
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC)
    return value
