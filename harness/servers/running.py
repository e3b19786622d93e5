"""A server that runs: what is recorded of it, and databases on it."""

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

    from harness.servers.messages import Order, ServerReady


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A PostgreSQL that answers.

    Args:
        record: which one it is, why, and the settings in force; what a run keeps of it.
        env: what a process that connects needs in its environment; the password, if there is one.
        pid: of the server's first process, where it is ours and embedded.
        cgroup: the folder of its control group, where it has one of its own.
        unmetered: why its memory cannot be read, where it cannot.
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
        """Connect to a database, by default to none of a trial's, in autocommit.

        Raises:
            ServerError: no connection.
        """
        return address.connect(self._address, database)

    @contextlib.contextmanager
    def database(self, schema_sql: str | None = None) -> Iterator[str]:
        """Have a fresh database with a random name; yield its URL and drop it at the end.

        Raises:
            ServerError: the server does not make it, or refuses the schema.
        """
        name = f"{self._prefix}_{next(self._numbers)}"
        owned = self.record.kind != "external"
        with (
            address.connect(self._address) as connection,
            databases.fresh_database(connection, name, owned=owned),
        ):
            if schema_sql is not None:
                with self.connect(name) as inside:
                    databases.apply(inside, schema_sql)
            yield self.dsn(name)


def inspect_server(serving: ServerReady, order: Order, reason: str) -> RunningServer:
    """Return the server with what it says of itself.

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
