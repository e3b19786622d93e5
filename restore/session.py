"""Connections to the target, set up for a load."""

from __future__ import annotations

import psycopg

from restore.copy import prepare
from restore.errors import LoadError

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
    try:
        conn = psycopg.connect(dsn, autocommit=True, application_name="restore")
    except psycopg.ProgrammingError as error:
        # The message of libpq would quote the string, password and all.
        raise LoadError(
            "--dsn is no connection string: expected postgresql://user@host:5432/database"
        ) from error
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        raise LoadError(f"the database does not answer: {reason}") from error
    conn.execute(_SESSION)
    prepare(conn)
    return conn


def flush(conn: psycopg.Connection) -> None:
    """Return when all that was committed so far, by any session, is on disk."""
    conn.execute(_FLUSH)
