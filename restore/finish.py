"""What a table needs when its rows are in: indexes, sequences, statistics.

That is the server's work, so it goes on in sessions of their own while other tables are loaded.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

from psycopg import sql

from restore.back import bring_indexes_back
from restore.sequences import set_sequences
from restore.sessions import Sessions, grant_workers

if TYPE_CHECKING:
    from concurrent.futures import Future
    from types import TracebackType

    import psycopg

    from restore.catalog import Table
    from restore.options import Options

_NOT_COMPARED = frozenset({"json", "jsonb", "bytea", "xml"})


class Finisher:
    """Finishes tables in the background, as many at a time as there are jobs.

    The indexes of one table are built by one session, one after the other.

    Args:
        options: the target, how its sessions are set up, and how many there may be.

    Raises:
        LoadError: no session can be had.
    """

    def __init__(self, options: Options) -> None:
        self._jobs = options.processes
        self._sessions = Sessions(options, options.processes)

    def __enter__(self) -> Self:
        self._sessions.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sessions.__exit__(kind, error, trace)

    def submit(self, table: Table, *, beside_load: bool) -> Future[list[str]]:
        """Have a table finished.

        Args:
            table: the table, loaded.
            beside_load: another table is loaded meanwhile. Then indexes are built without parallel
                workers, which would take the processors from the load.

        Returns:
            A future: warnings. It raises psycopg.Error where the server refuses.
        """
        return self._sessions.submit(partial(self._finish, table, beside_load))

    def _finish(self, table: Table, beside_load: bool, conn: psycopg.Connection) -> list[str]:  # noqa: FBT001 - a thread's call
        grant_workers(conn, 0 if beside_load else self._jobs, self._jobs)
        return finish(conn, table)


def finish(conn: psycopg.Connection, table: Table) -> list[str]:
    """Build a table's indexes that are aside, set its sequences, gather its statistics.

    Returns:
        Warnings: sequences that cannot go on after the table's values.

    Raises:
        psycopg.Error: the server refused; with a data error, a row does not fit an index. Of the
            table's indexes, that one and those after it are still aside.
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
