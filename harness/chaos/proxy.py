"""A TCP proxy on loopback for the server's Unix socket, whose connections can be made to fail.

No maintained one is on PyPI: toxiproxy's client needs a daemon in Go. This one does not know the
protocol; it forwards bytes, with the flow control of asyncio, until told to fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

Result = TypeVar("Result")

HOST = "127.0.0.1"
_CALL_TIMEOUT_S = 10.0
# SO_LINGER on, with no time: closing resets the connection and drops data in flight.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """A proxy between clients and the server; its methods may be called from any thread.

    Args:
        server: the server's Unix socket.

    Attributes:
        port: the port for clients, on ``HOST``.
    """

    def __init__(self, server: Path) -> None:
        self._server = str(server)
        self._loop = asyncio.new_event_loop()
        self._ends: set[_End] = set()
        self._flowing = True
        self._refusing = False
        self._listener: asyncio.Server | None = None
        self.port = 0

    @contextlib.contextmanager
    def serving(self) -> Iterator[Proxy]:
        """Serve for the duration of the context."""
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        try:
            self._run(self._listen())
            yield self
        finally:
            self._run(self._close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    @property
    def connections(self) -> int:
        """Return the number of clients connected to the server."""
        return self._run(self._count())

    def stall(self) -> None:
        """Stop forwarding on all connections until ``flow``."""
        self._run(self._set(flowing=False))

    def flow(self) -> None:
        """Forward again, and accept connections again."""
        self._run(self._set(flowing=True))

    def reset(self) -> int:
        """Reset all connections, as a router does that has lost them; return how many."""
        return self._run(self._cut(reset=True))

    def take_down(self) -> int:
        """Close all connections and refuse new ones until ``flow``; return how many there were."""
        return self._run(self._cut(refuse=True))

    def _run(self, what: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(_CALL_TIMEOUT_S)

    async def _listen(self) -> None:
        make: Callable[[], asyncio.BaseProtocol] = self._client
        self._listener = await self._loop.create_server(make, HOST, 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        await self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _count(self) -> int:
        return sum(end.is_client and end.other is not None for end in self._ends)

    async def _set(self, *, flowing: bool) -> None:
        self._flowing = flowing
        self._refusing = self._refusing and not flowing
        for end in self._ends:
            end.look()

    async def _cut(self, *, reset: bool = False, refuse: bool = False) -> int:
        self._refusing = self._refusing or refuse
        ends = list(self._ends)
        for end in ends:
            end.cut(reset=reset)
        return sum(end.is_client for end in ends)

    def _client(self) -> _End:
        return _End(self, is_client=True)

    def enter(self, end: _End) -> None:
        """Register one end of a connection; a client is then connected to the server."""
        if self._refusing:
            end.cut(reset=True)
            return
        self._ends.add(end)
        end.look()
        if end.is_client:
            end.connecting = self._loop.create_task(self._connect(end))

    def leave(self, end: _End) -> None:
        """Remove an end that is closed."""
        self._ends.discard(end)

    @property
    def is_flowing(self) -> bool:
        """Return whether bytes are forwarded."""
        return self._flowing

    async def _connect(self, client: _End) -> None:
        try:
            _, server = await self._loop.create_unix_connection(
                lambda: _End(self, is_client=False), self._server
            )
        except OSError:
            client.cut(reset=True)  # the server is down
            return
        client.join(server)
        server.join(client)


class _End(asyncio.Protocol):
    """One end of a connection; reads only while the other can write and the proxy lets it."""

    def __init__(self, proxy: Proxy, *, is_client: bool) -> None:
        self._proxy = proxy
        self.is_client = is_client
        self.other: _End | None = None
        self.connecting: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._full = False  # data written to this end is buffered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start without reading: the other end is not connected yet."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream has a transport that reads and writes")
        self._transport = transport
        self._proxy.enter(self)

    def join(self, other: _End) -> None:
        """Forward data from here to ``other``."""
        self.other = other
        if other.is_closed:
            self.cut()
        self.look()

    @property
    def is_closed(self) -> bool:
        """Return whether this end can no longer be written to."""
        return self._transport is None or self._transport.is_closing()

    def look(self) -> None:
        """Start or pause reading according to the current state."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._proxy.is_flowing and self.other is not None and not self.other.is_full:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    @property
    def is_full(self) -> bool:
        """Return whether further data would only be buffered."""
        return self._full

    def data_received(self, data: bytes) -> None:
        """Forward data to the other end."""
        if self.other is not None:
            self.other.write(data)

    def write(self, data: bytes) -> None:
        """Send data to this end."""
        if self._transport is not None:
            self._transport.write(data)

    def pause_writing(self) -> None:
        """Pause reading at the other end."""
        self._set_full(full=True)

    def resume_writing(self) -> None:
        """Resume reading at the other end."""
        self._set_full(full=False)

    def _set_full(self, *, full: bool) -> None:
        self._full = full
        if self.other is not None:
            self.other.look()

    def cut(self, *, reset: bool = False) -> None:
        """Close at once, optionally with a reset."""
        if self._transport is None:
            return
        connected = self._transport.get_extra_info("socket")
        if reset and self.is_client and connected is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it so
        """Close the other end too, after the data on its way to it."""
        self._proxy.leave(self)
        if self.connecting is not None:
            self.connecting.cancel()
        if self.other is not None:
            self.other.finish()

    def finish(self) -> None:
        """Close after all data is sent."""
        if self._transport is not None:
            self._transport.close()
