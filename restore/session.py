"""Connections to the target, set up for a load."""

from __future__ import annotations

import math
import os

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from restore.copy import prepare
from restore.dsn import checked
from restore.errors import LoadError, UsageError

_CONNECT_TIMEOUT_S = 10
# So psycopg begins what libpq says before it asks any server, of a port or an sslmode that is none.
_UNUSABLE = "connection is bad: invalid "
# What a session needs: what it makes is where it was (the database's default tablespace, unless
# another is named), values read and written one way whatever the role's settings, no limit on
# how long a statement may take, and no wait for the disk at each batch's commit (one durable flush
# stands at the end). With row_security off, a policy that would hide or refuse rows is an error.
_SESSION = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "default_tablespace": "",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "extra_float_digits": "1",
    "idle_in_transaction_session_timeout": "0",
    "row_security": "off",
    "standard_conforming_strings": "on",
    "statement_timeout": "0",
    "synchronous_commit": "off",
    "xmlbinary": "base64",
}
# Further limits on a session, by the server's version that brought them.
_LATER_TIMEOUTS = {140_000: "idle_session_timeout", 170_000: "transaction_timeout"}
# A commit that waits for the disk waits for all that was written before it as well.
_FLUSH = """
    SET synchronous_commit = on;
    SELECT pg_logical_emit_message(true, 'restore', 'done')
"""

# A number of our own among advisory locks, which are the database's.
_ALONE = int.from_bytes(b"restore!", "big")
_HOLDER = """
    SELECT pid FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND classid = %(high)s AND objid = %(low)s
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def connect(dsn: str, *, timezone: str = "UTC", lock_timeout_s: float = 60.0) -> psycopg.Connection:
    """Connect to the target, each statement its own transaction.

    Args:
        dsn: a connection string or URL; empty: what libpq's own variables and files say.
        timezone: in which the server reads times that are written without a zone.
        lock_timeout_s: how long a statement waits for a lock, in seconds; 0: for ever.

    Raises:
        UsageError: the connection string is none, or libpq does not take what it says.
        LoadError: nobody answers, or a setting is refused. Never holds the password.
    """
    dsn = checked(dsn)
    given = "connect_timeout" in conninfo_to_dict(dsn) or "PGCONNECT_TIMEOUT" in os.environ
    wait = {} if given else {"connect_timeout": _CONNECT_TIMEOUT_S}
    conninfo = make_conninfo(dsn, application_name="restore", **wait)
    try:
        conn = psycopg.connect(conninfo, autocommit=True)
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        if reason.startswith(_UNUSABLE):
            said = reason.removeprefix("connection is bad: ")
            raise UsageError(
                f"--dsn, or a variable of libpq, says what cannot be: {said}"
            ) from error
        raise LoadError(f"the database does not answer: {reason}") from error
    try:
        _set_up(conn, timezone, lock_timeout_s)
    except psycopg.Error as error:
        conn.close()
        raise LoadError(f"the database refuses a setting: {error.diag.message_primary}") from error
    prepare(conn)
    return conn


def _set_up(conn: psycopg.Connection, timezone: str, lock_timeout_s: float) -> None:
    settings = _SESSION | {
        "TimeZone": timezone,
        "lock_timeout": f"{math.ceil(lock_timeout_s * 1000)}ms",
    }
    for version, name in _LATER_TIMEOUTS.items():
        if conn.info.server_version >= version:
            settings[name] = "0"
    names, values = list(settings), list(settings.values())
    conn.execute(
        "SELECT set_config(n, v, false) FROM unnest(%s::text[], %s::text[]) AS s(n, v)",
        [names, values],
    )


def be_alone(conn: psycopg.Connection) -> None:
    """See that no other restore writes to the database while this session lasts.

    Two would take what the other has put aside for what a killed one left.

    Raises:
        LoadError: another one does.
    """
    try:
        conn.execute("SELECT pg_advisory_lock(%s)", [_ALONE])
    except psycopg.errors.LockNotAvailable as error:
        raise LoadError(
            f"another restore into this database is at work{_other(conn)}: wait until it is done"
        ) from error


def _other(conn: psycopg.Connection) -> str:
    row = conn.execute(_HOLDER, {"high": _ALONE >> 32, "low": _ALONE & 0xFFFFFFFF}).fetchone()
    return f" (pid {row[0]})" if row else ""


def current_transaction(conn: psycopg.Connection) -> str:
    """Return a transaction's number, as text: rows of later ones were written after this call."""
    [(number,)] = conn.execute("SELECT pg_current_xact_id()::xid::text").fetchall()
    return str(number)


def flush(conn: psycopg.Connection) -> None:
    """Return when all that was committed so far, by any session, is on disk."""
    conn.execute(_FLUSH)
