"""The restorer's processes: started, found again without their parent, and ended."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Variable in the environment of all the restorer's processes, even if their parent was killed.
_MARK = "RESTOREBENCH_CHAOS"
_END_PATIENCE_S = 10.0
LOOK_INTERVAL_S = 0.02


@dataclass(slots=True)
class Restorer:
    """One attempt: a running engine.

    Attributes:
        log: file to which its output is appended.
        started_s: its start, on the clock of ``time.monotonic``.
    """

    process: subprocess.Popen[bytes]
    mark: str
    log: Path
    started_s: float = field(default_factory=time.monotonic)

    @property
    def exit_code(self) -> int | None:
        """Return its exit code, a negative signal number, or None while it runs."""
        return self.process.poll()

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self.process.pid


def new_mark() -> str:
    """Return a new mark for the processes of one cycle."""
    return secrets.token_hex(8)


def start(argv: tuple[str, ...], env: Mapping[str, str], mark: str, log: Path) -> Restorer:
    """Start the engine, in a session of its own.

    Raises:
        OSError: it cannot be started.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - the command under test
            argv,
            env={**env, _MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return Restorer(process, mark, log)


def marked_processes(mark: str) -> list[psutil.Process]:
    """Return the running processes with this mark."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(_MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def wait_until_gone(mark: str, patience_s: float) -> list[psutil.Process]:
    """Wait until no process has this mark; return those that remain."""
    deadline = time.monotonic() + patience_s
    while (found := marked_processes(mark)) and time.monotonic() < deadline:
        time.sleep(LOOK_INTERVAL_S)
    return found


def end(mark: str) -> None:
    """Kill every process with this mark."""
    deadline = time.monotonic() + _END_PATIENCE_S
    while (found := marked_processes(mark)) and time.monotonic() < deadline:
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(LOOK_INTERVAL_S)


def describe(pid: int) -> str:
    """Describe a process by id and program."""
    with contextlib.suppress(psutil.Error):
        return f"pid {pid} ({psutil.Process(pid).name()})"
    return f"pid {pid}"
