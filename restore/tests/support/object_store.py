"""A real S3 protocol server (moto's), and a proxy before it that counts and fails requests."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import ThreadingHTTPServer
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import pytest

from restore.tests.support.http_handler import QuietHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_START_S = 60
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def require(*modules: str) -> None:
    """Skip where a package of a store is missing; fail where that is required."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing and os.environ.get("RESTOREBENCH_REQUIRE_STORES"):
        pytest.fail(f"{missing} missing, and RESTOREBENCH_REQUIRE_STORES is set", pytrace=False)
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@contextlib.contextmanager
def moto_server(environment: dict[str, str] | None = None) -> Iterator[str]:
    """Run a server in a process of its own, and yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + _START_S
        while True:
            assert process.poll() is None, "moto's server ended"
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/moto-api/", timeout=5).close()  # noqa: S310 - http
                break
            assert time.monotonic() < deadline, "moto's server does not answer"
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


class Request(NamedTuple):
    """A request that came through the proxy; ``range`` is its header's value."""

    method: str
    path: str
    range: str
    headers: dict[str, str]

    @property
    def is_read(self) -> bool:
        """Whether it is for a part of an object."""
        return self.method == "GET" and self.range != ""


class Proxy:
    """Passes requests on to a server.

    Attributes:
        url: leads through the proxy.
        requests: those that came.
        delay_s: how long each is held.
        fault: given each request: an HTTP status to answer, ``stall``, ``cut``, or None.
    """

    def __init__(self, server: str) -> None:
        self.requests: list[Request] = []
        self.delay_s = 0.0
        self.fault: Callable[[Request], int | str | None] = lambda _: None
        self.stopped = threading.Event()
        handler = type("Handler", (_Handler,), {"proxy": self, "server_url": server})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def reads(self) -> list[Request]:
        """The requests for parts of objects."""
        return [request for request in self.requests if request.is_read]

    def close(self) -> None:
        """End the proxy, and what stalls in it."""
        self.stopped.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(QuietHandler):
    proxy: Proxy
    server_url: str

    def _pass_on(self) -> None:
        headers = dict(self.headers.items())
        body = self.rfile.read(int(headers.get("Content-Length", 0)))
        request = Request(self.command, self.path, headers.get("Range", ""), headers)
        self.proxy.requests.append(request)
        if self.proxy.delay_s:
            time.sleep(self.proxy.delay_s)
        fault = self.proxy.fault(request)
        if fault == "stall":
            self.proxy.stopped.wait()
            self.close_connection = True
            return
        if isinstance(fault, int):
            self._answer(fault, {}, b"<Error><Code>Fault</Code></Error>", b"")
            return
        connection = http.client.HTTPConnection(self.server_url.removeprefix("http://"))
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
        kept = {k: v for k, v in answer.getheaders() if k not in {"Connection", "Date", "Server"}}
        if fault == "cut":
            self.close_connection = True
            self._answer(answer.status, kept, data[: len(data) // 2], data)
        else:
            self._answer(answer.status, kept, data, data)

    def _answer(self, status: int, headers: dict[str, str], data: bytes, whole: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if not any(name.lower() in {"content-length", "transfer-encoding"} for name in headers):
            self.send_header("Content-Length", str(len(whole or data)))
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(ConnectionError):  # a read that is not waited for
                self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815 - as http.server calls them


class Bucket:
    """A bucket of its own for a test."""

    def __init__(self, name: str, proxy: Proxy | None, server: str) -> None:
        import boto3  # noqa: PLC0415 - only where the stores' packages are

        self.name = name
        self.url = f"s3://{name}"
        self._proxy = proxy
        self._client = boto3.client(
            "s3",
            endpoint_url=server,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
        )
        self._client.create_bucket(Bucket=name)

    @property
    def proxy(self) -> Proxy:
        """The proxy before the server."""
        assert self._proxy is not None
        return self._proxy

    def put(self, key: str, data: bytes) -> str:
        """Write an object, and return its URL."""
        self._client.put_object(Bucket=self.name, Key=key, Body=data)
        return f"{self.url}/{key}"

    def get(self, key: str) -> bytes:
        """Read an object."""
        data: bytes = self._client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return data

    def keys(self) -> list[str]:
        """List the bucket."""
        found = self._client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return [each["Key"] for each in found]

    def signed(self, key: str) -> str:
        """Return a signed URL of an object, through the proxy."""
        values = {"Bucket": self.name, "Key": key}
        url: str = self._client.generate_presigned_url("get_object", Params=values)
        return f"{self.proxy.url}/{url.partition('://')[2].partition('/')[2]}"

    def close(self) -> None:
        """Close the client."""
        self._client.close()
