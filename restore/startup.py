"""First steps of the command: signals during the imports, and an import that costs memory."""

from __future__ import annotations

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
IDLE = "interrupted, but not in the middle of a restore"


def install_early_signal_handlers() -> None:
    """Let a signal end the process with one line: there is nothing to clean up yet."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, or a shell's &
            signal.signal(number, _end)


def skip_ssl_import() -> None:
    """Skip the import of Python's ssl, which takes 4 MB of memory.

    psycopg imports asyncio, which is not used here and works without ssl, as in a Python built
    without it. A connection's TLS is libpq's own.
    """
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type] # importing it fails: see import


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    os.write(2, f"\nrestore: {IDLE}\n".encode())
    os._exit(EXIT_FAILED)
