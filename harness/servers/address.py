"""Where a server is, with its password kept apart from all that can be printed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from harness.model.errors import InputError
from harness.servers.errors import ServerError, one_line

SCHEMES = ("postgresql://", "postgres://")

# libpq waits for ever by default; a server that takes longer than this to answer is not there.
CONNECT_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Address:
    """How a server is reached.

    Args:
        parameters: libpq's connection parameters, but for the password.
        password: kept out of ``repr`` and of every URL.
    """

    parameters: dict[str, str]
    password: str | None = field(repr=False)

    @property
    def env(self) -> dict[str, str]:
        """What a process that connects needs in its environment."""
        return {} if self.password is None else {"PGPASSWORD": self.password}

    @property
    def database(self) -> str:
        """The database that the URL names, or the one that every server has."""
        return self.parameters.get("dbname") or "postgres"

    @property
    def place(self) -> str:
        """Where the server is, for messages."""
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
    """Take a URL apart; ``password`` is used where the URL holds none.

    Raises:
        InputError: it is no URL that libpq understands; the text does not repeat it, since it
            may hold a password.
    """
    try:
        parameters = {name: str(value) for name, value in conninfo_to_dict(url).items()}
        for port in filter(None, parameters.get("port", "").split(",")):
            int(port)
    except (psycopg.Error, ValueError):
        raise InputError(
            "the URL of --server is not one that PostgreSQL understands; "
            "write it as postgresql://user@host:port/database"
        ) from None
    if "sslpassword" in parameters:
        raise InputError(
            "the URL of --server holds sslpassword, which cannot be handed on without showing it; "
            "use a client key without a password"
        )
    return Address(parameters, parameters.pop("password", password))


def connect(where: Address, database: str | None = None) -> psycopg.Connection[Any]:
    """Connect in autocommit, to the database that the URL names or to another.

    Raises:
        ServerError: no connection; the text holds no password.
    """
    try:
        return psycopg.connect(
            where.url(database or where.database),
            password=where.password,
            connect_timeout=CONNECT_TIMEOUT_S,
            autocommit=True,
        )
    except psycopg.OperationalError as error:
        problem = one_line(error, secret=where.password)
        raise ServerError(
            f"no connection to PostgreSQL at {where.place} ({problem})",
            "check that it runs and that the URL and PGPASSWORD are right",
        ) from None
