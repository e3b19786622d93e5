"""Waits for servers that a test has started."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from pathlib import Path


def await_server(url: str, log: Path, patience_s: float) -> None:
    """Wait until a server takes connections.

    Raises:
        AssertionError: it does not within that time; the message is its log.
    """
    until = time.monotonic() + patience_s
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > until:
                raise AssertionError(log.read_text(encoding="utf-8")) from error
            time.sleep(0.05)
        else:
            return
