"""A running server: its record, and databases on it."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.model import record
from harness.servers import address, databases, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from harness.servers.messages import ServerOrder, ServerReady


# The first version with event triggers on login.
LOGIN_TRIGGERS = 170000


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A PostgreSQL server that answers.

    Args:
        record: its kind, the reason for it, and its settings, as recorded in a run.
        env: environment for processes that connect; has the password, if there is one.
        pid: its postmaster, if it is embedded.
        cgroup: the folder of its control group, if it has one of its own.
        unmetered: why its memory cannot be read, if so.
    """

    record: record.Server
    env: dict[str, str] = field(repr=False)
    pid: int | None
    cgroup: str | None
    unmetered: str | None
    _address: address.Address
    _prefix: str
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)

    def dsn(self, database: str) -> str:
        """Return the URL of a database; a password is in ``env``, never here."""
        return self._address.url(database)

    def connect(self, database: str | None = None) -> psycopg.Connection[Any]:
        """Connect in autocommit mode, by default to the maintenance database.

        Raises:
            ServerError: no connection.
        """
        return address.connect(self._address, database)

    def connect_unnoticed(self, database: str) -> psycopg.Connection[Any]:
        """Connect so that no event trigger of the database fires, if the server lets us.

        Since PostgreSQL 17 there are event triggers on login. Only a superuser can make one, and
        only a superuser can turn them off.

        Raises:
            ServerError: no connection.
        """
        with self.connect() as connection:
            may = connection.info.parameter_status("is_superuser") == "on"
            has = connection.info.server_version >= LOGIN_TRIGGERS
        options = "-c event_triggers=off" if may and has else None
        return address.connect(self._address, database, options)

    @property
    def is_owned(self) -> bool:
        """Return whether the harness started the server, so that nobody else changes it."""
        return self.record.kind != "external"

    @contextlib.contextmanager
    def database(self, schema_sql: str | None = None) -> Iterator[str]:
        """Create a database with a random name, yield its URL, and drop it at the end.

        Raises:
            ServerError: the server refuses it, or the schema.
        """
        name = f"{self._prefix}_{next(self._numbers)}"
        with databases.fresh_database(self.connect, name, owned=self.is_owned):
            if schema_sql is not None:
                with self.connect(name) as inside:
                    databases.apply(inside, schema_sql)
            yield self.dsn(name)


def inspect_server(serving: ServerReady, order: ServerOrder, reason: str) -> RunningServer:
    """Return the running server with its version and settings.

    Raises:
        ServerError: it does not answer.
    """
    where = address.parse(serving.url, password=serving.password)
    with address.connect(where) as connection:
        in_force = settings.in_force(connection)
        in_force["collation"] = databases.collation(connection, owned=order.kind != "external")
        version = connection.info.parameter_status("server_version") or "of unknown version"
    facts = record.Server(
        kind=order.kind,
        reason=reason,
        version=version,
        settings=in_force,
        profile=record.AS_IT_IS if order.kind == "external" else order.profile,
        image=serving.image,
        image_digest=serving.image_digest,
    )
    return RunningServer(
        record=facts,
        env=where.env,
        pid=serving.pid,
        cgroup=serving.cgroup,
        unmetered=serving.unmetered,
        _address=where,
        _prefix=order.prefix,
    )
