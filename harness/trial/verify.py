"""Verifies the rows of a database after a trial against the ground truth.

It is independent of the engines: one SQL statement per table gives the count and the checksum of
``docs/interfaces.md``, which the generator computed in Python. If they differ, each row is looked
up in the ground truth.
"""

from __future__ import annotations

import time
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from harness.model import manifest
from harness.model.record import TableResult
from harness.servers.errors import ServerError
from harness.trial import row_hash

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from harness.model.manifest import Manifest, Table
    from harness.trial.row_hash import TableName, TableTruth

Connection = psycopg.Connection[Any]

# A terminated backend rolls its transaction back first, which is quick in PostgreSQL.
END_PATIENCE_S = 20.0
_END_POLL_S = 0.02

_END_SESSIONS = sql.SQL(
    "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid() AND (datname = current_database()"
    " AND backend_type <> 'autovacuum worker'"
    " OR cardinality(%(spared)s::int[]) > 0 AND pid <> ALL (%(spared)s)"
    " AND backend_type = 'client backend')"
)
_TABLES = sql.SQL(
    "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    # The rows of a partition are those of its table.
    " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition"
    " AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' ORDER BY 1, 2"
)


def tables_of(connection: Connection) -> list[TableName]:
    """Return the tables of a database, in all schemas."""
    return [(schema, name) for schema, name in connection.execute(_TABLES)]


def other_tables(connection: Connection, truth: Manifest) -> dict[TableName, TableTruth]:
    """Return the tables of an empty target that the dataset does not fill, with their rows."""
    named = {table.name for table in truth.tables}
    row_hash.prepare(connection)
    return {
        name: row_hash.truth_of(connection, name)
        for name in tables_of(connection)
        if name not in named
    }


def verify(
    connection: Connection,
    dataset: Path,
    truth: Manifest,
    others: Mapping[TableName, TableTruth] = MappingProxyType({}),
) -> tuple[TableResult, ...]:
    """Compare each table of the dataset with the ground truth.

    Args:
        connection: to the restored database, in autocommit; its session's settings are changed.
        dataset: the dataset's folder, for the hashes of its rows.
        truth: its ground truth.
        others: the target's other tables before the trial, which must be unchanged; in the result
            are those that are not.

    Returns:
        One result per table. A missing table or column is a mismatch with an error.

    Raises:
        InputError: the hashes of the rows cannot be read.
        psycopg.OperationalError: the server is gone.
    """
    row_hash.prepare(connection)
    results = [_table(connection, table, dataset, truth) for table in truth.tables]
    unnamed = [_other(connection, name, before) for name, before in others.items()]
    return (*results, *(result for result in unnamed if result is not None))


def end_sessions(connection: Connection, spared: Collection[int] = ()) -> None:
    """Terminate all other sessions of the database, and wait until they are rolled back.

    A killed engine leaves a backend that may hold locks for as long as its last statement takes.

    Args:
        connection: to the database.
        spared: process ids. If there are any, sessions of other databases that are not among them
            are terminated too: from there, an engine could go on by ``dblink``.

    Raises:
        ServerError: one does not end.
    """
    deadline = time.monotonic() + END_PATIENCE_S
    while left := connection.execute(_END_SESSIONS, {"spared": list(spared)}).fetchall():
        if time.monotonic() > deadline:
            pids = ", ".join(str(pid) for pid, _ in left)
            raise ServerError(
                f"sessions on the server did not end within {END_PATIENCE_S:g} s: {pids}",
                "end these processes",
            )
        time.sleep(_END_POLL_S)


def _table(connection: Connection, table: Table, dataset: Path, truth: Manifest) -> TableResult:
    try:
        found, checksum = row_hash.count_and_checksum(connection, table.name, table.columns)
        match = (found, checksum) == (table.rows, table.checksum)
        right = table.rows if match else _right_rows(connection, table, dataset, truth)
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        return TableResult(
            table=table.table,
            expected=table.rows,
            found=0,
            right=0,
            checksum_match=False,
            error=_one_line(error),
        )
    return TableResult(
        table=table.table, expected=table.rows, found=found, right=right, checksum_match=match
    )


def _right_rows(connection: Connection, table: Table, dataset: Path, truth: Manifest) -> int:
    """Count the rows that are in the ground truth too, each as often as it is there."""
    data, size = manifest.row_hashes(dataset, truth, table.table), manifest.ROW_HASH_BYTES
    left = Counter(data[start : start + size] for start in range(0, len(data), size))
    right = 0
    for found in row_hash.row_hashes(connection, table.name, table.columns):
        if left.get(found):
            left[found] -= 1
            right += 1
    return right


def _other(connection: Connection, name: TableName, before: TableTruth) -> TableResult | None:
    """Return how a table that the dataset does not fill differs from before; None if it does not.

    If it is gone or has other columns, its schema differs, which is reported as such.
    """
    try:
        found, checksum = row_hash.count_and_checksum(connection, name, before.columns)
    except psycopg.OperationalError:
        raise
    except psycopg.Error:
        return None
    if (found, checksum) == (before.rows, before.checksum):
        return None
    return TableResult(
        table=".".join(name),
        expected=before.rows,
        found=found,
        right=0,
        checksum_match=False,
        error="rows changed in a table that the dataset does not fill",
    )


def _one_line(error: psycopg.Error) -> str:
    """Return the server's message, without the statement and its position."""
    return error.diag.message_primary or str(error).splitlines()[0]
