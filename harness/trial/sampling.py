"""Meters of the launcher, for the memory and the processor time of engine and server.

One definition of memory holds for both: the private pages of each process, and each page that
processes share once. For a single process that is its resident memory.

It is loaded by the launcher by path, so it imports only the standard library and the file beside
it. Sizes are in bytes, times in seconds from the trial's start.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

if TYPE_CHECKING or __package__:
    from harness.trial import process_group
else:  # loaded by the launcher, which looks beside itself
    import process_group

# How often memory is read. A sample costs the launcher about 150 us, most of it waking up (2-core
# VM, Linux 6.18): 2 % of one core at 10 ms, 3.3 % at 5 ms, 4.7 % at 2 ms. What an engine of one
# process allocates in its last 10 ms can be missed, no more: the kernel keeps the peak until then.
SAMPLE_INTERVAL_S = 0.010

# Each fifth sample looks for children that are new, which costs 60 us a process; those that are
# known are read at every sample, which costs 14 us each.
SAMPLES_PER_SEARCH = 5

# Each tenth sample reads the server's memory, some 15 processes: 0.1 % of one core.
SAMPLES_PER_SERVER = 10

# Each tenth sample reads the processor time of the engine's and the server's processes.
SAMPLES_PER_CPU = 10

# A process may end while its relatives are read, which then are read again.
READS_PER_CPU_SAMPLE = 3

# A curve is for display: more points would not be visible, and would fill the records.
MAX_POINTS = 64

PROC = os.path.isdir("/proc/self")  # noqa: PTH112 - pathlib is slow to import

# Descriptions of how a peak was measured. ``ru_maxrss`` misses nothing; ``VmHWM`` is the same mark
# as last read before the end.
EXACT = "ru_maxrss"
ONE_PROCESS = "VmHWM"
TREE = "shared pages once"
TREE_INEXACT = "pages shared by fork once a process"

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_STAT_BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system's own


class Curve:
    """Samples over time, reduced to the highest of each interval, so the peak is kept."""

    def __init__(self) -> None:
        self._interval_s = SAMPLE_INTERVAL_S
        self._points: dict[int, tuple[float, int]] = {}

    def add(self, at_s: float, value: int) -> None:
        """Add a sample; if there are too many points, double the interval."""
        self._keep(at_s, value)
        while len(self._points) > MAX_POINTS:
            self._interval_s *= 2
            points, self._points = self._points, {}
            for point in points.values():
                self._keep(*point)

    def to_dict(self, name: str = "bytes") -> dict[str, list[float] | list[int]] | None:
        """Return the points as two lists of equal length, the values as ``name``; None if none."""
        if not self._points:
            return None
        return {
            "at_s": [round(at_s, 3) for at_s, _ in self._points.values()],
            name: [value for _, value in self._points.values()],
        }

    def _keep(self, at_s: float, value: int) -> None:
        interval = int(at_s / self._interval_s)
        if interval not in self._points or self._points[interval][1] < value:
            self._points[interval] = (at_s, value)


class Meter(Protocol):
    """Samples memory: the last sample, the peak, a description of its source, and the curve."""

    held_bytes: int
    peak_bytes: int
    curve: Curve

    @property
    def peak_source(self) -> str:
        """Describe how the peak was measured."""

    def sample(self, at_s: float) -> None:
        """Take a sample at ``at_s``."""

    def finish(self, at_s: float, largest_bytes: int) -> None:
        """Note the end of the engine at ``at_s``, and the peak of its largest process."""


class ProcMeter:
    """Reads ``/proc``: the engine's own high-water mark, and the memory of its tree."""

    def __init__(self, pid: int) -> None:
        self.held_bytes = 0
        self.peak_bytes = 0
        self.peak_source = ONE_PROCESS
        self.curve = Curve()
        self._pid = pid
        self._own_peak_bytes = 0
        self._samples = 0
        self._group = process_group.ProcessGroup()
        self._has_children = False
        self._status = os.open(f"/proc/{pid}/status", os.O_RDONLY)
        # Until its exec the engine was a copy of this process, which its ``ru_maxrss`` includes.
        resident = process_group.read("/proc/self/statm").split()[1]
        self._inherited_bytes = int(resident) * process_group.PAGE_BYTES

    def sample(self, at_s: float) -> None:
        """Take a sample."""
        own = self._read_own()
        if own is not None:
            peak_bytes, self.held_bytes = own
            if self._has_children:
                self.held_bytes = sum(self._group.held())
            if self.held_bytes > max(peak_bytes, self.peak_bytes):
                self.peak_bytes = self.held_bytes
                self.peak_source = TREE if self._group.is_exact else TREE_INEXACT
            if peak_bytes > self._own_peak_bytes:  # reached since the previous sample
                self.held_bytes = max(self.held_bytes, peak_bytes)
                self._own_peak_bytes = peak_bytes
            self._take_own_peak(peak_bytes, ONE_PROCESS)
            self.curve.add(at_s, self.held_bytes)
        if self._samples % SAMPLES_PER_SEARCH == 0:
            children = [child for child in descendants(os.getpid()) if child != self._pid]
            self._has_children = bool(children)
            self._group.track([self._pid, *children] if children else [])
        self._samples += 1

    def finish(self, at_s: float, largest_bytes: int) -> None:
        """Take the kernel's peak of the largest process, which holds until its last moment.

        It and ``VmHWM`` add up the same counters with different care, and may differ by some pages.

        Args:
            at_s: when the engine ended.
            largest_bytes: ``ru_maxrss`` of the engine's processes.
        """
        is_whole = self.peak_source == ONE_PROCESS or largest_bytes > self.peak_bytes
        if is_whole and largest_bytes > self._inherited_bytes:
            self._take_own_peak(max(largest_bytes, self.peak_bytes), EXACT)
            self.curve.add(at_s, largest_bytes)

    def _take_own_peak(self, peak_bytes: int, source: str) -> None:
        if peak_bytes >= self.peak_bytes:
            self.peak_bytes, self.peak_source = peak_bytes, source

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

        self.held_bytes = 0
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
        self.held_bytes = total
        self.peak_bytes = max(self.peak_bytes, total)
        self.curve.add(at_s, total)

    def finish(self, at_s: float, largest_bytes: int) -> None:
        """Do nothing: ``ru_maxrss`` has other units, and includes what the engine inherited."""


class ServerMeter:
    """The memory of the processes of a PostgreSQL server, what they share counted once.

    These are the postmaster and its children. If the segment that they share can be read (as root),
    its resident size counts; else what their page tables have shown of it so far, which can be
    less.
    """

    def __init__(self, pid: int) -> None:
        self.held_bytes = 0
        self.peak_bytes = 0
        self.curve = Curve()
        self._pid = pid
        self._group = process_group.ProcessGroup()
        self._segment = _shared_segment(pid)
        self._touched_bytes = 0

    @property
    def peak_source(self) -> str:
        """Describe how the peak was measured."""
        shared = "" if self._segment else ", as far as its shared memory was touched"
        return f"the server's processes{shared}: {TREE if self._group.is_exact else TREE_INEXACT}"

    def sample(self, at_s: float) -> None:
        """Take a sample."""
        with contextlib.suppress(OSError):  # the server has ended
            self._group.track([self._pid, *_children(f"/proc/{self._pid}/task/{self._pid}")])
            held = self._group.held()
            # What was touched once stays, also if no process has it in its page table now.
            self._touched_bytes = max(self._touched_bytes, held.shared_memory, self._resident())
            self.held_bytes = held.anonymous + held.file + self._touched_bytes
            self.peak_bytes = max(self.peak_bytes, self.held_bytes)
            self.curve.add(at_s, self.held_bytes)

    def finish(self, at_s: float, largest_bytes: int) -> None:
        """Do nothing: a server outlives the trial."""

    def _resident(self) -> int:
        if not self._segment:
            return 0
        return os.stat(self._segment).st_blocks * _STAT_BLOCK_BYTES  # noqa: PTH116 - hot


class CgroupMeter:
    """Reads the memory of a control group, version 1 or 2: anonymous, shared and mapped pages.

    The group's own count (``memory.peak``) includes the page cache, which the kernel can drop.
    A page of shared memory that a process has mapped is also in the count of mapped pages.
    """

    def __init__(self, folder: str) -> None:
        self.held_bytes = 0
        self.peak_bytes = 0
        self.peak_source = "the server's cgroup: anonymous, shared and mapped pages, each once"
        self.curve = Curve()
        self._stat = os.open(f"{folder}/memory.stat", os.O_RDONLY)

    def sample(self, at_s: float) -> None:
        """Take a sample."""
        with contextlib.suppress(OSError):  # the group is gone, and the server with it
            stats = dict(line.split() for line in os.pread(self._stat, 65536, 0).splitlines())
            # In version 1, fields without "total" exclude the groups below.
            anonymous = stats.get(b"anon", stats.get(b"total_rss", b"0"))
            shared = stats.get(b"total_shmem", stats.get(b"shmem", b"0"))
            mapped = stats.get(b"total_mapped_file", stats.get(b"file_mapped", b"0"))
            self.held_bytes = int(anonymous) + max(int(shared), int(mapped))
            self.peak_bytes = max(self.peak_bytes, self.held_bytes)
            self.curve.add(at_s, self.held_bytes)

    def finish(self, at_s: float, largest_bytes: int) -> None:
        """Do nothing: a server outlives the trial."""


class CpuMeter:
    """Reads the processor time of processes and of those that they have waited for.

    The curve is in milliseconds; the kernel counts in ticks of 10 ms.

    Args:
        processes: returns the processes, each after its parent.
        first_ms: where to count from; by default from the first sample.
    """

    def __init__(self, processes: Callable[[], Iterable[int]], first_ms: int | None = None) -> None:
        self.curve = Curve()
        self._processes = processes
        self._first_ms = first_ms
        self._last_ms = 0

    def sample(self, at_s: float) -> None:
        """Take a sample; take none while processes end faster than they can be read."""
        for _ in range(READS_PER_CPU_SAMPLE):
            # A process that ends between its parent's turn and its own would be in neither.
            with contextlib.suppress(OSError):
                total_ms = sum(map(_cpu_ms, self._processes()))
                if self._first_ms is None:
                    self._first_ms = total_ms
                self.finish(at_s, total_ms - self._first_ms)
                return

    def finish(self, at_s: float, total_ms: int) -> None:
        """Note the total at ``at_s``; what ended between two samples never lessens it."""
        self._last_ms = max(self._last_ms, total_ms)
        self.curve.add(at_s, self._last_ms)


def engine_cpu(pid: int) -> CpuMeter | None:
    """Return the meter of the engine's processor time; None without ``/proc``."""
    return CpuMeter(lambda: [pid, *descendants(pid)], first_ms=0) if PROC else None


def server_cpu(pid: int | None) -> CpuMeter | None:
    """Return the meter of the server's processor time; None if its postmaster is not ours."""
    if pid is None or not PROC:
        return None
    return CpuMeter(lambda: [pid, *_children(f"/proc/{pid}/task/{pid}")])


def _cpu_ms(pid: int) -> int:
    """Return the processor time of a process and of the children that it has waited for.

    Raises:
        OSError: it has ended, and its parent has waited for it.
    """
    stat = process_group.read(f"/proc/{pid}/stat")
    fields = stat[stat.rindex(b")") :].split()
    return sum(map(int, fields[12:16])) * 1000 // _TICKS_PER_S


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
    return [int(pid) for pid in process_group.read(f"{task}/children").split()]


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
