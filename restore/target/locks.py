"""Locks: how many tables one transaction may lock, and who holds a lock that was waited for.

A transaction keeps its locks to its end. All sessions of a server share room for
max_locks_per_transaction times max_connections locks: 6,400 by default. A table takes one, and each
of its indexes and partitions another.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

import psycopg

from restore.errors import LoadError
from restore.target.connection import set_catalog_search_path
from restore.target.queries import load_query
from restore.target.relations import with_partitions
from restore.target.sqlstate import to_load_error

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Sequence

    from restore.target.catalog import Table

T = TypeVar("T")
Lock = Literal["ROW EXCLUSIVE", "ACCESS EXCLUSIVE"]

_OFTEN_IN_THE_WAY = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")

_HOLDERS = load_query("lock_holders")
# A foreign key locks two tables and an index.
_MOST_TABLES = 200
_ROOM = """
    SELECT current_setting('max_locks_per_transaction')::int8 * (
        current_setting('max_connections')::int8
        + current_setting('max_prepared_transactions')::int8)
"""
# Other sessions need room, too.
_SHARE = 4
_LONGEST_QUERY = 60
# Statements that may hold a password in clear: CREATE/ALTER ROLE or USER, connection strings.
_SECRET = re.compile(r"passw|pwd|secret|encrypt|identified|crypt\(|://", re.IGNORECASE)


class LockHolder(NamedTuple):
    """A session that holds a lock on a table."""

    table: str
    mode: str
    pid: int | None
    role: str | None
    application: str | None
    state: str | None
    open_for: dt.timedelta | None
    query_start: dt.datetime | None
    query: str | None

    def __str__(self) -> str:
        if self.pid is None:
            return f"a prepared transaction holds {self.table} (see pg_prepared_xacts)"
        parts = [f"pid {self.pid}"]
        if self.role:
            parts.append(f"role {self.role}")
        parts.append(self.state or "state not shown to this role")
        if self.open_for is not None:
            parts.append(f"its transaction open for {self.open_for.total_seconds():,.0f} s")
        if self.query_start is not None:
            parts.append(f"last query at {self.query_start:%Y-%m-%d %H:%M:%S}")
        query = _shown_query(self.query)
        if query:
            parts.append(f"query: {query}")
        name = self.application or "a session"
        return f"{name} holds {self.table} ({', '.join(parts)})"


def _shown_query(query: str | None) -> str:
    text = " ".join((query or "").split())
    if not text or text.startswith("<") or _SECRET.search(text):
        return ""
    return text if len(text) <= _LONGEST_QUERY else f"{text[:_LONGEST_QUERY]}..."


def lock_holders(conn: psycopg.Connection, oids: Iterable[int], lock: Lock) -> list[LockHolder]:
    """Return the sessions that hold conflicting locks on these tables or their partitions.

    Args:
        conn: an idle connection.
        oids: the tables.
        lock: what was wanted.
    """
    rows = conn.execute(_HOLDERS, [with_partitions(conn, oids)]).fetchall()
    found = [LockHolder(*row) for row in rows]
    if lock == "ACCESS EXCLUSIVE":
        return found
    return [holder for holder in found if holder.mode in _OFTEN_IN_THE_WAY] or found


def lock_error(
    conn: psycopg.Connection,
    error: psycopg.Error,
    oids: Iterable[int],
    lock: Lock,
) -> LoadError:
    """Return a LoadError for a lock timeout (55P03) that names who holds the lock.

    Args:
        conn: an idle connection.
        error: what was raised.
        oids: the tables that were to be locked.
        lock: how they were to be locked: COPY and INSERT take ``ROW EXCLUSIVE``.
    """
    try:
        set_catalog_search_path(conn)
        names = "; ".join(map(str, lock_holders(conn, oids, lock)))
    except psycopg.Error:
        names = ""
    return LoadError(
        f"{error.diag.message_primary or error}: {names or 'another session holds it'}; end that"
        " session or let it finish, or wait longer with --lock-timeout"
    )


def load_error(conn: psycopg.Connection, error: psycopg.Error, table: Table) -> LoadError:
    """Return a LoadError for what stops the load of a table.

    Args:
        conn: the connection that loads; it may be lost.
        error: why a COPY or an INSERT failed, other than for its data.
        table: what is loaded.
    """
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return lock_error(conn, error, [table.oid], "ROW EXCLUSIVE")
    return to_load_error(error, f"table {table.name}: ")


def in_portions(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the items for one transaction each, of one table or two for each item."""
    for start in range(0, len(items), _MOST_TABLES):
        yield items[start : start + _MOST_TABLES]


def max_locks(conn: psycopg.Connection) -> int:
    """Return how many locks a transaction of a restore may take."""
    [(room,)] = conn.execute(_ROOM).fetchall()
    return int(room) // _SHARE
