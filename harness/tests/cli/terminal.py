"""A pseudo-terminal on which the harness runs, and keys that are typed there."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pty = pytest.importorskip("pty", reason="no pseudo-terminal here")

CHECKOUT = Path(__file__).parents[3]
PATIENCE_S = 60.0
_AGAIN_S = 5.0


class Terminal:
    """The harness on a pseudo-terminal.

    Args:
        folder: where it runs.
        arguments: those of its command line.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "harness", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), "TERM": "xterm", "NO_COLOR": "1"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._unread = ""
        self.said = ""

    def until(self, pattern: str, patience_s: float = PATIENCE_S) -> str:
        """Return what is printed up to a pattern."""
        end = time.monotonic() + patience_s
        while not (found := re.search(pattern, self._unread)):
            assert time.monotonic() < end, self._unread
            if select.select([self.master], [], [], 0.1)[0]:
                self.said += (new := os.read(self.master, 65_536).decode())
                self._unread += new
        text, self._unread = self._unread[: found.end()], self._unread[found.end() :]
        return text

    def interrupt(self, pattern: str) -> None:
        """Send SIGINT at a question, and repeat it until a pattern is printed.

        ``input`` of CPython misses a signal that arrives right before it waits: three of 400.
        """
        for _ in range(int(PATIENCE_S / _AGAIN_S)):
            os.kill(self.process.pid, signal.SIGINT)
            with contextlib.suppress(AssertionError):
                self.until(pattern, _AGAIN_S)
                return
        pytest.fail(f"no {pattern!r} after SIGINT: {self._unread!r}")

    def close(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()
        os.close(self.master)

    def type(self, *lines: str) -> None:
        """Type lines, each once the question before it is there."""
        for line in lines:
            self.until(r": $")
            os.write(self.master, f"{line}\n".encode())
