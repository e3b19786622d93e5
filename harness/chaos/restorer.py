"""The restorer's processes: started, watched, found again when their parent is gone, ended."""

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

# All that a campaign starts as a restorer bears this in its environment, also below a parent that
# was killed.
_MARK = "RESTOREBENCH_CHAOS"
_END_PATIENCE_S = 10.0
LOOK_INTERVAL_S = 0.02


@dataclass(slots=True)
class Restorer:
    """One start of the engine.

    Attributes:
        log: where all it says goes, behind what earlier starts said.
        started_s: when it was started, on the clock of ``time.monotonic``.
    """

    process: subprocess.Popen[bytes]
    mark: str
    log: Path
    started_s: float = field(default_factory=time.monotonic)

    @property
    def exit_code(self) -> int | None:
        """Its exit code, minus a signal's number, or None while it runs."""
        return self.process.poll()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid


def new_mark() -> str:
    """Make a mark for the processes of one cycle."""
    return secrets.token_hex(8)


def start(argv: tuple[str, ...], env: Mapping[str, str], mark: str, log: Path) -> Restorer:
    """Start the engine, in a session of its own.

    Raises:
        OSError: it cannot be started.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - the command that is to be tried
            argv,
            env={**env, _MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return Restorer(process, mark, log)


def marked_processes(mark: str) -> list[psutil.Process]:
    """Return the processes with this mark that run."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(_MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def wait_until_gone(mark: str, patience_s: float) -> list[psutil.Process]:
    """Wait until no process has this mark; return those that are still there."""
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
    """Say which process it is: its id and its program."""
    with contextlib.suppress(psutil.Error):
        return f"pid {pid} ({psutil.Process(pid).name()})"
    return f"pid {pid}"
