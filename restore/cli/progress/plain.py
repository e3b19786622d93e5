"""Progress as plain lines: for files, pipes, logs and terminals that cannot draw."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from restore.cli.progress.lines import (
    Pace,
    done_line,
    found_line,
    progress_line,
    stage_line,
    warning_line,
)
from restore.report.events import BackupFound, Progress, Stage, TableDone, WarningEvent

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from restore.report.events import Event

_EVERY_S = 3.0


class Plain:
    """Writes a line when a table begins and ends, and every few seconds between.

    Args:
        stream: where to.
        clock: tells the time in seconds, from any beginning.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._pace = Pace(clock)
        self._written = clock()
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: every line is written."""

    def __call__(self, event: Event, /) -> None:
        """Write what there is to say of an event."""
        self._pace(event)
        match event:
            case Progress():
                self._progress(event)
            case BackupFound():
                self._write(found_line(event))
            case TableDone():
                self._write(done_line(event))
            case Stage():
                self._write(stage_line(event))
            case WarningEvent():
                self._write(warning_line(event))

    def _progress(self, progress: Progress) -> None:
        now = self._clock()
        if progress.number == self._number and now - self._written < _EVERY_S:
            return
        self._number, self._written = progress.number, now
        self._write(progress_line(progress, self._pace.table_s))

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()
