"""Counts what passes between an engine and the server, over time, in a relay between them.

The kernel counts no bytes of a Unix socket. The relay takes some processor time, so a run that
counts traffic is no measurement of speed, and is never compared with one.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import tempfile
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from psycopg.conninfo import conninfo_to_dict

from harness.model.record import Curve
from harness.servers.address import parse
from harness.trial import sampling

if TYPE_CHECKING:
    from collections.abc import Iterator

_PORT = 5432
_CHUNK_BYTES = 1 << 18
_POLL_S = 0.05


class Traffic:
    """The bytes that were sent to the server and received from it, since it was made."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._curves = {"sent": sampling.Curve(), "received": sampling.Curve()}
        self._totals = {"sent": 0, "received": 0}
        self._lock = threading.Lock()

    def add(self, direction: str, size_bytes: int) -> None:
        """Count bytes that pass now."""
        with self._lock:
            self._totals[direction] += size_bytes
            at_s = time.monotonic() - self._began_s
            self._curves[direction].add(at_s, self._totals[direction])

    def curve(self, direction: str) -> Curve | None:
        """Return the total over time; None if nothing passed."""
        points = self._curves[direction].to_dict()
        if points is None:
            return None
        return Curve(at_s=tuple(points["at_s"]), bytes=tuple(map(int, points["bytes"])))


@contextlib.contextmanager
def counted(dsn: str) -> Iterator[tuple[str, Traffic]]:
    """Provide the URL of a database through a relay, and what passes there.

    Args:
        dsn: the URL of the database, without a password.
    """
    traffic = Traffic()
    with tempfile.TemporaryDirectory(prefix="rb-", dir="/tmp") as folder:
        relay = _Relay(f"{folder}/.s.PGSQL.{_PORT}", dsn, traffic)
        thread = threading.Thread(target=relay.serve_forever, args=(_POLL_S,), name="relay")
        thread.start()
        try:
            yield _through(dsn, folder), traffic
        finally:
            relay.shutdown()
            thread.join()
            relay.disconnect()
            relay.server_close()  # it waits for the connections' threads


class _Relay(socketserver.ThreadingUnixStreamServer):
    """Takes connections on a Unix socket, and passes their bytes on in both directions."""

    def __init__(self, path: str, dsn: str, traffic: Traffic) -> None:
        super().__init__(path, _Connection)
        self.traffic = traffic
        self._parameters = conninfo_to_dict(dsn)
        self._open: set[socket.socket] = set()

    def connect(self) -> socket.socket:
        """Connect to the server.

        Raises:
            OSError: it does not answer.
        """
        host = str(self._parameters.get("host") or "localhost")
        port = int(self._parameters.get("port") or _PORT)
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(f"{host}/.s.PGSQL.{port}")
        except OSError:
            server.close()
            raise
        return server

    def disconnect(self) -> None:
        """End all connections."""
        for each in tuple(self._open):
            _hang_up(each)

    @contextlib.contextmanager
    def registered(self, *sockets: socket.socket) -> Iterator[None]:
        """Have ``disconnect`` end these, too."""
        self._open.update(sockets)
        try:
            yield
        finally:
            self._open.difference_update(sockets)


class _Connection(socketserver.BaseRequestHandler):
    """One connection of an engine, and its own to the server."""

    request: socket.socket
    server: _Relay

    def handle(self) -> None:
        """Pass bytes on until one side closes."""
        with (
            contextlib.suppress(OSError),
            self.server.connect() as server,
            self.server.registered(self.request, server),
        ):
            back = threading.Thread(target=self._pass, args=(server, self.request, "received"))
            back.start()
            self._pass(self.request, server, "sent")
            back.join()

    def _pass(self, source: socket.socket, target: socket.socket, direction: str) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                self.server.traffic.add(direction, len(data))
                target.sendall(data)
        _hang_up(target)


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was first
        connection.shutdown(socket.SHUT_RDWR)


def _through(dsn: str, folder: str) -> str:
    """Return the URL with the relay's socket in place of the server's address."""
    address = parse(dsn)
    parameters = {**address.parameters, "host": folder, "port": str(_PORT)}
    parameters.pop("hostaddr", None)
    return replace(address, parameters=parameters).url(address.database)
