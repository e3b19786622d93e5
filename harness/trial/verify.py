"""Verifies the database after a trial against the ground truth.

It is independent of the engines: one SQL statement per table gives the count and the
order-independent checksum of ``docs/formats.md``, which the generator computed in Python.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from harness.model.record import TableResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.model.manifest import Form, Manifest, Table

Connection = psycopg.Connection[Any]
TableName = tuple[str, str]  # its schema and its name

# A terminated backend rolls its transaction back first, which is quick in PostgreSQL.
END_PATIENCE_S = 20.0
_END_POLL_S = 0.02

_FORMS: dict[Form, sql.SQL] = {
    "text": sql.SQL("{c}::text"),
    "epoch_us": sql.SQL(
        "CASE WHEN isfinite({c}) THEN trunc(extract(epoch from {c}) * 1000000)::bigint::text"
        " ELSE {c}::text END"
    ),
    "hex": sql.SQL("encode({c}, 'hex')"),
    "float8": sql.SQL("encode(float8send({c}::float8), 'hex')"),
    "list": sql.SQL("cardinality({c})::text || ':' || array_to_string({c}, chr(30), '\\N')"),
}
_CHECKSUM = sql.SQL(
    "SELECT count(*), coalesce(sum(('x' || left(md5(convert_to({row}, 'UTF8')), 15))"
    "::bit(60)::bigint), 0)::text FROM {table}"
)
_END_SESSIONS = sql.SQL(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type IN ('client backend', 'parallel worker')"
)
# The settings that the text forms depend on.
_SESSION = sql.SQL(
    "SELECT set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO', false),"
    " set_config('extra_float_digits', '1', false),"
    " set_config('standard_conforming_strings', 'on', false)"
)
_TABLES = sql.SQL(
    "SELECT schemaname, tablename FROM pg_tables"
    " WHERE schemaname <> 'information_schema' AND schemaname !~ '^pg_' ORDER BY 1, 2"
)


def tables_of(connection: Connection) -> list[TableName]:
    """Return the tables of a database, in all schemas."""
    return [(schema, name) for schema, name in connection.execute(_TABLES)]


def verify(
    connection: Connection, manifest: Manifest, others: Iterable[TableName] = ()
) -> tuple[TableResult, ...]:
    """Compare each table of the dataset with the ground truth.

    Args:
        connection: to the restored database, in autocommit; its session's settings are changed.
        manifest: the ground truth.
        others: all tables of the target; those that the dataset does not fill must be empty, and
            are in the result only if they are not.

    Returns:
        One result per table. A missing table or column is a mismatch with an error.

    Raises:
        psycopg.OperationalError: the server is gone.
    """
    prepare(connection)
    known = {table.table for table in manifest.tables}
    results = [_table(connection, table) for table in manifest.tables]
    unknown = [_other(connection, other) for other in others if other[1] not in known]
    return (*results, *(result for result in unknown if result.found))


def prepare(connection: Connection) -> None:
    """Set the session's settings that ``row_text`` depends on."""
    connection.execute(_SESSION)


def end_sessions(connection: Connection) -> None:
    """Terminate all other sessions of the database, and wait until they are rolled back.

    A killed engine leaves a backend that may hold locks for as long as its last statement takes.
    """
    deadline = time.monotonic() + END_PATIENCE_S
    while connection.execute(_END_SESSIONS).fetchall():
        if time.monotonic() > deadline:
            return
        time.sleep(_END_POLL_S)


def _table(connection: Connection, table: Table) -> TableResult:
    try:
        found, checksum = _count_and_sum(connection, table)
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        return TableResult(
            table=table.table,
            expected=table.rows,
            found=0,
            checksum_match=False,
            error=_one_line(error),
        )
    return TableResult(
        table=table.table,
        expected=table.rows,
        found=found,
        checksum_match=checksum == table.checksum,
    )


def _count_and_sum(connection: Connection, table: Table) -> tuple[int, str]:
    query = _CHECKSUM.format(row=row_text(table), table=sql.Identifier(table.table))
    row = connection.execute(query).fetchone()
    return row if row is not None else (0, "0")


def row_text(table: Table) -> sql.Composed:
    """Return the SQL expression that is hashed for each row of a table."""
    texts = [
        sql.SQL("coalesce({}, '\\N')").format(
            _FORMS[column.form].format(c=sql.Identifier(column.name))
        )
        for column in table.columns
    ]
    return sql.SQL(" || chr(31) || ").join(texts)


def _other(connection: Connection, name: TableName) -> TableResult:
    """Count the rows of a table that should be empty."""
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*name))
    try:
        row = connection.execute(query).fetchone()
    except psycopg.errors.UndefinedTable:
        row = None
    return TableResult(
        table=".".join(name),
        expected=0,
        found=row[0] if row else 0,
        checksum_match=False,
        error="rows in a table that the dataset does not fill",
    )


def _one_line(error: psycopg.Error) -> str:
    """Return the server's message, without the statement and its position."""
    return error.diag.message_primary or str(error).splitlines()[0]
