"""What processes are like, asked while that changes: whether they have ended, what they hold."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.servers import RunningServer
    from harness.trial.sampling import Meter

PATIENCE_S = 30.0


def ended(pid: int) -> bool:
    """Say whether a process has ended; nobody need have taken note of it yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def ends_soon(pid: int) -> bool:
    """Say whether a process ends, which it has half a minute for."""
    return comes_true(lambda: ended(pid))


def comes_true(holds: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    """Wait until something holds; say whether it came to that."""
    deadline = time.monotonic() + patience_s
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return held


def status(pid: int, field: str) -> int:
    """Return what the kernel says of a process; sizes are in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1])


def peaks_around_a_sort(server: RunningServer, meter: Meter) -> tuple[int, int]:
    """Return what a server's meter has as its peak before a session holds 100 MB, and then."""
    with server.connect() as connection:
        meter.sample(0.0)
        before_bytes = meter.peak_bytes
        # The sort stays in memory as long as its cursor is open.
        connection.execute("SET work_mem = '512MB'")
        connection.execute("BEGIN")
        connection.execute(
            "DECLARE held CURSOR FOR SELECT repeat('x', 1000) || n AS text"
            " FROM generate_series(1, 100000) AS n ORDER BY 1"
        )
        connection.execute("FETCH held")
        for _ in range(50):  # a new session counts once its sharing was read
            meter.sample(0.1)
            time.sleep(0.01)
    return before_bytes, meter.peak_bytes
