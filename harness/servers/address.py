"""The address of a server, with its password kept out of everything that can be printed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from harness.model.errors import InputError
from harness.servers.errors import ServerError, one_line

SCHEMES = ("postgresql://", "postgres://")

# libpq waits forever by default; a server that takes longer than this is considered down.
CONNECT_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a server.

    Args:
        parameters: libpq's connection parameters without the password.
        password: the password, excluded from ``repr`` and from every URL.
    """

    parameters: dict[str, str]
    password: str | None = field(repr=False)

    @property
    def env(self) -> dict[str, str]:
        """Return the environment variables for a process that connects."""
        return {} if self.password is None else {"PGPASSWORD": self.password}

    @property
    def database(self) -> str:
        """Return the database of the URL, or the one that every server has."""
        return self.parameters.get("dbname") or "postgres"

    @property
    def place(self) -> str:
        """Return host and port for messages."""
        host = self.parameters.get("host") or self.parameters.get("hostaddr")
        port = self.parameters.get("port")
        return ":".join(filter(None, [host or "the default host", port]))

    def url(self, database: str) -> str:
        """Return the URL of a database, without the password."""
        others = dict(self.parameters)
        others.pop("dbname", None)
        user = quote(others.pop("user", ""), safe="")
        host = others.get("host", "")
        # A socket's folder and a list of hosts have no place before the slash.
        plain = bool(host) and not host.startswith("/") and "," not in host and ":" not in host
        netloc = others.pop("host") if plain else ""
        if plain and "port" in others:
            netloc += ":" + others.pop("port")
        query = "?" + urlencode(others, safe="/", quote_via=quote) if others else ""
        return f"postgresql://{user}{'@' if user else ''}{netloc}/{quote(database, safe='')}{query}"


def parse(url: str, *, password: str | None = None) -> Address:
    """Parse a URL; ``password`` is used if the URL has none.

    Raises:
        InputError: libpq does not accept the URL; the message does not repeat it, since it may
            contain a password.
    """
    try:
        parameters = {name: str(value) for name, value in conninfo_to_dict(url).items()}
        for port in filter(None, parameters.get("port", "").split(",")):
            int(port)
    except (psycopg.Error, ValueError):
        raise InputError(
            "the URL of --server is invalid; write it as postgresql://user@host:port/database"
        ) from None
    if "sslpassword" in parameters:
        raise InputError(
            "the URL of --server has sslpassword, which cannot be passed on without exposing it; "
            "use a client key without a password"
        )
    return Address(parameters, parameters.pop("password", password))


def connect(
    where: Address, database: str | None = None, options: str | None = None
) -> psycopg.Connection[Any]:
    """Connect in autocommit mode, to the database of the URL or to ``database``.

    ``options`` are command-line options of the session, in place of those of the URL.

    Raises:
        ServerError: no connection; the message contains no password.
    """
    try:
        return psycopg.connect(
            where.url(database or where.database),
            password=where.password,
            connect_timeout=CONNECT_TIMEOUT_S,
            autocommit=True,
            options=options,
        )
    except psycopg.OperationalError as error:
        problem = one_line(error, secret=where.password)
        raise ServerError(
            f"cannot connect to PostgreSQL at {where.place} ({problem})",
            "check that it is running, and the URL and PGPASSWORD",
        ) from None
