"""Uses a server of the user's: creates databases on it, and changes nothing else."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import psycopg

from harness.servers import address, databases
from harness.servers.errors import ServerError, one_line
from harness.servers.messages import ServerOrder, ServerReady

if TYPE_CHECKING:
    from collections.abc import Iterator

# It may be on another machine, and work for others cannot be separated.
UNMETERED = "unknown: a server of yours"

OLDEST_VERSION = 130000  # the first with DROP DATABASE ... WITH (FORCE)


@contextlib.contextmanager
def serve(order: ServerOrder) -> Iterator[ServerReady]:
    """Check that the server can be used; at the end, drop databases left by a killed harness.

    Raises:
        ServerError: it does not answer, is too old, or does not let us create databases.
    """
    where = address.parse(order.url, password=order.password)
    with address.connect(where) as connection:
        _require_rights(connection)
    try:
        yield ServerReady(
            url=where.url(where.database), password=where.password, unmetered=UNMETERED
        )
    finally:
        _drop_leftovers(where, order.prefix)


def _require_rights(connection: psycopg.Connection[Any]) -> None:
    if connection.info.server_version < OLDEST_VERSION:
        raise ServerError(
            f"the server is PostgreSQL {connection.info.parameter_status('server_version')}",
            "use version 13 or newer",
        )
    row = connection.execute(
        "SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user"
    ).fetchone()
    if row is None or not row[0]:
        role = connection.info.user
        raise ServerError(
            f'the role "{role}" may not create databases',
            f'allow it with: ALTER ROLE "{role}" CREATEDB',
        )


def _drop_leftovers(where: address.Address, prefix: str) -> None:
    """Drop the databases whose names start with ``prefix``; normally there are none."""
    try:
        with address.connect(where) as connection:
            rows = connection.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [prefix]
            ).fetchall()
            for (name,) in rows:
                databases.drop(connection, name)
    except (ServerError, psycopg.Error) as error:
        text = one_line(error, secret=where.password)
        sys.stderr.write(
            f"databases named {prefix}* may be left over ({text}); drop them by hand\n"
        )
