"""The settings of the harness's own servers, by profile, and those recorded of every server.

A server of the user's is never changed. Durability is never traded for speed: a server that may
lose confirmed data would flatter every engine.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    import psycopg

    from harness.servers.messages import ServerProfile

# The profiles of our own servers: PostgreSQL as installed, or configured for a bulk load.
STOCK: ServerProfile = "stock"
BULK: ServerProfile = "bulk"
PROFILES = (STOCK, BULK)

MIB = 1024 * 1024
GIB = 1024 * MIB

# The memory limit of this container, in control groups 2 and 1.
CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)

# Settings that affect a bulk load, recorded with each run in addition to those that are set.
ALSO_RECORDED = (
    "block_size",
    "checkpoint_completion_target",
    "data_checksums",
    "default_toast_compression",
    "effective_io_concurrency",
    "io_method",
    "io_workers",
    "lc_ctype",
    "max_parallel_maintenance_workers",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "max_wal_senders",
    "max_worker_processes",
    "min_wal_size",
    "server_encoding",
    "session_replication_role",
    "temp_buffers",
    "wal_buffers",
    "wal_compression",
    "wal_sync_method",
    "work_mem",
)


# What no profile leaves to an image or a locale: durability, one meaning for a date without an
# offset, one spelling, one language for errors. None makes a restore faster or slower.
_ALWAYS = {
    # On even if an image turns them off: a durable restore is measured.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "lc_messages": "C",
}


def of_profile(profile: str, memory_bytes: int, disk_free_bytes: int | None) -> dict[str, str]:
    """Return the settings of a server that we start; arguments as for ``bulk_load``."""
    if profile == STOCK:
        return dict(_ALWAYS)
    return bulk_load(memory_bytes, disk_free_bytes)


def bulk_load(memory_bytes: int, disk_free_bytes: int | None) -> dict[str, str]:
    """Return the settings of a server for a bulk load.

    Args:
        memory_bytes: memory of the server's machine or container.
        disk_free_bytes: free space of its disk; None if unknown.
    """
    return _ALWAYS | {
        # An eighth holds the indexes of a million rows, and leaves the rest to the engine, whose
        # memory is what we measure, and to the page cache.
        "shared_buffers": _mib(memory_bytes // 8, 128 * MIB, 1 * GIB),
        # Building an index sorts in this much; each of --jobs may take it once.
        "maintenance_work_mem": _mib(memory_bytes // 32, 64 * MIB, 512 * MIB),
        # No checkpoint in mid-load: with 1GB, 4M rows took 25 s rather than 16 s. It is a ceiling,
        # not a reservation, but a small disk must never be filled with log.
        "max_wal_size": _mib((disk_free_bytes or 64 * GIB) // 4, 1 * GIB, 16 * GIB),
        "checkpoint_timeout": "1h",
        # A temporary server has no replicas; then, rows loaded into a table that was created or
        # truncated in the same transaction need no WAL.
        "wal_level": "minimal",
        "max_wal_senders": "0",
        # WAL that an engine leaves unflushed must still be so when it is checked
        # (``trial/durability.py``).
        "wal_writer_delay": "10s",
        # On as in production; it skips a table that is being filled for most of a load.
        "autovacuum": "on",
        # Compiling a query takes longer than most of ours run, and whether it starts varies.
        "jit": "off",
        # Whether the host has reserved huge pages must not matter.
        "huge_pages": "off",
    }


def as_arguments(settings: dict[str, str]) -> list[str]:
    """Return settings as arguments of ``postgres``."""
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def memory_limit_bytes() -> int:
    """Return the memory that this process may use: the machine's, or its container's."""
    limits = [psutil.virtual_memory().total]
    for path in CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # not there, or "max"
            limits.append(int(path.read_text(encoding="ascii")))
    return min(limits)


def in_force(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Return the server's settings, as it prints them.

    Names unknown to this version of PostgreSQL are left out.
    """
    names = [*bulk_load(0, None), *ALSO_RECORDED]
    rows = connection.execute(
        "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s) ORDER BY name",
        [names],
    )
    return {str(name): str(value) for name, value in rows}


def _mib(size_bytes: int, low: int, high: int) -> str:
    return f"{min(max(size_bytes, low), high) // MIB}MB"
