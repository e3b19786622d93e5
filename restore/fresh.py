"""A table is filled in the transaction that empties it.

Its rows come frozen (``COPY ... FREEZE``), so that nobody has to mark them later, and where the
server writes no more log than it needs (``wal_level=minimal``) none is written for them: they are
on disk when the transaction ends. That lasts as long as all goes well. The first record that has to
be looked at by itself ends the transaction; a COPY that is refused undoes it, and the table is
loaded again without. See PostgreSQL's manual, COPY, and "Populating a Database".
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from restore.catalog import Table

# Emptying a table with a trigger on TRUNCATE, or one that others refer to, is not ours to do.
_MAY_BE_FRESH = """
    SELECT c.oid FROM pg_class c
    WHERE c.oid = ANY(%s) AND current_setting('wal_level') = 'minimal'
      AND c.relkind = 'r' AND c.relpersistence = 'p' AND has_table_privilege(c.oid, 'TRUNCATE')
      AND NOT EXISTS (SELECT FROM pg_constraint k
                      WHERE k.contype = 'f' AND k.confrelid = c.oid AND k.conrelid <> c.oid)
      AND NOT EXISTS (SELECT FROM pg_trigger t
                      WHERE t.tgrelid = c.oid AND t.tgtype & 32 <> 0 AND t.tgenabled <> 'D')
"""


class ThawedError(Exception):
    """Rows were refused, or the table is in use: nothing is loaded that way."""


def may_be_fresh(conn: psycopg.Connection, oids: Iterable[int]) -> set[int]:
    """Return those of these tables that may be filled so, on a server where it saves the log."""
    return {oid for (oid,) in conn.execute(_MAY_BE_FRESH, [list(oids)]).fetchall()}


@contextlib.contextmanager
def emptied(conn: psycopg.Connection, table: Table) -> Iterator[None]:
    """Empty a table, and end the transaction when all is done.

    Args:
        conn: a connection that commits each statement.
        table: the table, which was found empty, or was emptied, before.

    Raises:
        ThawedError: another session uses the table, or has put rows in since.
    """
    with conn.transaction():
        try:
            conn.execute(
                sql.SQL("LOCK TABLE {0} IN ACCESS EXCLUSIVE MODE NOWAIT").format(table.only)
            )
        except psycopg.errors.LockNotAvailable as error:
            raise ThawedError from error
        rows = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(table.only)
        if conn.execute(rows).fetchone() == (True,):
            raise ThawedError
        conn.execute(sql.SQL("TRUNCATE {}").format(table.only))
        yield
