"""Detects that the harness of a keeper is gone, by end of file on the pipe between them.

The kernel closes the pipe however the harness ends, even by SIGKILL. A process that the harness
forked may hold the pipe open longer, so the keeper also checks that its parent has not changed.
"""

from __future__ import annotations

import os
import signal
import threading
import time

PARENT_LOOK_INTERVAL_S = 0.5


class HarnessGoneError(Exception):
    """The harness has gone; stop starting the server."""


class Lifeline:
    """The keeper's end of the pipe; lost if the harness closes it or dies, or on SIGTERM.

    Args:
        pipe: the file descriptor whose end of file means that the harness has gone.
    """

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._parent = os.getppid()
        self._lost = threading.Event()
        # Ctrl-C is handled by the harness, which closes the pipe when it has finished.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self._lost.set())
        threading.Thread(target=self._read_to_end, daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Wait for ``seconds``.

        Raises:
            HarnessGoneError: the harness has gone; raised at once.
        """
        deadline = time.monotonic() + seconds
        while True:
            left_s = max(0.0, deadline - time.monotonic())
            if self._lost.wait(min(PARENT_LOOK_INTERVAL_S, left_s)) or self._is_orphan():
                raise HarnessGoneError
            if time.monotonic() >= deadline:
                return

    def _is_orphan(self) -> bool:
        return os.getppid() != self._parent

    def _read_to_end(self) -> None:
        # Not through sys.stdin: a thread that holds its lock breaks the interpreter's shutdown.
        while os.read(self._pipe, 4096):
            pass
        self._lost.set()
