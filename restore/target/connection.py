"""Connects to the target, and sets the session up for a load.

What the restorer asks the server itself runs with a ``search_path`` of ``pg_catalog``, so that no
object of another role can take the place of one of PostgreSQL's (CVE-2018-1058). What users wrote
(CHECK functions, triggers, defaults) runs with theirs, see ``users_search_path``.
"""

from __future__ import annotations

import contextlib
import math
import os
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import pq, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from restore.errors import ConnectionLostError, LoadError, UsageError
from restore.target.adapters import prepare
from restore.target.dsn import check_dsn, names_pooler, to_libpq
from restore.target.pooler import Session, check_own_session, check_worker_session
from restore.target.server import check_server
from restore.target.session_locks import share_worker_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restore.options import Options

_CONNECT_TIMEOUT_S = 10
# So psycopg begins what libpq says before it asks any server, of a port or an sslmode that is none.
_UNUSABLE = "connection is bad: invalid "
# Temporary tables come last, not first as they do if they are not named.
_SEARCH_PATH = "pg_catalog, pg_temp"
# The session's search path before it was ours, kept in a setting of our own.
_USERS_PATH = "restore.search_path"
# New tables go where they were (the database's default tablespace, unless another is named), values
# are read and written one way despite the role's settings, no statement has a time limit, and no
# batch's commit waits for the disk (one durable flush stands at the end). With row_security off, a
# policy that would hide or refuse rows is an error.
_SESSION = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "array_nulls": "on",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "default_tablespace": "",
    "default_transaction_deferrable": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "extra_float_digits": "1",
    "idle_in_transaction_session_timeout": "0",
    "lc_monetary": "C",
    "quote_all_identifiers": "off",
    "row_security": "off",
    "search_path": _SEARCH_PATH,
    "standard_conforming_strings": "on",
    "statement_timeout": "0",
    "synchronous_commit": "off",
    "timezone_abbreviations": "Default",
    "transform_null_equals": "off",
    "xmlbinary": "base64",
    "xmloption": "content",
}
# With it, Citus would distribute the journal's schema. Only a server that has Citus knows it.
_CITUS = "citus.enable_schema_based_sharding"
# A server that is gone without a word is noticed after a minute, unless the user says otherwise.
_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
# From this version on libpq finds the one of several hosts that is no standby.
_FINDS_PRIMARY = 140_000
# From this version on a server looks in mid-statement whether its client is gone.
_CHECKS_CLIENTS = 140_000
# Further limits on a session, by the server's version that brought them.
_LATER_TIMEOUTS = {140_000: "idle_session_timeout", 170_000: "transaction_timeout"}
# A commit that waits for the disk waits for all that was written before it as well.
_FLUSH = """
    SET synchronous_commit = on;
    SELECT pg_catalog.pg_logical_emit_message(true, 'restore', 'done')
"""


def connect(
    dsn: str,
    *,
    timezone: str = "UTC",
    lock_timeout_s: float = 60.0,
    schema: str | None = None,
    is_worker: bool = False,
) -> psycopg.Connection:
    """Connect to the target in autocommit mode.

    Args:
        dsn: a connection string or URL; empty: what libpq's own variables and files say.
        timezone: in which the server reads times that are written without a zone.
        lock_timeout_s: how long a statement waits for a lock, in seconds; 0: for ever.
        schema: the tables' schema, if the user named one: users' code finds names there first.
        is_worker: the session belongs to a restore whose lock another session holds.

    Raises:
        UsageError: the connection string is none, libpq does not take what it says, or it leads
            to a server that cannot be written to, or through a pooler that shares sessions.
        LoadError: the server does not answer, or refuses a setting. Never holds the password.
    """
    is_pooled, dsn = names_pooler(dsn), to_libpq(check_dsn(dsn))
    conninfo = make_conninfo(dsn, **_parameters(conninfo_to_dict(dsn)))
    try:
        with contextlib.ExitStack() as on_error:
            conn = Session.connect(conninfo, autocommit=True)
            on_error.callback(conn.close)
            if is_worker:
                check_worker_session(conn)
            else:
                check_own_session(conn, conninfo, is_named=is_pooled)
                check_server(conn)
            on_error.pop_all()
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        if reason.startswith(_UNUSABLE):
            said = reason.removeprefix("connection is bad: ")
            raise UsageError(
                f"a connection parameter in --dsn or a PG* variable is invalid: {said}"
            ) from error
        raise ConnectionLostError(f"the database does not answer: {reason}") from error
    try:
        _set_up(conn, timezone, lock_timeout_s, schema)
        if is_worker:
            share_worker_lock(conn)
    except psycopg.Error as error:
        conn.close()
        raise LoadError(f"the database refuses a setting: {error.diag.message_primary}") from error
    prepare(conn)
    return conn


def connect_for(options: Options, *, is_worker: bool = False) -> psycopg.Connection:
    """Connect to the target that a restore's options name; see ``connect``."""
    return connect(
        options.dsn,
        timezone=options.timezone,
        lock_timeout_s=options.lock_timeout_s,
        schema=options.schema,
        is_worker=is_worker,
    )


def _parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of libpq that a restore adds to those that are given."""
    # From the start: psycopg gives the texts of a database in SQL_ASCII as bytes.
    added: dict[str, Any] = {"application_name": "restore", "client_encoding": "UTF8"}
    if "connect_timeout" not in given and "PGCONNECT_TIMEOUT" not in os.environ:
        added["connect_timeout"] = _CONNECT_TIMEOUT_S
    if not any(name.startswith("keepalives") for name in given):
        added |= _KEEPALIVES
    hosts = given.get("host") or given.get("hostaddr") or os.environ.get("PGHOST", "")
    chosen = "target_session_attrs" in given or "PGTARGETSESSIONATTRS" in os.environ
    if "," in hosts and not chosen and pq.version() >= _FINDS_PRIMARY:
        added["target_session_attrs"] = "primary"
    return added


def _set_up(
    conn: psycopg.Connection, timezone: str, lock_timeout_s: float, schema: str | None
) -> None:
    path = _value(conn.execute("SELECT pg_catalog.current_setting('search_path')"))
    if schema is not None:
        first = sql.Identifier(schema).as_string(conn)
        path = f"{first}, {path}" if path else first
    settings = _SESSION | {
        _CITUS: "off",
        _USERS_PATH: path,
        "TimeZone": timezone,
        "lock_timeout": f"{math.ceil(lock_timeout_s * 1000)}ms",
    }
    for version, name in _LATER_TIMEOUTS.items():
        if conn.info.server_version >= version:
            settings[name] = "0"
    names, values = list(settings), list(settings.values())
    conn.execute(
        "SELECT pg_catalog.set_config(n, v, false)"
        " FROM ROWS FROM (pg_catalog.unnest(%s::pg_catalog.text[]),"
        " pg_catalog.unnest(%s::pg_catalog.text[])) AS s(n, v)"
        " WHERE n OPERATOR(pg_catalog.<>) %s OR pg_catalog.current_setting(n, true) IS NOT NULL",
        [names, values, _CITUS],
    )
    if conn.info.server_version >= _CHECKS_CLIENTS:
        # Not every system that a server runs on can see that a client is gone.
        with contextlib.suppress(psycopg.errors.InvalidParameterValue):
            conn.execute("SET client_connection_check_interval = '1s'")


def _value(cursor: psycopg.Cursor[tuple[str]]) -> str:
    [(value,)] = cursor.fetchall()
    return value


@contextlib.contextmanager
def users_search_path(conn: psycopg.Connection) -> Iterator[None]:
    """Let users' code find what it names; our own SQL must qualify each name.

    Args:
        conn: a connection made by ``connect``. If its transaction fails within, the setting goes
            with that transaction, or with the connection.
    """
    before = _value(conn.execute("SELECT pg_catalog.current_setting('search_path')"))
    conn.execute(
        "SELECT pg_catalog.set_config('search_path',"
        " COALESCE(pg_catalog.current_setting('restore.search_path', true), %s), false)",
        [before],
    )
    try:
        yield
    finally:
        if conn.info.transaction_status in {TransactionStatus.IDLE, TransactionStatus.INTRANS}:
            conn.execute("SELECT pg_catalog.set_config('search_path', %s, false)", [before])


@contextlib.contextmanager
def catalog_search_path(conn: psycopg.Connection) -> Iterator[None]:
    """Within ``users_search_path`` and a transaction, find PostgreSQL's own objects only."""
    conn.execute(f"SET LOCAL search_path = {_SEARCH_PATH}")
    yield
    conn.execute(
        "SELECT pg_catalog.set_config('search_path',"
        " pg_catalog.current_setting('restore.search_path'), true)"
    )


def set_catalog_search_path(conn: psycopg.Connection) -> None:
    """Make the session find PostgreSQL's own objects only."""
    conn.execute(f"SET search_path = {_SEARCH_PATH}")


def users_schemas(conn: psycopg.Connection) -> list[str]:
    """Return the schemas in which users' names are looked up, in order."""
    with users_search_path(conn):
        [(schemas,)] = conn.execute("SELECT pg_catalog.current_schemas(true)").fetchall()
    return list(schemas)


def flush(conn: psycopg.Connection) -> None:
    """Wait until all commits so far, of any session, are on disk."""
    conn.execute(_FLUSH)
