"""Stops a run at a safe point when a signal asks for it.

A signal that raises anywhere would leave databases, containers and child processes behind. Here it
raises only in the blocks that allow it: those that take long. All others are short, and finish
first.
"""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(KeyboardInterrupt):
    """A signal asked to stop; a ``KeyboardInterrupt``, which no ``except Exception`` catches."""


class StopListener:
    """Handles the signals that ask to stop, within its context; only in the main thread."""

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
            raise StopRequested

    def check(self) -> None:
        """Raise ``StopRequested`` if a signal has come."""
        if self.requested:
            raise StopRequested

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a signal raise ``StopRequested`` once in the block, or at once if it has come."""
        self.check()
        self._armed = True
        try:
            self.check()
            yield
        finally:
            self._armed = False
