"""Identifies the rows that this restore wrote, by the transactions that wrote them.

Each transaction that writes rows of a table also writes its number down, in the same transaction.
A row is ours if its ``xmin`` is among these numbers. That holds whatever others write meanwhile,
and for rows that were frozen long ago (their ``xmin`` stays, and ``age`` of it may be negative).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from psycopg import sql

if TYPE_CHECKING:
    import psycopg


class WriteLog(Struct, frozen=True):
    """A table of the transactions that wrote rows.

    Args:
        schema: ``restore_journal``, or ``pg_temp`` for the rows of one session.
    """

    schema: str

    def record(self, conn: psycopg.Connection, oid: int) -> None:
        """Record that the current transaction, or savepoint, writes rows of a table."""
        tables = {"store": self._table("writes"), "ticks": self._table("ticks")}
        conn.execute(_NOTE.format(**tables), [oid])

    def _table(self, name: str) -> sql.Identifier:
        return sql.Identifier(self.schema, f"restore_{name}")

    def is_ours(self, oid: int, row: str) -> sql.Composed:
        """Return the condition on which this restore wrote a row of a table.

        Args:
            oid: the table's.
            row: the row's alias in the query.
        """
        return sql.SQL(
            "EXISTS (SELECT FROM {store} AS {alias}"
            " WHERE {alias}.oid OPERATOR(pg_catalog.=) {oid}::pg_catalog.oid"
            " AND {alias}.xid OPERATOR(pg_catalog.=) {row}.xmin)"
        ).format(
            store=self._table("writes"),
            alias=sql.Identifier("restore_note" if row != "restore_note" else "restore_note_2"),
            oid=sql.Literal(oid),
            row=sql.Identifier(row),
        )


_TEMPORARY = "pg_temp"
# The journal creates its table: see ``journal.store``.
JOURNALED = WriteLog("restore_journal")
MAKE = """
    CREATE TABLE restore_journal.restore_writes (oid oid NOT NULL, xid xid NOT NULL);
    CREATE INDEX ON restore_journal.restore_writes USING hash (xid);
    CREATE TABLE restore_journal.restore_ticks ();
"""
_MAKE_TEMPORARY = """
    CREATE TEMP TABLE IF NOT EXISTS restore_ticks ();
    CREATE TEMP TABLE IF NOT EXISTS restore_writes (oid oid NOT NULL, xid xid NOT NULL);
    CREATE INDEX IF NOT EXISTS restore_writes_xid ON pg_temp.restore_writes USING hash (xid)
"""
# A savepoint has a number of its own, which only a row that was written in it tells.
_NOTE = sql.SQL("""
    WITH restore_tick AS (
        INSERT INTO {ticks} AS t DEFAULT VALUES RETURNING t.xmin AS xid
    )
    INSERT INTO {store} (oid, xid)
    SELECT %s::pg_catalog.oid, restore_tick.xid FROM restore_tick
""")


def temporary_write_log(conn: psycopg.Connection) -> WriteLog:
    """Create a write log for one session, for a restore without a journal."""
    conn.execute(_MAKE_TEMPORARY)
    return WriteLog(_TEMPORARY)
