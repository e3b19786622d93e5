"""Small disks in memory that can be full, for the server's tables and for the rejects.

They are mounted in a mount namespace of this process's own, so that they are gone with its last
process, however that ends. That takes Linux and the right to mount.
"""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass
from pathlib import Path

# From <sched.h> and <sys/mount.h>.
_CLONE_NEWNS = 0x00020000
_MS_REMOUNT, _MS_REC, _MS_PRIVATE = 1 << 5, 1 << 14, 1 << 18

# A file grows by pages; while a disk is being shrunk to what is used, a writer may be faster.
_SHRINK_TRIES = 50


class NoDiskError(Exception):
    """No small disk can be had here; the text says why."""


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A disk of memory, mounted at ``folder``."""

    folder: Path

    def fill(self) -> None:
        """Leave no room: shrink the disk to what is used.

        Raises:
            OSError: the kernel refuses.
        """
        for left in reversed(range(_SHRINK_TRIES)):
            used = os.statvfs(self.folder)
            size_bytes = max(used.f_blocks - used.f_bfree, 1) * used.f_frsize
            try:
                self._resize(size_bytes)
            except OSError:
                if not left:
                    raise
            else:
                return

    def free(self) -> None:
        """Make room again: half of the memory, as any such disk has."""
        self._resize("50%")

    def _resize(self, size: int | str) -> None:
        _mount(b"tmpfs", self.folder, b"tmpfs", _MS_REMOUNT, f"size={size}".encode())


def separate() -> None:
    """Give this process, and those that it starts, mounts of their own; only once, and first.

    Raises:
        NoDiskError: it cannot be had.
    """
    if sys.platform != "linux":
        raise NoDiskError("small disks are mounted on Linux only")
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS):
        number = ctypes.get_errno()
        raise NoDiskError(f"no right to mount a small disk ({os.strerror(number).lower()})")
    try:
        _mount(None, Path("/"), None, _MS_REC | _MS_PRIVATE, None)
    except OSError as error:
        raise NoDiskError(f"no mounts of our own ({error.strerror})") from error


def mount(folder: Path) -> SmallDisk:
    """Make ``folder`` and mount a disk there, that any user may pass through.

    Raises:
        NoDiskError: it cannot be had.
    """
    folder.mkdir()
    try:
        _mount(b"tmpfs", folder, b"tmpfs", 0, b"mode=0755")
    except OSError as error:
        raise NoDiskError(f"no small disk can be mounted ({error.strerror})") from error
    return SmallDisk(folder)


def unmount(disk: SmallDisk) -> None:
    """Take the disk away, whoever still uses it.

    Raises:
        OSError: the kernel refuses.
    """
    detach = 2  # MNT_DETACH
    if ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(disk.folder), detach):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _mount(
    source: bytes | None, target: Path, kind: bytes | None, flags: int, data: bytes | None
) -> None:
    done = ctypes.CDLL(None, use_errno=True).mount(
        source, os.fsencode(target), kind, ctypes.c_ulong(flags), data
    )
    if done:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(target))
