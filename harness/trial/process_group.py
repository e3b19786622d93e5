"""Memory of a group of processes, in which shared pages count once.

It is loaded by the launcher by path, so it imports only the standard library.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# To read what processes share costs 55 us for each MB that they hold (2-core VM, Linux 6.18), while
# they may wait for the same lock. It takes at most these shares of the time: as a rule, and if
# there are other processes than last time.
SHARING_COST = 0.005
CHANGED_SHARING_COST = 0.05
SHARING_INTERVAL_S = 0.1


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
                anonymous_bytes += (int(fields[1]) - int(fields[2])) * PAGE_BYTES
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


def _sizes(path: str, *names: bytes) -> list[int]:
    """Return fields of a file of ``/proc`` that are in kB, as bytes.

    Raises:
        OSError: the process has ended, or may not be read.
        IndexError: it has no such field; a process that is ending has none.
    """
    content = b"\n" + read(path)
    return [
        int(content.split(b"\n" + name + b":", 1)[1].split(maxsplit=1)[0]) * 1024 for name in names
    ]


def read(path: str) -> bytes:
    """Read one of the small files of ``/proc``, without pathlib: this is the hot loop."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 65536)
    finally:
        os.close(descriptor)
