"""The server of a campaign, which may be down for a while."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
from psycopg import sql

from harness.servers import ServerError, address, databases

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.chaos.disk import SmallDisk
    from harness.servers import RunningServer

# Crash recovery of a campaign's data takes seconds.
PATIENCE_S = 60.0
_POLL_S = 0.05
TABLESPACE = "chaos"

_SESSIONS = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = %s AND backend_type = 'client backend' AND pid <> pg_backend_pid()
    ORDER BY backend_start, pid
"""


@dataclass(slots=True)
class Target:
    """The server that faults are injected into.

    Attributes:
        server: its address.
        data: its data directory.
        check: called while waiting for it; may raise to end the wait.
        on_small_disk: whether its databases are in a tablespace on a small disk.
    """

    server: RunningServer
    data: Path
    check: Callable[[], None]
    on_small_disk: bool = False
    _made: int = field(default=0)

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """Connect without the proxy, as soon as the server accepts it.

        Raises:
            ServerError: it does not come back.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.server.connect(database)
            except ServerError:
                if time.monotonic() > deadline:
                    raise
            self.check()
            time.sleep(_POLL_S)

    def use(self, disk: SmallDisk) -> None:
        """Create further databases on a small disk.

        Raises:
            ServerError: the server refuses.
        """
        owner, folder = self.data.stat(), disk.folder / "tables"
        folder.mkdir(mode=0o700)
        os.chown(folder, owner.st_uid, owner.st_gid)
        with self.connect() as connection:
            connection.execute(
                sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(
                    sql.Identifier(TABLESPACE), sql.Literal(str(folder))
                )
            )
        self.on_small_disk = True

    def make(self, schema_sql: str) -> str:
        """Create a database with a schema, and return its name.

        Raises:
            ServerError: the server refuses.
        """
        self._made += 1
        name = f"chaos_{self._made}"
        with self.connect() as connection:
            tablespace = TABLESPACE if self.on_small_disk else None
            databases.create(connection, name, owned=True, tablespace=tablespace)
        with self.connect(name) as inside:
            databases.apply(inside, schema_sql)
        return name

    def drop(self, database: str) -> None:
        """Drop a database, even if sessions are connected."""
        with self.connect() as connection:
            databases.drop(connection, database)

    def dsn(self, database: str) -> str:
        """Return the URL of a database, without the proxy."""
        return self.server.dsn(database)

    def dsn_through(self, host: str, port: int, database: str) -> str:
        """Return the URL of a database through a proxy."""
        own = address.parse(self.server.dsn(database))
        parameters = {**own.parameters, "host": host, "port": str(port), "sslmode": "disable"}
        return address.Address(parameters, None).url(database)

    def sessions(self, database: str) -> list[int]:
        """Return the backends of a database's client sessions, oldest first.

        Raises:
            ServerError: the server is down.
        """
        with self.server.connect("postgres") as connection:
            return [pid for (pid,) in connection.execute(_SESSIONS, [database])]

    def terminate(self, session: int) -> None:
        """Terminate a session as an administrator does."""
        with self.server.connect("postgres") as connection:
            connection.execute("SELECT pg_terminate_backend(%s)", [session])

    def processes(self) -> list[psutil.Process]:
        """Return the server's processes, the postmaster first; none while it is down."""
        try:
            first = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
            return [first, *first.children()]
        except (OSError, ValueError, IndexError, psutil.Error):
            return []

    @property
    def socket(self) -> Path:
        """Return the server's Unix socket."""
        parameters = address.parse(self.server.dsn("postgres")).parameters
        return Path(parameters["host"]) / f".s.PGSQL.{parameters['port']}"


def make_target(server: RunningServer, check: Callable[[], None]) -> Target:
    """Return the server as a target."""
    with server.connect("postgres") as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    return Target(server, Path(row[0] if row else ""), check)
