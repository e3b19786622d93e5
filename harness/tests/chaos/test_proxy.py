"""The proxy, with real sockets: it passes everything on, until it is told to fail."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.chaos.proxy import HOST, Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 20.0
A_MOMENT_S = 0.3


def serve(listener: socket.socket) -> None:
    """Answer every connection with what it says."""

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(1 << 16):
                connection.sendall(data)

    with contextlib.suppress(OSError):  # closed
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()


@pytest.fixture
def server() -> Iterator[Path]:
    """A server that echoes, on a Unix socket; its path is short enough for one."""
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as folder,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        path = Path(folder) / "echo"
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield path
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(server: Path) -> Iterator[Proxy]:
    with Proxy(server).serving() as running:
        yield running


@contextlib.contextmanager
def connected(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection((HOST, proxy.port), timeout=PATIENCE_S) as client:
        yield client


def echo(client: socket.socket, said: bytes = b"hello") -> bytes:
    client.sendall(said)
    return receive(client, len(said))


def receive(client: socket.socket, size: int) -> bytes:
    heard = b""
    while len(heard) < size and (more := client.recv(1 << 16)):
        heard += more
    return heard


def test_what_is_sent_arrives_whole_both_ways(proxy: Proxy) -> None:
    said = bytes(range(256)) * 40_000  # more than all buffers on the way hold
    with connected(proxy) as client, connected(proxy) as other:
        sender = threading.Thread(target=client.sendall, args=(said,))
        sender.start()
        assert receive(client, len(said)) == said
        sender.join()
        assert echo(other) == b"hello"
        assert proxy.connections == 2


def test_an_end_that_closes_closes_the_other(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert echo(client) == b"hello"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    with connected(proxy) as client:
        assert echo(client) == b"hello"
        assert proxy.connections == 1


def test_a_stalled_connection_passes_nothing_and_loses_nothing(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert echo(client) == b"hello"
        proxy.stall()
        client.sendall(b"late")
        client.settimeout(A_MOMENT_S)
        with pytest.raises(TimeoutError):
            client.recv(1)
        proxy.flow()
        client.settimeout(PATIENCE_S)
        assert receive(client, 4) == b"late"


def test_a_connection_that_is_made_while_it_stalls_waits(proxy: Proxy) -> None:
    proxy.stall()
    with connected(proxy) as client:
        client.sendall(b"early")
        client.settimeout(A_MOMENT_S)
        with pytest.raises(TimeoutError):
            client.recv(1)
        proxy.flow()
        client.settimeout(PATIENCE_S)
        assert receive(client, 5) == b"early"


def test_a_reset_is_a_reset_for_all_and_new_connections_are_taken(proxy: Proxy) -> None:
    with connected(proxy) as client, connected(proxy) as other:
        assert echo(client) == echo(other) == b"hello"
        assert proxy.reset() == 2
        for each in (client, other):
            with pytest.raises(ConnectionResetError):
                each.recv(1)
    with connected(proxy) as client:
        assert echo(client) == b"hello"


def test_a_network_that_is_down_takes_no_connection_until_it_is_up(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert echo(client) == b"hello"
        assert proxy.take_down() == 1
        assert client.recv(1) == b""
    with pytest.raises(ConnectionResetError), connected(proxy) as client:
        client.recv(1)
    proxy.flow()
    with connected(proxy) as client:
        assert echo(client) == b"hello"


def test_without_a_server_a_client_is_turned_away(proxy: Proxy, server: Path) -> None:
    server.unlink()
    with pytest.raises(ConnectionResetError), connected(proxy) as client:
        client.recv(1)
    assert proxy.connections == 0
