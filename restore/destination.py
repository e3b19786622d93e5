"""Where rows go: straight into the table, or, beside rows that are there, by way of a staging one.

Both are atomic for each call: all of its rows arrive, or none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import psycopg
from psycopg import sql

from restore.copy import CopyFailure, copy_rows, copy_statement
from restore.errors import SchemaError
from restore.session import current_transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restore.catalog import Column, Table
    from restore.decode import Codec
    from restore.options import OnConflict
    from restore.packed import Rows

# Each record of a hostile backup may have fields of its own.
_MOST_STATEMENTS = 200

_STAGING = sql.Identifier("pg_temp", "restore_staging")


class Sent(NamedTuple):
    """What became of rows: loaded (of which ``replaced`` took others' place), or left out."""

    loaded: int
    skipped: int = 0
    replaced: int = 0


class Value(NamedTuple):
    """A value for one column, and the expression around its placeholder."""

    column: Column
    value: Any
    expression: sql.Composable


class Destination(Protocol):
    """Takes the rows of one table."""

    def copy(self, codec: Codec, rows: Rows) -> Sent | CopyFailure:
        """Take rows of one codec, by COPY."""

    def insert(self, values: Sequence[Value]) -> Sent:
        """Take one row. Nothing loaded nor skipped: the table has a row with this key.

        Raises:
            psycopg.Error: the server refused it.
        """


class Direct:
    """Rows go straight into the table.

    Args:
        conn: a connection that commits each statement.
        table: the target.
    """

    def __init__(self, conn: psycopg.Connection, table: Table) -> None:
        self._conn = conn
        self._table = table
        self._copies: dict[tuple[str, ...], bytes] = {}
        self._inserts: dict[tuple[tuple[str, str], ...], bytes] = {}

    def copy(self, codec: Codec, rows: Rows) -> Sent | CopyFailure:
        """Take rows of one codec, by COPY."""
        statement = self._copies.get(codec.columns)
        if statement is None:
            composed = copy_statement(self._table.identifier, codec)
            statement = self._copies[codec.columns] = composed.as_bytes(self._conn)
        return copy_rows(self._conn, statement, codec, rows) or Sent(len(rows))

    def insert(self, values: Sequence[Value]) -> Sent:
        """Take one row.

        Raises:
            psycopg.Error: the server refused it.
        """
        form = tuple((v.column.name, v.expression.as_string(self._conn)) for v in values)
        statement = self._inserts.get(form)
        if statement is None:
            statement = insert_statement(self._table, values).as_bytes(self._conn)
            if len(self._inserts) < _MOST_STATEMENTS:
                self._inserts[form] = statement
        self._conn.execute(statement, [value.value for value in values])
        return Sent(1)


_TWICE = CopyFailure(None, "a key is in the backup twice", None)


class Merged:
    """Rows go beside others that are there; ``skip`` leaves these, ``replace`` overwrites them.

    A COPY cannot say ON CONFLICT, so it goes to a temporary table first. Of two records of the
    backup with one key the first wins, as everywhere: ``replace`` overwrites only rows that are
    older than this restore.

    Args:
        conn: a connection that commits each statement.
        table: the target.
        mode: ``skip`` or ``replace``.
        since: rows of transactions up to this one are older than this restore.

    Raises:
        SchemaError: a row to replace could not be told by a key.
    """

    def __init__(
        self, conn: psycopg.Connection, table: Table, mode: OnConflict, since: str
    ) -> None:
        self._conn = conn
        self._table = table
        self._replaces = mode == "replace"
        self._key = key_to_replace_by(table) if self._replaces else ()
        # Rows of later transactions are ours.
        self._older = sql.SQL("age(t.xmin) > age({}::text::xid)").format(sql.Literal(since))
        conn.execute(
            sql.SQL(
                "DROP TABLE IF EXISTS {staging};"
                " CREATE TEMP TABLE restore_staging (LIKE {table}) ON COMMIT DELETE ROWS"
            ).format(staging=_STAGING, table=table.identifier)
        )
        for column in table.columns:
            conn.execute(
                sql.SQL("ALTER TABLE {} ALTER {} DROP NOT NULL").format(
                    _STAGING, sql.Identifier(column.name)
                )
            )

    def copy(self, codec: Codec, rows: Rows) -> Sent | CopyFailure:
        """Take rows of one codec, by COPY."""
        outcome: Sent | CopyFailure | None = None
        try:
            with self._conn.transaction():
                # COPYs may share a transaction, and only at its end do the rows go by themselves.
                self._conn.execute(sql.SQL("DELETE FROM {}").format(_STAGING))
                outcome = copy_rows(self._conn, copy_statement(_STAGING, codec), codec, rows)
                outcome = outcome or self._move(codec.columns, len(rows))
                if isinstance(outcome, CopyFailure):
                    raise psycopg.Rollback
        except psycopg.errors.CardinalityViolation:
            return _TWICE
        except psycopg.Error as error:
            return CopyFailure(error, error.diag.message_primary or str(error), None)
        return outcome

    def _move(self, columns: Sequence[str], count: int) -> Sent | CopyFailure:
        """Move what is staged into the table."""
        names = sql.SQL(", ").join(map(quoted, columns))
        there = self._count_there(columns)
        moved = self._conn.execute(
            sql.SQL("INSERT INTO {} AS t ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} {}").format(
                quoted(self._table.schema, self._table.name),
                names,
                names,
                _STAGING,
                self._on_conflict(columns),
            ),
            [],
        ).rowcount
        if moved < count - (0 if self._replaces else there):
            # Some keys are in the backup twice: which ones shows row by row.
            return _TWICE
        return Sent(moved, 0, there) if self._replaces else Sent(moved, there)

    def _count_there(self, columns: Sequence[str]) -> int:
        """Count the staged rows of which a key is that of a row older than this restore."""
        keys = [self._key] if self._replaces else [k.columns for k in self._table.unique_keys]
        there = [self._is_there(key) for key in keys if set(key) <= set(columns)]
        if not there:
            return 0
        query = sql.SQL("SELECT count(*) FROM {} s WHERE {}").format(
            _STAGING, sql.SQL(" OR ").join(there)
        )
        return int(self._conn.execute(query).fetchall()[0][0])

    def _is_there(self, key: Sequence[str]) -> sql.Composable:
        return sql.SQL("EXISTS (SELECT FROM {} t WHERE {} AND {})").format(
            self._table.identifier,
            sql.SQL(" AND ").join(
                sql.SQL("s.{0} = t.{0}").format(sql.Identifier(name)) for name in key
            ),
            self._older,
        )

    def insert(self, values: Sequence[Value]) -> Sent:
        """Take one row. Nothing loaded nor skipped: the backup has had this key before.

        Raises:
            psycopg.Error: the server refused it.
        """
        columns = [value.column.name for value in values]
        statement = insert_statement(self._table, values) + self._on_conflict(columns)
        parameters = [value.value for value in values]
        moved = self._conn.execute(statement, parameters).rowcount
        if moved or self._replaces:
            return Sent(moved)
        with self._conn.transaction():
            self._conn.execute(sql.SQL("DELETE FROM {}").format(_STAGING))
            self._conn.execute(insert_statement_into(_STAGING, values), parameters)
            return Sent(0, self._count_there(columns))

    def _on_conflict(self, columns: Sequence[str]) -> sql.Composable:
        if not self._replaces:
            return sql.SQL(" ON CONFLICT DO NOTHING")
        always = {column.name for column in self._table.columns if column.identity == "a"}
        others = [name for name in columns if name not in self._key and name not in always]
        sets = [
            sql.SQL("{0} = excluded.{0}").format(quoted(name)) for name in others or self._key[:1]
        ]
        return sql.SQL(" ON CONFLICT ({}) DO UPDATE SET {} WHERE {}").format(
            sql.SQL(", ").join(map(quoted, self._key)), sql.SQL(", ").join(sets), self._older
        )


def destination_for(
    conn: psycopg.Connection, table: Table, on_conflict: OnConflict, since: str | None = None
) -> Destination:
    """Return how rows go in where ``on_conflict`` decides about keys that are there.

    Args:
        conn: a connection that commits each statement.
        table: the target.
        on_conflict: what becomes of a record whose key is there already.
        since: rows of later transactions than this are ours; None: than now.

    Raises:
        SchemaError: rows to replace could not be told by a key.
    """
    if on_conflict == "reject":
        return Direct(conn, table)
    return Merged(conn, table, on_conflict, since or current_transaction(conn))


def key_to_replace_by(table: Table) -> tuple[str, ...]:
    """Return the columns by which a row to replace is told: the primary key's, or another key's.

    Raises:
        SchemaError: the table has no key.
    """
    if not table.unique_keys:
        raise SchemaError(
            f"--on-conflict replace tells rows by a key, and table {table.name} has none: use skip"
            " or reject"
        )
    return table.unique_keys[0].columns


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


def quoted(*names: str) -> sql.Identifier:
    """Quote names for a statement with parameters, in which psycopg reads ``%%`` as ``%``."""
    return sql.Identifier(*(name.replace("%", "%%") for name in names))
