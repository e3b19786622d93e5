"""This machine, as far as the harness must know it to run."""

from __future__ import annotations

import os


def processor_count() -> int:
    """Return the number of processors that this process may use, at most the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
