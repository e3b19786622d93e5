"""Advisory locks by which the sessions of a restore, and of others, keep out of each other's way.

- The *restore lock* is held by the session of a restore from its beginning to its end.
- The *worker lock* is shared by the sessions that work for it. The next restore waits for them.
- The *run lock* is shared by sessions of other machines. Once the restore holds it alone, none of
  them writes any more, and none that is late begins to.
- The *shard lock* is held by the session that loads a shard.

All are locks of a session: if its process dies, the server releases them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import psycopg
import xxhash

from restore.errors import LoadError

if TYPE_CHECKING:
    import datetime as dt

# Numbers of our own among advisory locks, which are the database's.
_RESTORE_LOCK = int.from_bytes(b"restore!", "big")
_WORKER_LOCK = int.from_bytes(b"restore?", "big")
_OF_LOCK = """
    FROM pg_catalog.pg_locks l
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.classid = ((%(lock)s::int8 >> 32) & 4294967295)::oid
      AND l.objid = (%(lock)s::int8 & 4294967295)::oid
      AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
      AND l.pid <> pg_catalog.pg_backend_pid()
"""
_HOLDER = f"""
    SELECT h.pid, a.usename, host(a.client_addr), a.backend_start
    FROM (SELECT l.pid {_OF_LOCK}) h LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = h.pid
"""  # noqa: S608 - made of constants
_TERMINATE = f"SELECT pg_catalog.pg_terminate_backend(l.pid) {_OF_LOCK}"
_OWN_SESSION = """
    SELECT pid, backend_start FROM pg_catalog.pg_stat_activity
    WHERE pid = pg_catalog.pg_backend_pid()
"""
# So long the sessions of a restore that was killed may take to end by themselves.
_GRACE = "3s"


class SessionId(NamedTuple):
    """Identifies a session of the server, also among later ones with its process ID."""

    pid: int
    started: dt.datetime


def own_session(conn: psycopg.Connection) -> SessionId:
    """Return the identity of a connection's session."""
    [row] = conn.execute(_OWN_SESSION).fetchall()
    return SessionId(*row)


def acquire_restore_lock(conn: psycopg.Connection) -> None:
    """Lock the database against other restores for as long as this session lasts.

    Otherwise each of two restores would take what the other has dropped for the remains of a killed
    restore. A session of a killed restore may still be active: wait for its end, and end it if it
    takes long, as one does whose machine does not know yet that the restore was killed.

    Raises:
        LoadError: another restore holds the lock.
    """
    _acquire(conn, _RESTORE_LOCK)
    try:
        with conn.transaction():
            conn.execute(f"SET LOCAL lock_timeout = '{_GRACE}'")
            conn.execute("SELECT pg_advisory_lock(%s)", [_WORKER_LOCK])
    except psycopg.errors.LockNotAvailable:
        terminate_holders(conn, _WORKER_LOCK)
        _acquire(conn, _WORKER_LOCK)
    conn.execute("SELECT pg_advisory_unlock(%s)", [_WORKER_LOCK])


def _acquire(conn: psycopg.Connection, lock: int) -> None:
    try:
        conn.execute("SELECT pg_advisory_lock(%s)", [lock])
    except psycopg.errors.LockNotAvailable as error:
        raise LoadError(
            f"another restore into this database is at work{_described_holder(conn, lock)}: wait"
            " until it is done"
        ) from error


def share_worker_lock(conn: psycopg.Connection) -> None:
    """Let the next restore wait until this session ends."""
    conn.execute("SELECT pg_advisory_lock_shared(%s)", [_WORKER_LOCK])


def join_run(conn: psycopg.Connection, run: int, owner: SessionId) -> bool:
    """Share a restore's run lock, from another machine; tell if that restore still goes on.

    Args:
        conn: the session; it shares the worker lock, so no other restore can begin.
        run: the restore's run lock.
        owner: the session of the restore.
    """
    holders = conn.execute(_HOLDER, {"lock": _RESTORE_LOCK}).fetchall()
    # A session of another role does not show when it began.
    if not any(pid == owner.pid and since in {None, owner.started} for pid, _, _, since in holders):
        return False
    return conn.execute("SELECT pg_try_advisory_lock_shared(%s)", [run]).fetchone() == (True,)


def close_run(conn: psycopg.Connection, run: int) -> None:
    """End the sessions that share a restore's run lock, and let no other share it."""
    terminate_holders(conn, run)
    _acquire(conn, run)


def take_shard(conn: psycopg.Connection, oid: int, start: int) -> int:
    """Lock a shard; terminate a session that holds the lock: its worker is presumed dead.

    Returns:
        The lock, for ``release_shard``.
    """
    lock = xxhash.xxh3_64_intdigest(f"{oid}/{start}".encode()) - (1 << 63)
    if conn.execute("SELECT pg_try_advisory_lock(%s)", [lock]).fetchone() != (True,):
        terminate_holders(conn, lock)
        _acquire(conn, lock)
    return lock


def release_shard(conn: psycopg.Connection, lock: int) -> None:
    """Unlock a shard."""
    conn.execute("SELECT pg_advisory_unlock(%s)", [lock])


def terminate_holders(conn: psycopg.Connection, lock: int) -> None:
    """End the other sessions that hold a lock, as far as the role may."""
    try:
        conn.execute(_TERMINATE, {"lock": lock})
    except psycopg.errors.InsufficientPrivilege:
        return  # they are another role's, and are waited for


def _described_holder(conn: psycopg.Connection, lock: int) -> str:
    row = conn.execute(_HOLDER, {"lock": lock}).fetchone()
    if row is None:
        return ""
    pid, role, host, since = row
    of = f", role {role}" if role else ""
    at = f" at {host}" if host else ""
    return f" (pid {pid}{of}{at}{f', since {since:%Y-%m-%d %H:%M:%S}' if since else ''})"
