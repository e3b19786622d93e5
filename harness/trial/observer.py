"""Measures other activity during a trial, from counters read before and after it."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
import psycopg

from harness.model.record import Noise
from harness.trial.sampling import READS_PER_CPU_SAMPLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

_CHECKPOINTS = "SELECT num_requested FROM pg_stat_checkpointer"
_CHECKPOINTS_BEFORE_17 = "SELECT checkpoints_req FROM pg_stat_bgwriter"
_VERSION_17 = 170000


@dataclass(frozen=True, slots=True)
class _Counters:
    """Cumulative counters at one time."""

    at: float
    busy_s: float
    stolen_s: float
    server_s: float
    own_s: float
    swapped_bytes: int
    checkpoints: int | None


def observe(
    server: psycopg.Connection[Any], server_pid: int | None, files: Iterable[Path]
) -> Callable[[], Noise]:
    """Read the counters, and return a function that reads them again and returns the noise.

    Args:
        server: a connection to the server of the trial, in autocommit.
        server_pid: its postmaster, if known; else all processes called ``postgres`` count as the
            server.
        files: the backup, whose share in the page cache is recorded.
    """
    load, cached, mhz = os.getloadavg()[0], cached_share(files), _mhz()
    before = _read_counters(server, server_pid)

    def ended() -> Noise:
        after = _read_counters(server, server_pid)
        wall_s = max(after.at - before.at, 1e-6)
        ours_s = after.own_s - before.own_s + after.server_s - before.server_s
        forced = None
        if before.checkpoints is not None and after.checkpoints is not None:
            forced = after.checkpoints - before.checkpoints
        return Noise(
            load=load,
            other_cores=max(0.0, (after.busy_s - before.busy_s - ours_s) / wall_s),
            stolen_cores=max(0.0, (after.stolen_s - before.stolen_s) / wall_s),
            swapped_bytes=after.swapped_bytes - before.swapped_bytes,
            cached=cached,
            mhz=mhz,
            mhz_after=_mhz(),
            checkpoints=forced,
        )

    return ended


def cached_share(files: Iterable[Path]) -> float | None:
    """Return the share of files in the page cache, 0 to 1; None if unknown."""
    resident = pages = 0
    for path in files:
        counted = _resident(path)
        if counted is None:
            return None
        resident, pages = resident + counted[0], pages + counted[1]
    return resident / pages if pages else None


def _resident(path: Path) -> tuple[int, int] | None:
    """Return how many pages of a file are in memory, and how many it has; see mincore(2)."""
    with contextlib.suppress(OSError, ValueError, AttributeError), path.open("rb") as file:
        size = path.stat().st_size
        if not size:
            return 0, 0
        pages = -(-size // mmap.PAGESIZE)
        flags = (ctypes.c_ubyte * pages)()
        with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY) as mapped:
            start = ctypes.c_char.from_buffer(mapped)
            address = ctypes.c_void_p(ctypes.addressof(start))
            failed = ctypes.CDLL(None).mincore(address, ctypes.c_size_t(size), flags)
            del start  # else the mapping could not be closed
        return None if failed else (sum(page & 1 for page in flags), pages)
    return None


def _read_counters(server: psycopg.Connection[Any], server_pid: int | None) -> _Counters:
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0) + getattr(times, "steal", 0.0)
    # Guest time is included in user time.
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    own = os.times()
    swap = psutil.swap_memory()
    return _Counters(
        at=time.monotonic(),
        busy_s=sum(times) - idle - guests,
        stolen_s=getattr(times, "steal", 0.0),
        server_s=_server_s(server_pid),
        # The launcher and the engine are our children, and have ended by the second reading.
        own_s=own.user + own.system + own.children_user + own.children_system,
        swapped_bytes=swap.sin + swap.sout,
        checkpoints=_checkpoints(server),
    )


def _server_s(pid: int | None) -> float:
    """Return the processor time of the server's processes, including those that have ended."""
    used: list[float | None] = []
    for _ in range(READS_PER_CPU_SAMPLE):
        with contextlib.suppress(psutil.Error):
            used = [_used_s(process) for process in _server_processes(pid)]
            # A process that ends between its parent's turn and its own would be in neither.
            if None not in used:
                break
    return sum(each for each in used if each is not None)


def _server_processes(pid: int | None) -> list[psutil.Process]:
    """Return the processes of the server, each after its parent."""
    if pid is None:
        every = psutil.process_iter(["name"])
        return [process for process in every if process.info["name"] == "postgres"]
    first = psutil.Process(pid)
    return [first, *first.children(recursive=True)]


def _used_s(process: psutil.Process) -> float | None:
    """Return the processor time of a process and its ended children; None if it has ended."""
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        children_s = times.children_user + times.children_system
        return float(times.user + times.system + children_s)
    return None


def _mhz() -> float | None:
    """Return the mean clock of the cores, if the system reports it."""
    with contextlib.suppress(OSError, NotImplementedError):
        frequency = psutil.cpu_freq()
        return float(frequency.current) if frequency else None
    return None


def _checkpoints(server: psycopg.Connection[Any]) -> int | None:
    """Return the server's count of requested checkpoints."""
    later = server.info.server_version >= _VERSION_17
    try:
        row = server.execute(_CHECKPOINTS if later else _CHECKPOINTS_BEFORE_17).fetchone()
    except psycopg.Error:  # the server is gone, which the verification reports
        return None
    return int(row[0]) if row else None
