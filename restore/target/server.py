"""Refuses servers that no restore can write to: standbys, old versions, other databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restore.errors import UsageError

if TYPE_CHECKING:
    import psycopg

_OLDEST = 130_000
# What version() begins with; EDB's server is PostgreSQL with additions.
_POSTGRESQL = ("PostgreSQL ", "EnterpriseDB ")
# What version() says of databases that were made from PostgreSQL and have no xmin, no ctid, or
# locks and transactions of another kind.
_DERIVED = {
    "-YB-": "YugabyteDB",
    "Redshift": "Amazon Redshift",
    "Greenplum": "Greenplum",
    "Cloudberry": "Apache Cloudberry",
}


def check_server(conn: psycopg.Connection) -> None:
    """Raise if a restore cannot write to the server.

    Asked before anything is set in the session, in SQL that other databases understand, too.

    Raises:
        UsageError: it is a standby, too old, or another database.
        psycopg.Error: the connection failed.
    """
    [(version,)] = conn.execute("SELECT pg_catalog.version()").fetchall()
    name = next((name for mark, name in _DERIVED.items() if mark in version), None)
    if name is None and not version.startswith(_POSTGRESQL):
        name = version.partition(" ")[0]
    if name is not None:
        raise UsageError(
            f"cannot restore to {name}: it speaks PostgreSQL's protocol, but a restore needs"
            " PostgreSQL's own row versions and locks; load its own way, or give --dsn the URL of a"
            " PostgreSQL server"
        )
    if conn.info.server_version < _OLDEST:
        major = conn.info.server_version // 10_000
        raise UsageError(
            f"cannot restore to PostgreSQL {major}: 13 is the oldest that is supported; upgrade the"
            " server, or give --dsn the URL of another"
        )
    if conn.execute("SELECT pg_catalog.pg_is_in_recovery()").fetchone() == (True,):
        raise UsageError(
            f"cannot restore to {conn.info.host or 'this server'}: it is a standby (a read"
            " replica), which may only be read; give --dsn the URL of its primary"
        )
