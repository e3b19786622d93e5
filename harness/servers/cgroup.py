"""Finds the control group of a container, which reports its memory."""

from __future__ import annotations

import contextlib
from pathlib import Path

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")

# A line of /proc/<pid>/cgroup: hierarchy, controllers, path. Version 2 is hierarchy 0, without
# controllers; the memory controller belongs to one of the versions.
_VERSION_2 = "0"


def folder_of(
    pid: int, token: str = "", *, proc: Path = PROC, cgroups: Path = CGROUPS
) -> tuple[str | None, str | None]:
    """Return the folder of a process's control group, or None and the reason.

    Args:
        pid: the process id as reported by Docker, possibly of another machine.
        token: text in the path of the right group: the container's id.
        proc: the folder of processes.
        cgroups: the folder of control groups.
    """
    if (why := without_proc(proc)) is not None:
        return None, why
    try:
        lines = (proc / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None, "unknown: the container's processes are not visible from here"
    paths = {}
    for line in lines:
        hierarchy, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            paths["memory"] = cgroups / "memory" / path.lstrip("/")
        elif hierarchy == _VERSION_2:
            paths["unified"] = cgroups / path.lstrip("/")
    for folder in filter(None, map(paths.get, ("memory", "unified"))):
        # If the container runs in a virtual machine, another process may have this id here.
        if token not in str(folder):
            continue
        with contextlib.suppress(OSError):
            (folder / "memory.stat").read_bytes()
            return str(folder), None
    return None, "unknown: the container's cgroup cannot be read from here"


def without_proc(proc: Path = PROC) -> str | None:
    """Return why a server's memory cannot be read here; None if it can."""
    return None if (proc / "self").is_dir() else "unknown: this system has no /proc"
