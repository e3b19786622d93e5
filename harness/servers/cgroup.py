"""Where the kernel says how much memory a container holds: the folder of its control group."""

from __future__ import annotations

import contextlib
from pathlib import Path

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")

# A line of /proc/<pid>/cgroup: hierarchy, controllers, path. Version 2 is hierarchy 0, which has no
# controllers; where version 1 has the memory, version 2 has not.
_VERSION_2 = "0"


def folder_of(
    pid: int, token: str = "", *, proc: Path = PROC, cgroups: Path = CGROUPS
) -> tuple[str | None, str | None]:
    """Return the folder of a process's control group, or None and why.

    Args:
        pid: the process, as whoever runs it knows it, which may be another machine.
        token: what stands in the group's path if it is the right one; a container's id.
        proc: where processes are.
        cgroups: where control groups are.
    """
    if (why := without_proc(proc)) is not None:
        return None, why
    try:
        lines = (proc / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None, "not known: the container's processes cannot be seen from here"
    paths = {}
    for line in lines:
        hierarchy, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            paths["memory"] = cgroups / "memory" / path.lstrip("/")
        elif hierarchy == _VERSION_2:
            paths["unified"] = cgroups / path.lstrip("/")
    for folder in filter(None, map(paths.get, ("memory", "unified"))):
        # Another process may have this id here, where the container runs in a virtual machine.
        if token not in str(folder):
            continue
        with contextlib.suppress(OSError):
            (folder / "memory.stat").read_bytes()
            return str(folder), None
    return None, "not known: the container's cgroup cannot be read from here"


def without_proc(proc: Path = PROC) -> str | None:
    """Return why no memory of a server's can be read here; None where it can."""
    return None if (proc / "self").is_dir() else "not known: this system has no /proc"
