"""A web server of files, with or without byte ranges, ETags and a listing."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from restore.tests.support.http_handler import QuietHandler

if TYPE_CHECKING:
    from collections.abc import Iterator


class Web:
    """Files by their paths.

    Attributes:
        url: of its root.
        files: what is served.
        has_ranges: it answers with ranges.
        etag: how it writes an ETag, given the content's hash; empty: there is none.
        paths: what was asked for.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.has_ranges = True
        self.etag = '"{}"'
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        handler = type("Handler", (_Handler,), {"web": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


class _Handler(QuietHandler):
    web: Web

    def do_GET(self) -> None:  # noqa: N802 - the name is that of http.server
        """Answer with a file, a part of it, or the list of a folder."""
        self.web.paths.append(self.path)
        self.web.headers.append(dict(self.headers.items()))
        path = unquote(urlsplit(self.path).path)
        data = self.web.files.get(path)
        if data is not None:
            self._answer_file(data)
        elif any(name.startswith(f"{path.rstrip('/')}/") for name in self.web.files):
            self._answer_folder(path)
        else:
            self._answer(404, {}, b"nothing here")

    def _answer_folder(self, path: str) -> None:
        if not path.endswith("/"):
            self._answer(301, {"Location": f"{path}/"}, b"")
            return
        inside = (name[len(path) :] for name in self.web.files if name.startswith(path))
        names = {name.partition("/")[0] + "/" * ("/" in name) for name in inside}
        links = "".join(f'<a href="{name}">{name}</a>\n' for name in sorted(names))
        page = f'<html><a href="../">..</a>{links}</html>'.encode()
        self._answer(200, {"Content-Type": "text/html"}, page)

    def _answer_file(self, data: bytes) -> None:
        etag = self.web.etag.format(hashlib.md5(data, usedforsecurity=False).hexdigest())
        headers = {"ETag": etag} if etag else {}
        asked = self.headers.get("Range")
        if (
            self.headers.get("If-Match", etag) != etag
            or self.headers.get("If-Match", "")[:2] == "W/"
        ):
            self._answer(412, headers, b"")
        elif not asked or not self.web.has_ranges:
            self._answer(200, headers, data)
        else:
            first, last = asked.removeprefix("bytes=").split("-")
            if int(first) >= len(data):
                self._answer(416, headers | {"Content-Range": f"bytes */{len(data)}"}, b"")
                return
            part = data[int(first) : int(last) + 1]
            place = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
            self._answer(206, headers | {"Content-Range": place}, part)

    def _answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextlib.contextmanager
def web_server() -> Iterator[Web]:
    """Run a server on loopback."""
    web = Web()
    thread = threading.Thread(target=web.server.serve_forever)
    thread.start()
    try:
        yield web
    finally:
        web.server.shutdown()
        thread.join()
        web.server.server_close()
