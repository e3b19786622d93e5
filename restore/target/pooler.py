"""Detects a connection pooler that lends one server session to several clients.

A restore keeps settings and advisory locks in its sessions. A pooler in transaction or statement
mode gives a session to another client after each transaction, with these settings and locks in it.
So the question is asked before a session is changed in any way.
"""

from __future__ import annotations

import contextlib
import selectors
import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus

from restore.errors import LoadError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PID = b"SELECT pg_catalog.pg_backend_pid()"
# So many further sessions are held at most: a session that is shared is mostly lent to the first.
_MOST_OTHERS = 4
# A pooler that has no session for another client for so long has none to share.
_WAIT_S = 2.0
# A session answers within this time, however busy the server is.
_ANSWER_WAIT_S = 10.0
_ADVICE = "give --dsn the URL of the server itself, or of a pool in session mode"


class Session(psycopg.Connection[Any]):
    """A connection that leaves nothing in a session that a pooler lends to the next client.

    A pooler may be configured to reset no session. Settings, temporary tables and advisory locks
    would stay.

    Attributes:
        is_pooled: a pooler lends the session.
    """

    is_pooled = False

    def close(self) -> None:
        """Close the connection; reset the session before if a pooler keeps it."""
        if self.is_pooled and self.info.transaction_status is TransactionStatus.IDLE:
            with contextlib.suppress(psycopg.Error):
                self.execute("DISCARD ALL")
        super().close()


def check_own_session(conn: Session, conninfo: str, *, is_named: bool) -> None:
    """Raise if the server session of a new connection is shared with other clients.

    A pooler tells its clients a process ID that is not the server's. If there is one, up to four
    further connections are held in transactions. A shared session is lent to one of them, or
    another session answers on ``conn`` then.

    Args:
        conn: a connection on which nothing was done yet.
        conninfo: what it was opened with.
        is_named: the URL says that it leads through PgBouncer.

    Raises:
        UsageError: the session is shared, or the URL and the pooler both say so.
        psycopg.Error: the connection failed.
    """
    pid = _backend_pid(conn)
    if pid == conn.info.backend_pid:
        return
    if is_named:
        raise UsageError(
            "cannot restore through a pooler: pgbouncer=true in the URL says that it shares"
            f" sessions between clients, and a pooler answers; {_ADVICE}, without pgbouncer=true"
        )
    if _is_shared(conn, conninfo, pid):
        raise UsageError(
            "cannot restore through this pooler: it shares sessions between clients (transaction or"
            " statement mode), and a restore's settings and locks would stay in them or be lost;"
            f" {_ADVICE}"
        )
    conn.is_pooled = True


def check_worker_session(conn: Session) -> None:
    """Raise if a pooler keeps a new connection waiting for a server session.

    Raises:
        LoadError: it does.
        psycopg.Error: the connection failed.
    """
    pid = _backend_pid(conn, _ANSWER_WAIT_S)
    if pid is None:
        raise LoadError(
            "the database does not answer: the pooler has no session free; make its pool larger, or"
            " take fewer --jobs"
        )
    conn.is_pooled = pid != conn.info.backend_pid


def _is_shared(conn: psycopg.Connection, conninfo: str, pid: int | None) -> bool:
    """Tell if another client gets the session ``pid``, or this one another session."""
    with contextlib.ExitStack() as held:
        for _ in range(_MOST_OTHERS):
            try:
                other = held.enter_context(_held(conninfo, pid))
            except psycopg.Error:
                other = None  # refused, as too many: no session is free
            if other == pid or _backend_pid(conn, _ANSWER_WAIT_S) != pid:
                return True
            if other is None:
                break
    return False


@contextlib.contextmanager
def _held(conninfo: str, pid: int | None) -> Iterator[int | None]:
    """Hold another client's session in a transaction; yield its process ID, None if it has none.

    A session that is ``pid`` is let go at once.
    """
    shorter = make_conninfo(conninfo, connect_timeout=int(_WAIT_S))
    with contextlib.closing(psycopg.connect(shorter, autocommit=True)) as conn:
        found = _backend_pid(conn, _WAIT_S)
        if found is not None and found != pid:
            conn.execute("BEGIN")
            found = _backend_pid(conn, _WAIT_S)
        yield found
        if conn.info.transaction_status is TransactionStatus.INTRANS:
            conn.execute("ROLLBACK")


def _backend_pid(conn: psycopg.Connection, wait_s: float | None = None) -> int | None:
    """Return the process ID of the session; None: no answer came in time.

    Raises:
        psycopg.Error: the connection failed.
    """
    conn.pgconn.send_query(_PID)
    until = None if wait_s is None else time.monotonic() + wait_s
    value: bytes | None = None
    with selectors.DefaultSelector() as selector:
        selector.register(conn.pgconn.socket, selectors.EVENT_READ)
        while True:
            left = None if until is None else max(0.0, until - time.monotonic())
            if not selector.select(left):
                return None
            conn.pgconn.consume_input()
            while not conn.pgconn.is_busy():
                result = conn.pgconn.get_result()
                if result is None:
                    return None if value is None else int(value)
                if result.error_message:
                    raise psycopg.OperationalError(conn.pgconn.get_error_message())
                value = result.get_value(0, 0)
