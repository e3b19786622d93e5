"""Starts, restarts and stops PostgreSQL's postmaster as a child of the keeper."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import psutil

from harness.servers.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.servers.lifeline import Lifeline

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
LOOK_INTERVAL_S = 0.02


class Postmaster:
    """The postmaster of a server.

    Args:
        argv: its command line.
        data: its data directory.
        log: file to which its output is appended.
        user: its system user; None for this process's own.
    """

    def __init__(self, argv: tuple[str, ...], *, data: Path, log: Path, user: str | None) -> None:
        self._argv = argv
        self._data = data
        self._log = log
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, lifeline: Lifeline) -> int:
        """Start it, wait until it accepts connections, and return its process id.

        Raises:
            ServerError: it does not start; the message has the last line of its log.
            HarnessGoneError: the harness has gone.
        """
        process = self._process = self._spawn()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not is_ready(self._data, process.pid):
            ended = process.poll() is not None
            if ended or time.monotonic() > deadline:
                problem = "exited during start" if ended else "did not become ready"
                raise ServerError(
                    f"the embedded server {problem} ({self.last_line()})",
                    "choose --server docker or a URL",
                )
            lifeline.wait(LOOK_INTERVAL_S)
        return process.pid

    @contextlib.contextmanager
    def kept_running(self, restart_after_s: float | None) -> Iterator[None]:
        """Restart it ``restart_after_s`` after each exit, for the duration of the context.

        If it cannot start yet, since an old backend is still running, it is retried after the same
        delay. None disables restarts.
        """
        if restart_after_s is None:
            yield
            return
        over = threading.Event()
        reviver = threading.Thread(target=self._revive, args=(restart_after_s, over))
        reviver.start()
        try:
            yield
        finally:
            over.set()
            reviver.join()

    def stop(self) -> None:
        """Stop immediately by SIGQUIT, without a checkpoint: the data is discarded anyway."""
        process = self._process
        if process is None:
            return
        family = [process.pid, *_children(process.pid)]
        process.send_signal(signal.SIGQUIT)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            for pid in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()

    @property
    def has_ended(self) -> bool:
        """Return whether it has exited."""
        return self._process is not None and self._process.poll() is not None

    def last_line(self) -> str:
        """Return the last line of its log."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "its log is empty"

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - the package's own binary
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._data,
                user=self._user,
                extra_groups=None if self._user is None else [],
            )

    def _revive(self, restart_after_s: float, over: threading.Event) -> None:
        while not over.wait(LOOK_INTERVAL_S):
            if self.has_ended and not over.wait(restart_after_s):
                self._process = self._spawn()


def is_ready(data: Path, pid: int) -> bool:
    """Return whether the server of this process accepts connections, by ``postmaster.pid``.

    Its first line is the process, its eighth the state. A killed server leaves its file behind.
    """
    with contextlib.suppress(OSError):
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"  # noqa: PLR2004 - its layout
    return False


def _children(pid: int) -> list[int]:
    with contextlib.suppress(psutil.Error):
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return []
