"""Whether processes have ended, asked while they end."""

from __future__ import annotations

import time

import psutil

PATIENCE_S = 30.0


def ended(pid: int) -> bool:
    """Say whether a process has ended; nobody need have taken note of it yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def ends_soon(pid: int) -> bool:
    """Say whether a process ends, which it has half a minute for."""
    deadline = time.monotonic() + PATIENCE_S
    while not ended(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
