"""Memory meters of the launcher, for the engine's processes and the server's.

One definition holds for both: the private pages of each process, and each page that processes
share once. For a single process that is its resident memory.

It is loaded by the launcher by path, so it imports only the standard library. Sizes are in bytes,
times in seconds from the trial's start.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

# How often memory is read. A sample costs the launcher about 150 us, most of it waking up (2-core
# VM, Linux 6.18): 2 % of one core at 10 ms, 3.3 % at 5 ms, 4.7 % at 2 ms. What an engine of one
# process allocates in its last 10 ms can be missed, no more: the kernel keeps the peak until then.
SAMPLE_INTERVAL_S = 0.010

# Each fifth sample looks for children that are new, which costs 60 us a process; those that are
# known are read at every sample, which costs 14 us each.
SAMPLES_PER_SEARCH = 5

# To read what processes share costs 55 us for each MB that they hold (2-core VM, Linux 6.18), while
# they may wait for the same lock. It takes at most these shares of the time: as a rule, and if
# there are other processes than last time.
SHARING_COST = 0.01
CHANGED_SHARING_COST = 0.05
SHARING_INTERVAL_S = 0.1

# Each tenth sample reads the server's memory, some 15 processes: 0.1 % of one core.
SAMPLES_PER_SERVER = 10

# A curve is for display: more points would not be visible, and would fill the records.
MAX_POINTS = 64

PROC = os.path.isdir("/proc/self")  # noqa: PTH112 - pathlib is slow to import

# Descriptions of how a peak was measured. ``ru_maxrss`` misses nothing; ``VmHWM`` is the same mark
# as last read before the end.
EXACT = "ru_maxrss"
ONE_PROCESS = "VmHWM"
TREE = "shared pages once"
TREE_INEXACT = "pages shared by fork once a process"

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


class Held(NamedTuple):
    """Memory of a group of processes, in bytes; what several of them share counts once."""

    anonymous: int = 0
    file: int = 0
    shared_memory: int = 0


class ProcessGroup:
    """Memory of a changing set of processes: the private pages of each, and shared pages once.

    ``statm`` says at each sample what each process holds. ``smaps_rollup`` says how much of that
    others hold too, but walks page tables, so it is read seldom, and its last answer holds
    meanwhile. A process counts once it has been read so: between fork and exec, its memory is its
    parent's. If the kernel refuses to say, what was shared by forking counts once for each process.
    """

    def __init__(self) -> None:
        self.is_exact = True
        self._statms: dict[int, int] = {}
        self._counted: set[int] = set()
        self._forked_bytes = 0  # counted in more than one process since they forked
        self._held = Held()
        self._next_if_changed_s = self._next_s = 0.0

    def track(self, pids: Iterable[int]) -> None:
        """Read these processes and no others from now on."""
        wanted = set(pids)
        for pid in self._statms.keys() - wanted:
            os.close(self._statms.pop(pid))
        for pid in wanted - self._statms.keys():
            with contextlib.suppress(OSError):  # it has ended since
                self._statms[pid] = os.open(f"/proc/{pid}/statm", os.O_RDONLY)

    def held(self) -> Held:
        """Return what the group holds now."""
        now_s = time.monotonic()
        is_changed = self._statms.keys() != self._counted
        if now_s >= (self._next_if_changed_s if is_changed else self._next_s):
            before_s = time.thread_time()
            self._read_sharing()
            cost_s = time.thread_time() - before_s
            self._next_if_changed_s = now_s + cost_s / CHANGED_SHARING_COST
            self._next_s = now_s + max(cost_s / SHARING_COST, SHARING_INTERVAL_S)
        anonymous_bytes = 0
        for pid in self._counted & self._statms.keys():
            with contextlib.suppress(OSError):  # it has ended
                fields = os.pread(self._statms[pid], 256, 0).split()
                anonymous_bytes += (int(fields[1]) - int(fields[2])) * _PAGE_BYTES
        return self._held._replace(anonymous=max(anonymous_bytes - self._forked_bytes, 0))

    def _read_sharing(self) -> None:
        """Read how much of the group's memory is shared.

        Anonymous pages are shared with relatives alone, so shares add up to whole pages. Pages of
        a file may be shared with others, and those of a shared segment be in no page table now:
        the largest process bounds both from below.
        """
        self._counted = set(self._statms)
        self._forked_bytes = file_bytes = shared_bytes = most_file_bytes = most_shared_bytes = 0
        for pid in self._counted:
            with contextlib.suppress(OSError, IndexError):  # it has ended
                own_file, own_shared = _sizes(f"/proc/{pid}/status", b"RssFile", b"RssShmem")
                most_file_bytes = max(most_file_bytes, own_file)
                most_shared_bytes = max(most_shared_bytes, own_shared)
                try:
                    names = (b"Anonymous", b"Pss_Anon", b"Pss_File", b"Pss_Shmem")
                    all_, *shares = _sizes(f"/proc/{pid}/smaps_rollup", *names)
                except PermissionError:
                    self.is_exact = False
                    continue
                self._forked_bytes += all_ - shares[0]
                file_bytes += shares[1]
                shared_bytes += shares[2]
        self._held = Held(
            file=max(file_bytes, most_file_bytes),
            shared_memory=max(shared_bytes, most_shared_bytes),
        )


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
        self._group = ProcessGroup()
        self._has_children = False
        self._status = os.open(f"/proc/{pid}/status", os.O_RDONLY)
        # Until its exec the engine was a copy of this process, which its ``ru_maxrss`` includes.
        resident = _read("/proc/self/statm").split()[1]
        self._inherited_bytes = int(resident) * _PAGE_BYTES

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
        self._group = ProcessGroup()
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


def _sizes(path: str, *names: bytes) -> list[int]:
    """Return fields of a file of ``/proc`` that are in kB, as bytes.

    Raises:
        OSError: the process has ended, or may not be read.
        IndexError: it has no such field; a process that is ending has none.
    """
    content = b"\n" + _read(path)
    return [
        int(content.split(b"\n" + name + b":", 1)[1].split(maxsplit=1)[0]) * 1024 for name in names
    ]


def _read(path: str) -> bytes:
    """Read one of the small files of ``/proc``, without pathlib: this is the hot loop."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 65536)
    finally:
        os.close(descriptor)
