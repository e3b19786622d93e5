"""A server between the restorer and PostgreSQL that counts round trips, whoever makes them.

It knows of the protocol only how messages are framed: each answer of the server to a statement, or
to a COPY, ends with ReadyForQuery. Source: "Message Formats" in PostgreSQL's documentation.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

if TYPE_CHECKING:
    from types import TracebackType

_READY = ord("Z")
_HEADER = struct.Struct("!cI")
_ANY_SIZE = 1 << 16


class Relay:
    """Passes connections on to the server of a DSN.

    Attributes:
        dsn: leads through the relay.
        round_trips: how often the server has said since the start that it waits for more.
    """

    def __init__(self, dsn: str) -> None:
        parts = conninfo_to_dict(dsn)
        host, port = str(parts.get("host") or "localhost"), int(parts.get("port") or 5432)
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        # What is encrypted cannot be counted.
        self.dsn = make_conninfo(
            dsn,
            host="127.0.0.1",
            port=self._listener.getsockname()[1],
            sslmode="disable",
            gssencmode="disable",
        )
        self.round_trips = 0

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                # Else the kernel holds small answers back for tens of milliseconds.
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                server = self._connect()
                self._sockets += [client, server]
                for target, source in ((self._pass_on, client), (self._count, server)):
                    other = server if source is client else client
                    thread = threading.Thread(target=target, args=(source, other))
                    self._threads.append(thread)
                    thread.start()

    def _connect(self) -> socket.socket:
        host, port = self._server
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(Path(host) / f".s.PGSQL.{port}"))
        return server

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_ANY_SIZE):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _count(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            stream = server.makefile("rb")
            with stream:
                while len(header := stream.read(_HEADER.size)) == _HEADER.size:
                    kind, size = _HEADER.unpack(header)
                    self.round_trips += kind[0] == _READY
                    client.sendall(header + stream.read(size - 4))
            client.shutdown(socket.SHUT_WR)
