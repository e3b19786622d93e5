"""How a keeper notices that its harness is gone: the pipe that the harness holds comes to its end.

The kernel closes the pipe however the harness ends, also by SIGKILL. A process that the harness
has forked may hold the pipe open a while longer, so the keeper also looks whether its parent is
still the one that it was born to.
"""

from __future__ import annotations

import os
import signal
import threading
import time

PARENT_LOOK_INTERVAL_S = 0.5


class HarnessGoneError(Exception):
    """Nobody waits for the server any more; stop starting it."""


class Lifeline:
    """The keeper's end of the pipe; lost when the harness lets go of it, dies, or on SIGTERM.

    Args:
        pipe: the file descriptor whose end of file means that the harness is gone.
    """

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._parent = os.getppid()
        self._lost = threading.Event()
        # Ctrl-C is for the harness to handle; it lets go of the pipe when it has finished.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self._lost.set())
        threading.Thread(target=self._read_to_end, daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Wait.

        Raises:
            HarnessGoneError: the harness is gone; at once, not after ``seconds``.
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
        # Not through sys.stdin: a thread that holds its lock makes the interpreter's end fail.
        while os.read(self._pipe, 4096):
            pass
        self._lost.set()
