"""The request handler that the tests' HTTP servers share."""

from __future__ import annotations

import contextlib
from http.server import BaseHTTPRequestHandler
from typing import Any


class QuietHandler(BaseHTTPRequestHandler):
    """Keeps connections open between requests, and prints nothing."""

    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        """Serve a connection; a client may close it at any time."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""
