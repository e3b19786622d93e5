"""First steps of the command: signals during the imports, and what costs memory for nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
EXIT_FAILED = 1
# Rows are no cycles, and there are many: with Python's own threshold, looking for cycles among them
# took 7% of the time of a restore of 100,000 records.
GC_THRESHOLD = 50_000
_M_ARENA_MAX = -8  # of malloc.h
IDLE = "interrupted, but not in the middle of a restore"


def install_early_signal_handlers() -> None:
    """Let a signal end the process with one line: there is nothing to clean up yet."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, or a shell's &
            signal.signal(number, _end)


def skip_openssl() -> None:
    """Skip the imports of Python's own OpenSSL, which take 8 MB of memory.

    psycopg imports asyncio, which is not used here and works without ``ssl``, as in a Python built
    without it. A connection's TLS is libpq's own. Without ``_hashlib``, the module hashlib takes
    Python's own implementations.
    """
    for name in ("ssl", "_hashlib"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type] # importing it fails: see import


def load_openssl() -> None:
    """Import what ``skip_openssl`` skipped: stores are asked over TLS, through asyncio."""
    if sys.modules.get("ssl", sys) is not None:
        return
    del sys.modules["ssl"], sys.modules["_hashlib"]
    import asyncio.sslproto  # noqa: PLC0415 - a local restore needs none of these
    import hashlib  # noqa: PLC0415
    import importlib  # noqa: PLC0415
    import ssl  # noqa: PLC0415

    importlib.reload(hashlib)
    for name, module in list(sys.modules.items()):
        if name.startswith("asyncio.") and getattr(module, "ssl", ssl) is None:
            module.ssl = ssl  # type: ignore[attr-defined] # as the module's own import would
    importlib.reload(asyncio.sslproto)


def use_one_arena() -> None:
    """Let all threads share one arena of glibc's allocator, before any of them starts.

    Each thread has an arena of its own else, which keeps what its largest batch took: with two
    connections, 10 MiB more at the peak, and no faster. See mallopt(3), M_ARENA_MAX.
    """
    import ctypes  # noqa: PLC0415 - psycopg has imported it by then, and --help need not

    with contextlib.suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    os.write(2, f"\nrestore: {IDLE}\n".encode())
    os._exit(EXIT_FAILED)
