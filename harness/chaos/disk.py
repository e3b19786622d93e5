"""Small disks in memory that can be filled, for the server's tables and for the rejects.

They are mounted in a mount namespace of this process, so that they vanish with its last process,
however that ends. It needs Linux and the right to mount.
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

# A writer may fill pages while the disk is being shrunk to its used size.
_SHRINK_TRIES = 50


class NoDiskError(Exception):
    """Small disks are not available here; the text says why."""


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A tmpfs mounted at ``folder``."""

    folder: Path

    def fill(self) -> None:
        """Fill the disk by shrinking it to its used size.

        Raises:
            OSError: the kernel refuses.
        """
        for tries_left in reversed(range(_SHRINK_TRIES)):
            used = os.statvfs(self.folder)
            size_bytes = max(used.f_blocks - used.f_bfree, 1) * used.f_frsize
            try:
                self._resize(size_bytes)
            except OSError:
                if not tries_left:
                    raise
            else:
                return

    def free(self) -> None:
        """Grow the disk again to half of the memory, tmpfs's default."""
        self._resize("50%")

    def _resize(self, size: int | str) -> None:
        _mount(b"tmpfs", self.folder, b"tmpfs", _MS_REMOUNT, f"size={size}".encode())


def separate() -> None:
    """Give this process and its children a mount namespace; only once, and first.

    Raises:
        NoDiskError: it is not available.
    """
    if sys.platform != "linux":
        raise NoDiskError("small disks are mounted on Linux only")
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS):
        number = ctypes.get_errno()
        raise NoDiskError(f"no right to mount a small disk ({os.strerror(number).lower()})")
    try:
        _mount(None, Path("/"), None, _MS_REC | _MS_PRIVATE, None)
    except OSError as error:
        raise NoDiskError(f"no mount namespace ({error.strerror})") from error


def mount(folder: Path) -> SmallDisk:
    """Create ``folder`` and mount a disk there that any user may enter.

    Raises:
        NoDiskError: it cannot be mounted.
    """
    folder.mkdir()
    try:
        _mount(b"tmpfs", folder, b"tmpfs", 0, b"mode=0755")
    except OSError as error:
        raise NoDiskError(f"cannot mount a small disk ({error.strerror})") from error
    return SmallDisk(folder)


def unmount(disk: SmallDisk) -> None:
    """Unmount the disk, even if it is in use.

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
