"""Stops a run at a safe point when the user or the system asks for it.

A signal that raises wherever the program happens to be would leave databases, containers and
children behind. Here it only raises where the program says that it may: in what takes long. All
else is short, and is finished first.
"""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """Asked to stop. A ``KeyboardInterrupt``, so that no ``except Exception`` swallows it."""


class Stop:
    """Listens for the signals that ask to stop, while it is entered; only in the main thread."""

    def __init__(self) -> None:
        self.requested = False
        self._armed = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        if self._armed:
            self._armed = False
            raise Stopped

    def check(self) -> None:
        """Raise ``Stopped`` if someone asked for it."""
        if self.requested:
            raise Stopped

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a signal raise ``Stopped`` anywhere in the block, once; or now, if it has come."""
        self.check()
        self._armed = True
        try:
            self.check()
            yield
        finally:
            self._armed = False
