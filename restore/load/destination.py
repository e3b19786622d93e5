"""Where rows go: straight into the table here, by way of a staging table in ``upsert``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import psycopg
from psycopg import sql

from restore.decode.expressions import Form, expression_of, quoted
from restore.load.copy import SUPPRESSED, CopyFailure, copy_rows, copy_statement
from restore.target.sqlstate import is_transient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restore.decode.codec import Codec
    from restore.decode.rows import PackedRows
    from restore.target.catalog import Column, Table

# Each record of a hostile backup may have fields of its own.
_MOST_STATEMENTS = 200


class Sent(NamedTuple):
    """What became of rows: loaded (of which ``replaced`` took others' place), or left out."""

    loaded: int
    skipped: int = 0
    replaced: int = 0


class Value(NamedTuple):
    """A value for one column, and the form of the expression around its placeholder."""

    column: Column
    value: Any
    form: Form = "plain"

    @property
    def expression(self) -> sql.Composable:
        """The expression, for a statement with a parameter."""
        return expression_of(self.form)


class KeptOutError(Exception):
    """A trigger of the table's kept a row out, without an error."""

    def __init__(self) -> None:
        super().__init__("a trigger of the table kept the row out")


class Destination(Protocol):
    """Takes the rows of one table, within a transaction that its caller gives."""

    def copy(self, codec: Codec, rows: PackedRows) -> Sent | CopyFailure:
        """Take rows of one codec, by COPY."""

    def insert(self, values: Sequence[Value]) -> Sent:
        """Take one row.

        Raises:
            psycopg.Error: the server refused it.
            KeptOutError: a trigger kept it out.
        """

    def probe(self, columns: Sequence[str]) -> None:
        """Write no rows into these columns.

        Raises:
            psycopg.Error: the table takes none.
        """


class CopyDestination:
    """Rows go straight into the table.

    Args:
        conn: a connection that commits each statement.
        table: the target.
    """

    def __init__(self, conn: psycopg.Connection, table: Table) -> None:
        self._conn = conn
        self._table = table
        self._copies: dict[tuple[str, ...], bytes] = {}
        self._inserts: dict[tuple[tuple[str, Form], ...], bytes] = {}

    def copy(self, codec: Codec, rows: PackedRows) -> Sent | CopyFailure:
        """Take rows of one codec, by COPY; without a column, by an INSERT."""
        if not codec.columns:
            return self._make_rows(len(rows))
        statement = self._copies.get(codec.columns)
        if statement is None:
            composed = copy_statement(self._table.identifier, codec)
            statement = self._copies[codec.columns] = composed.as_bytes(self._conn)
        name = self._table.name
        outcome = copy_rows(self._conn, statement, codec, rows, relation=name)
        return outcome if isinstance(outcome, CopyFailure) else Sent(outcome)

    def _make_rows(self, count: int) -> Sent | CopyFailure:
        """Make rows of defaults alone: COPY takes no empty list of columns."""
        insert = sql.SQL("INSERT INTO {} SELECT FROM pg_catalog.generate_series(1, {})")
        try:
            made = self._conn.execute(insert.format(self._table.identifier, count)).rowcount
        except psycopg.Error as error:
            if is_transient(error):
                raise
            return CopyFailure(error, error.diag.message_primary or str(error), None)
        return Sent(made) if made == count else CopyFailure(None, SUPPRESSED, None)

    def insert(self, values: Sequence[Value]) -> Sent:
        """Take one row.

        Raises:
            psycopg.Error: the server refused it.
            KeptOutError: a trigger kept it out.
        """
        statement = self.insert_of(values)
        if not self._conn.execute(statement, [value.value for value in values]).rowcount:
            raise KeptOutError
        return Sent(1)

    def insert_of(self, values: Sequence[Value]) -> bytes:
        """Return the INSERT of one row, its values as parameters."""
        form = tuple((value.column.name, value.form) for value in values)
        statement = self._inserts.get(form)
        if statement is None:
            statement = insert_statement(self._table, values).as_bytes(self._conn)
            if len(self._inserts) < _MOST_STATEMENTS:
                self._inserts[form] = statement
        return statement

    def probe(self, columns: Sequence[str]) -> None:
        """Write no rows into these columns.

        Raises:
            psycopg.Error: the table takes none.
        """
        statement = sql.SQL("INSERT INTO {} {} OVERRIDING SYSTEM VALUE SELECT {} WHERE false")
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        self._conn.execute(
            statement.format(
                self._table.identifier,
                sql.SQL("({})").format(names) if columns else sql.SQL(""),
                sql.SQL(", ").join([sql.NULL] * len(columns)),
            )
        )


def insert_statement(table: Table, values: Sequence[Value]) -> sql.Composed:
    """Return the INSERT of one row, its values as parameters."""
    return insert_statement_into(quoted(table.schema, table.name), values)


def insert_statement_into(into: sql.Identifier, values: Sequence[Value]) -> sql.Composed:
    """Return the INSERT of one row into a table by its quoted name."""
    if not values:
        return sql.SQL("INSERT INTO {} AS t DEFAULT VALUES").format(into)
    return sql.SQL("INSERT INTO {} AS t ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
        into,
        sql.SQL(", ").join(quoted(value.column.name) for value in values),
        sql.SQL(", ").join(value.expression for value in values),
    )
