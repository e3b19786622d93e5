"""What a table needs when its rows are in: indexes, sequences, statistics.

That is the server's work, so it goes on in a session of its own while the next table is loaded.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from psycopg import sql

from restore.constraints import bring_indexes_back
from restore.session import connect

if TYPE_CHECKING:
    from types import TracebackType

    import psycopg

    from restore.catalog import Sequence, Table
    from restore.options import Options

# The next value has to lie beyond the column's last: its highest, or its lowest where the sequence
# counts down. The sequence stays on its own steps, so that two that take turns do not meet. At
# equality too: a sequence that was never used stands at its first value without having given it.
# Where no step of its own is left, it is set to its end, and the next value is an error.
_SET_SEQUENCE = sql.SQL(
    "SELECT setval({name}, (CASE WHEN step BETWEEN {least} AND {most} THEN step ELSE {end} END)"
    "::bigint)"
    " FROM (SELECT s.last_value + ceil((v.last - s.last_value) / {by}) * {by},"
    " (v.last - s.last_value) * sign({by})"
    " FROM {sequence} AS s, (SELECT trunc({last}({column})::numeric) FROM {table}"
    " WHERE {column} BETWEEN {least} AND {most}) AS v (last)) AS w (step, ahead)"
    " WHERE ahead >= 0"
)
_BEYOND = sql.SQL("SELECT EXISTS (SELECT FROM {table} WHERE {column} {beyond} {end})")
_WITHOUT_WORKERS = "SET max_parallel_maintenance_workers = 0"
_WITH_WORKERS = "RESET max_parallel_maintenance_workers"
_NOT_COMPARED = frozenset({"json", "jsonb", "bytea", "xml"})


class Finisher:
    """Finishes tables one after the other, in the background.

    Args:
        options: the target, and how its sessions are set up.
    """

    def __init__(self, options: Options) -> None:
        self._conn = connect(options.dsn, lock_timeout_s=options.lock_timeout_s)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="finish")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._conn.cancel_safe()  # what it is doing is of no use any more
        self._thread.shutdown(cancel_futures=error is not None)
        self._conn.close()

    def submit(self, table: Table, *, beside_load: bool) -> Future[list[str]]:
        """Have a table finished.

        Args:
            table: the table, loaded.
            beside_load: another table is loaded meanwhile. Then indexes are built without parallel
                workers, which would take the processors from the load.

        Returns:
            A future: warnings. It raises psycopg.Error where the server refuses.
        """
        return self._thread.submit(self._finish, table, beside_load)

    def _finish(self, table: Table, beside_load: bool) -> list[str]:  # noqa: FBT001 - a thread's call
        self._conn.execute(_WITHOUT_WORKERS if beside_load else _WITH_WORKERS)
        return finish(self._conn, table)


def finish(conn: psycopg.Connection, table: Table) -> list[str]:
    """Build a table's indexes that are aside, set its sequences, gather its statistics.

    Returns:
        Warnings: sequences that cannot go on after the table's values.

    Raises:
        psycopg.Error: the server refused; with a data error, a row does not fit an index.
    """
    bring_indexes_back(conn, table)
    warnings = set_sequences(conn, table)
    conn.execute(_analyze_statement(table))
    return warnings


def set_sequences(conn: psycopg.Connection, table: Table) -> list[str]:
    """Set a table's sequences beyond the values in their columns; never back.

    Returns:
        Warnings: sequences that the role may not set, or whose range the values leave.
    """
    found = [_set_sequence(conn, table, sequence) for sequence in table.sequences]
    return [warning for warnings in found for warning in warnings]


def _set_sequence(conn: psycopg.Connection, table: Table, sequence: Sequence) -> list[str]:
    shown = f"sequence {sequence.schema}.{sequence.name} of {table.name}.{sequence.column}"
    if not sequence.may_set:
        why = "the role may not; its owner can GRANT SELECT, UPDATE on it"
        return [f"{shown} is not set beyond the restored values: {why}"]
    if not sequence.numbers:
        return [f"{shown} makes part of its values: set it beyond the restored ones yourself"]
    up = sequence.increment > 0
    parts = {
        "name": sql.Literal(sequence.identifier.as_string(conn)),
        "sequence": sequence.identifier,
        "by": sql.Literal(sequence.increment),
        "last": sql.SQL("max" if up else "min"),
        "column": sql.Identifier(sequence.column),
        "table": table.identifier,
        "least": sql.Literal(sequence.least),
        "most": sql.Literal(sequence.most),
        "end": sql.Literal(sequence.most if up else sequence.least),
        "beyond": sql.SQL(">" if up else "<"),
    }
    conn.execute(_SET_SEQUENCE.format(**parts))
    if conn.execute(_BEYOND.format(**parts)).fetchone() != (True,):
        return []
    end = sequence.most if up else sequence.least
    return [f"{shown} ends at {end}, and the column holds values beyond that: it cannot follow"]


def _analyze_statement(table: Table) -> sql.Composed:
    """Return an ANALYZE of the columns that queries compare.

    Documents and bytes cost the most to sort and are hardly ever compared whole. Since this is no
    ANALYZE of the whole table, autovacuum will still do that in its own time.
    """
    columns = [column for column in table.columns if column.type.name not in _NOT_COMPARED]
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
    return sql.SQL("ANALYZE {} ({})" if columns else "ANALYZE {}").format(table.identifier, names)
