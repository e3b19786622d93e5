"""Connections to the target, set up for a load."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from restore.copy import prepare
from restore.errors import LoadError

_CONNECT_TIMEOUT_S = 10
_PORTS = re.compile(r"[\d,]*")
# What a session needs: no limit on how long a statement may take, dates without a zone in UTC, and
# no wait for the disk at each batch's commit (one durable flush stands at the end).
_SESSION = """
    SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET client_encoding = 'UTF8';
    SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;
    SET synchronous_commit = off
"""
# A commit that waits for the disk waits for all that was written before it as well.
_FLUSH = """
    SET synchronous_commit = on;
    SELECT pg_logical_emit_message(true, 'restore', 'done')
"""


def connect(dsn: str) -> psycopg.Connection:
    """Connect to the target, each statement its own transaction.

    Raises:
        LoadError: the connection string is none, or nobody answers. Never holds the password.
    """
    wait_s = _parts(dsn).get("connect_timeout", _CONNECT_TIMEOUT_S)
    try:
        conn = psycopg.connect(
            dsn, autocommit=True, application_name="restore", connect_timeout=wait_s
        )
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        raise LoadError(f"the database does not answer: {reason}") from error
    conn.execute(_SESSION)
    prepare(conn)
    return conn


def _parts(dsn: str) -> dict[str, Any]:
    """Take a connection string apart.

    What libpq says of a bad one may quote parts of it, and a password with an unquoted ``@`` or
    ``/`` in it comes out as a host or a port: so it is refused in our own words.
    """
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        parts = {"port": "?"}
    port, host = str(parts.get("port") or ""), str(parts.get("host") or "")
    if not _PORTS.fullmatch(port) or "@" in host:
        raise LoadError(
            "--dsn is no connection string: write postgresql://user@host:5432/database, special"
            " characters as %XX, the password better in PGPASSWORD"
        )
    return parts


def flush(conn: psycopg.Connection) -> None:
    """Return when all that was committed so far, by any session, is on disk."""
    conn.execute(_FLUSH)
