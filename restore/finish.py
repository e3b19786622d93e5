"""What a table needs when its rows are in: indexes, sequences, statistics.

That is the server's work, so it goes on in a session of its own while the next table is loaded.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from psycopg import sql

from restore.constraints import bring_indexes_back
from restore.sequences import set_sequences
from restore.session import connect

if TYPE_CHECKING:
    from types import TracebackType

    import psycopg

    from restore.catalog import Table
    from restore.options import Options

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


def _analyze_statement(table: Table) -> sql.Composed:
    """Return an ANALYZE of the columns that queries compare.

    Documents and bytes cost the most to sort and are hardly ever compared whole. Since this is no
    ANALYZE of the whole table, autovacuum will still do that in its own time.
    """
    columns = [column for column in table.columns if column.type.name not in _NOT_COMPARED]
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
    return sql.SQL("ANALYZE {} ({})" if columns else "ANALYZE {}").format(table.identifier, names)
