"""Memory meters of the launcher, for the engine's processes and the server's.

It is loaded by the launcher by path, so it imports only the standard library. Sizes are in bytes,
times in seconds from the trial's start.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

# How often memory is read. A sample costs the launcher about 150 us, most of it waking up (2-core
# VM, Linux 6.18): 2 % of one core at 10 ms, 3.3 % at 5 ms, 4.7 % at 2 ms. What an engine of one
# process allocates in its last 10 ms can be missed, no more: the kernel keeps the peak until then.
SAMPLE_INTERVAL_S = 0.010

# Each fifth sample looks for children that are new, which costs 60 us a process; those that are
# known are read at every sample, which costs 14 us each. Beside a restore by two processes, the
# launcher takes 2.2 % of one core; it took 1.9 % when it read the children at each fifth alone.
SAMPLES_PER_SEARCH = 5

# Each tenth sample reads the server's memory, some 15 processes: 0.1 % of one core.
SAMPLES_PER_SERVER = 10

# A curve is for display: more points would not be visible, and would fill the records.
MAX_POINTS = 64

PROC = os.path.isdir("/proc/self")  # noqa: PTH112 - pathlib is slow to import

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STAT_BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system's own


class Curve:
    """Memory over time, reduced to the highest sample of each interval, so the peak is kept."""

    def __init__(self) -> None:
        self._interval_s = SAMPLE_INTERVAL_S
        self._points: dict[int, tuple[float, int]] = {}

    def add(self, at_s: float, size_bytes: int) -> None:
        """Add a sample; if there are too many points, double the interval."""
        self._keep(at_s, size_bytes)
        while len(self._points) > MAX_POINTS:
            self._interval_s *= 2
            points, self._points = self._points, {}
            for point in points.values():
                self._keep(*point)

    def to_dict(self) -> dict[str, list[float] | list[int]] | None:
        """Return the points as two lists of equal length; None if there are none."""
        if not self._points:
            return None
        return {
            "at_s": [round(at_s, 3) for at_s, _ in self._points.values()],
            "bytes": [size_bytes for _, size_bytes in self._points.values()],
        }

    def _keep(self, at_s: float, size_bytes: int) -> None:
        interval = int(at_s / self._interval_s)
        if interval not in self._points or self._points[interval][1] < size_bytes:
            self._points[interval] = (at_s, size_bytes)


class Meter(Protocol):
    """Samples memory: its peak, a description of its source, and the curve."""

    peak_bytes: int
    peak_source: str
    curve: Curve

    def sample(self, at_s: float) -> None:
        """Take a sample at ``at_s``."""


class ProcessMemory:
    """Resident memory of a changing set of processes; the file of each is opened once."""

    def __init__(self) -> None:
        self._statms: dict[int, int] = {}

    def track(self, pids: Iterable[int]) -> None:
        """Read these processes and no others from now on."""
        wanted = set(pids)
        for pid in self._statms.keys() - wanted:
            os.close(self._statms.pop(pid))
        for pid in wanted - self._statms.keys():
            with contextlib.suppress(OSError):  # it has ended since
                self._statms[pid] = os.open(f"/proc/{pid}/statm", os.O_RDONLY)

    def sizes(self) -> list[tuple[int, int, int]]:
        """Return the id, resident bytes and shareable bytes of each process."""
        found = []
        for pid, statm in self._statms.items():
            with contextlib.suppress(OSError):  # it has ended
                fields = os.pread(statm, 256, 0).split()
                resident, shared = int(fields[1]), int(fields[2])
                found.append((pid, resident * _PAGE_BYTES, shared * _PAGE_BYTES))
        return found


class ProcMeter:
    """Reads ``/proc``: the engine's own high-water mark, and the sum over its tree.

    The sum counts a shared page once for each process: it errs against engines with workers.
    ``Pss`` would divide them, but reading it walks the page tables under the lock that the engine's
    own allocations need. A child counts from the sample after the one that found it: until it has
    executed its program, its memory is its parent's, which would be counted twice.
    """

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self.peak_source = "VmHWM"
        self.curve = Curve()
        self._pid = pid
        self._own_peak_bytes = 0
        self._tree_peak_bytes = 0
        self._samples = 0
        self._children = ProcessMemory()
        self._status = os.open(f"/proc/{pid}/status", os.O_RDONLY)

    def sample(self, at_s: float) -> None:
        """Take a sample."""
        own = self._read_own()
        if own is not None:
            peak_bytes, own_bytes = own
            held_bytes = own_bytes + sum(size_bytes for _, size_bytes, _ in self._children.sizes())
            if held_bytes > own_bytes:
                self._tree_peak_bytes = max(self._tree_peak_bytes, held_bytes)
            if peak_bytes > self._own_peak_bytes:  # reached since the previous sample
                held_bytes = max(held_bytes, peak_bytes)
                self._own_peak_bytes = peak_bytes
            self.curve.add(at_s, held_bytes)
        if self._samples % SAMPLES_PER_SEARCH == 0:
            below = descendants(os.getpid())
            self._children.track(child for child in below if child != self._pid)
        self._samples += 1
        self.peak_bytes = max(self._own_peak_bytes, self._tree_peak_bytes)
        self.peak_source = "VmHWM" if self.peak_bytes == self._own_peak_bytes else "tree RSS"

    def _read_own(self) -> tuple[int, int] | None:
        """Return ``VmHWM`` and ``VmRSS``; None once the process has released its memory."""
        try:
            status = os.pread(self._status, 8192, 0)
        except ProcessLookupError:
            return None
        _, found, rest = status.partition(b"\nVmHWM:")
        if not found:
            return None
        peak, _, _, resident, _ = rest.split(maxsplit=4)
        return int(peak) * 1024, int(resident) * 1024


class PsutilMeter:
    """Reads resident memory through psutil, if there is no ``/proc``; spikes can be missed."""

    def __init__(self, pid: int) -> None:
        import psutil  # noqa: PLC0415 - not in the standard library, and only needed here

        self.peak_bytes = 0
        self.peak_source = "tree RSS (psutil)"
        self.curve = Curve()
        self._psutil = psutil
        self._process = psutil.Process(pid)

    def sample(self, at_s: float) -> None:
        """Take a sample."""
        total = 0
        with contextlib.suppress(self._psutil.Error):
            for process in [self._process, *self._process.children(recursive=True)]:
                total += process.memory_info().rss
        self.peak_bytes = max(self.peak_bytes, total)
        self.curve.add(at_s, total)


class ServerMeter:
    """Sums the memory of the processes of a PostgreSQL server, its shared memory once.

    These are the postmaster and its children: their anonymous memory, and the one segment that they
    share. If the segment itself can be read (as root), its resident size counts; else the most that
    one process has touched, which can be less.
    """

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self.curve = Curve()
        self._pid = pid
        self._processes = ProcessMemory()
        self._segment = _shared_segment(pid)
        self._touched_bytes = 0
        shared = "shared memory" if self._segment else "largest RssShmem"
        self.peak_source = f"RssAnon and {shared} of the server's processes"

    def sample(self, at_s: float) -> None:
        """Take a sample."""
        with contextlib.suppress(OSError):  # the server has ended
            self._processes.track([self._pid, *_children(f"/proc/{self._pid}/task/{self._pid}")])
            sizes = self._processes.sizes()
            # File-backed pages are programs and libraries, which the kernel can drop.
            anonymous_bytes = sum(resident - shared for _, resident, shared in sizes)
            held_bytes = anonymous_bytes + self._shared_bytes(sizes)
            self.peak_bytes = max(self.peak_bytes, held_bytes)
            self.curve.add(at_s, held_bytes)

    def _shared_bytes(self, sizes: list[tuple[int, int, int]]) -> int:
        if self._segment:
            return os.stat(self._segment).st_blocks * _STAT_BLOCK_BYTES  # noqa: PTH116 - hot
        pid, _, _ = max(sizes, key=lambda size: size[2], default=(self._pid, 0, 0))
        _, _, rest = _read(f"/proc/{pid}/status").partition(b"\nRssShmem:")
        self._touched_bytes = max(self._touched_bytes, int(rest.split(maxsplit=1)[0]) * 1024)
        return self._touched_bytes


class CgroupMeter:
    """Reads the anonymous and shared memory of a control group, version 1 or 2.

    The group's own count (``memory.peak``) includes the page cache, which the kernel can drop.
    """

    def __init__(self, folder: str) -> None:
        self.peak_bytes = 0
        self.peak_source = "anonymous and shared memory of the server's cgroup"
        self.curve = Curve()
        self._stat = os.open(f"{folder}/memory.stat", os.O_RDONLY)

    def sample(self, at_s: float) -> None:
        """Take a sample."""
        with contextlib.suppress(OSError):  # the group is gone, and the server with it
            stats = dict(line.split() for line in os.pread(self._stat, 65536, 0).splitlines())
            # In version 1, fields without "total" exclude the groups below.
            anonymous = stats.get(b"anon", stats.get(b"total_rss", b"0"))
            shared = stats.get(b"total_shmem", stats.get(b"shmem", b"0"))
            held_bytes = int(anonymous) + int(shared)
            self.peak_bytes = max(self.peak_bytes, held_bytes)
            self.curve.add(at_s, held_bytes)


def engine_meter(pid: int) -> Meter:
    """Return the meter for an engine on this system."""
    return ProcMeter(pid) if PROC else PsutilMeter(pid)


def server_meter(pid: int | None, cgroup: str | None) -> Meter | None:
    """Return the meter for the server, by control group or postmaster; None if neither."""
    with contextlib.suppress(OSError):
        if cgroup is not None:
            return CgroupMeter(cgroup)
        if pid is not None and PROC:
            return ServerMeter(pid)
    return None


def descendants(pid: int) -> list[int]:
    """Return all descendants of ``pid``; none if the kernel does not list children."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.scandir(f"/proc/{pid}/task"):
            found += _children(task.path)
    return found + [below for child in found for below in descendants(child)]


def _children(task: str) -> list[int]:
    return [int(pid) for pid in _read(f"{task}/children").split()]


def _shared_segment(pid: int) -> str | None:
    """Return the path of the largest readable shared memory that a process has mapped."""
    largest, found = 0, None
    with contextlib.suppress(OSError):
        for mapped in os.scandir(f"/proc/{pid}/map_files"):
            start, _, end = mapped.name.partition("-")
            size_bytes = int(end, 16) - int(start, 16)
            if size_bytes > largest and _is_memory(mapped.path):
                largest, found = size_bytes, mapped.path
    return found


def _is_memory(mapped: str) -> bool:
    """Return whether a mapping is shared memory and no file.

    Raises:
        OSError: it may not be read.
    """
    name = os.readlink(mapped)  # noqa: PTH115 - pathlib is slow to import
    return name.startswith("/dev/zero") and os.stat(mapped).st_blocks >= 0  # noqa: PTH116 - same


def _read(path: str) -> bytes:
    """Read one of the small files of ``/proc``, without pathlib: this is the hot loop."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 65536)
    finally:
        os.close(descriptor)
