"""A store of a campaign's backup: a web server on loopback that can be made to fail."""

from __future__ import annotations

import asyncio
import contextlib
import html
import importlib.util
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from harness.chaos.proxy import HOST, Proxy
from harness.model.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator
    from pathlib import Path

    from aiohttp import web

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Environment of its clients: they connect directly, without the user's HTTP proxy.
ENV = {"no_proxy": HOST}
_CALL_TIMEOUT_S = 10.0


def check_available() -> None:
    """Raise if a web server cannot be run, or not be read.

    Raises:
        InputError: a package is missing.
    """
    if any(importlib.util.find_spec(name) is None for name in ("aiohttp", "fsspec")):
        raise InputError(
            "the kinds store-500, store-reset and store-stalled need the extra http; "
            "python -m pip install 'restorebench[http]', or choose other --kinds"
        )


class Store:
    """A web server of the files of a folder, in byte ranges, each with its ETag.

    Args:
        folder: the files.
        socket: the path of its Unix socket, which the proxy leads to.

    Attributes:
        proxy: the proxy, which can stall and reset connections.
    """

    def __init__(self, folder: Path, socket: Path) -> None:
        self.proxy = Proxy(socket)
        self._folder = folder
        self._socket = socket
        self._loop = asyncio.new_event_loop()
        self._is_failing = False

    @property
    def url(self) -> str:
        """Return the URL of the folder."""
        return f"http://{HOST}:{self.proxy.port}/backup/"

    def fail(self) -> None:
        """Answer each request with status 500 until ``recover``."""
        self._is_failing = True

    def recover(self) -> None:
        """Answer with the files again."""
        self._is_failing = False

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Serve for the duration of the context."""
        from aiohttp import web  # noqa: PLC0415 - an extra

        @web.middleware
        async def answer_or_fail(request: web.Request, handler: Handler) -> web.StreamResponse:
            if self._is_failing:
                raise web.HTTPInternalServerError
            return await handler(request)

        async def listing(_: web.Request) -> web.Response:
            names = sorted(file.name for file in self._folder.iterdir() if file.is_file())
            links = (f'<a href="{quote(name)}">{html.escape(name)}</a>' for name in names)
            return web.Response(text="\n".join(links), content_type="text/html")

        async def with_slash(_: web.Request) -> web.Response:
            raise web.HTTPMovedPermanently("/backup/")

        app = web.Application(middlewares=[answer_or_fail])
        app.router.add_get("/backup", with_slash)
        app.router.add_get("/backup/", listing)
        app.router.add_static("/backup", self._folder)
        runner = web.AppRunner(app, access_log=None)
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        try:
            self._run(runner.setup())
            self._run(web.UnixSite(runner, str(self._socket)).start())
            with self.proxy.serving():
                yield
        finally:
            self._run(runner.cleanup())
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    def _run(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(_CALL_TIMEOUT_S)
