"""Progress as plain lines. Control characters in text from a backup are escaped."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from restore.report.events import BackupFound, Progress, Stage, TableDone, WarningEvent
from restore.text import duration, escape_controls, megabytes, pluralize, time_left

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from restore.report.events import Event

_EVERY_S = 3.0
# A rate over less time is that of a batch or two, and of the clock.
_MEASURABLE_S = 0.5


class Stopwatch:
    """Measures the time since the current table began, and since the first did.

    A table's first event comes after its first batch, so it began with the event before.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._number = 0
        self._began = self._last = self._all_began = clock()

    def __call__(self, event: Event, /) -> None:
        """Record the time of an event."""
        if isinstance(event, BackupFound):
            self._all_began = self._clock()
        if isinstance(event, Progress | TableDone) and event.number != self._number:
            self._number, self._began = event.number, self._last
        self._last = self._clock()

    @property
    def table_s(self) -> float:
        """Seconds that the current table has taken so far."""
        return self._last - self._began

    @property
    def all_s(self) -> float:
        """Seconds that the whole restore has taken so far."""
        return self._last - self._all_began


class PlainLines:
    """Writes a line when a table begins and ends, and every few seconds between.

    For files, pipes, logs and terminals that cannot draw.

    Args:
        stream: where to write.
        clock: tells the time in seconds, from any origin.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._times = Stopwatch(clock)
        self._written_at = clock()
        self._number = 0

    def __call__(self, event: Event, /) -> None:
        """Write the line of an event, if it is time for one."""
        self._times(event)
        if not isinstance(event, Progress):
            self._write(event_line(event))
            return
        now = self._clock()
        if event.number != self._number or now - self._written_at >= _EVERY_S:
            self._number, self._written_at = event.number, now
            self._write(progress_line(event, self._times.table_s))

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def event_line(event: BackupFound | TableDone | Stage | WarningEvent) -> str:
    """Write an event that does not come with every batch."""
    match event:
        case BackupFound():
            newest = ", the newest," if event.newest else ""
            tables = pluralize(event.tables, "table")
            return f"restoring {escape_controls(event.path)}{newest} with {tables}"
        case TableDone():
            return _done_line(event)
        case Stage():
            return f"{escape_controls(event.name)} ..."
        case WarningEvent():
            return f"warning: {escape_controls(event.message)}"


def heading(event: Progress | TableDone) -> str:
    """Write ``[3/24] users``."""
    name = event.report.table if isinstance(event, TableDone) else event.table
    return f"[{event.number}/{event.tables}] {escape_controls(name)}"


def progress_line(progress: Progress, elapsed_s: float) -> str:
    """Write the progress of a table."""
    done = megabytes(progress.bytes_read, progress.bytes_total)
    figures = [f"{progress.rows:,} records", done, *pace(progress.rows, elapsed_s)]
    if progress.batches:
        expected = max(progress.batches, progress.batches_expected)
        figures.insert(0, f"batch {progress.batches:,}/{expected:,}")
    if progress.rejected:
        figures.append(f"{progress.rejected:,} rejected")
    left_s = seconds_left(progress.bytes_read, progress.bytes_total, elapsed_s)
    if left_s is not None:
        figures.append(time_left(left_s))
    return f"{heading(progress)}: {', '.join(figures)}"


def rate(rows: int, elapsed_s: float) -> float | None:
    """Return rows per second; None if too little time has passed."""
    return rows / elapsed_s if elapsed_s >= _MEASURABLE_S else None


def seconds_left(done: int, total: int, elapsed_s: float) -> float | None:
    """Estimate the seconds for the rest; None if that is not possible, or all is done.

    Args:
        done: bytes that are read.
        total: all bytes.
        elapsed_s: seconds that it took to read them.
    """
    if elapsed_s < _MEASURABLE_S or not 0 < done < total:
        return None
    return elapsed_s * (total / done - 1)


def pace(rows: int, elapsed_s: float) -> list[str]:
    """Write ``31,000 records/s``, to two significant digits; nothing if it is not known."""
    per_s = rate(rows, elapsed_s)
    return [] if per_s is None else [f"{float(f'{per_s:.2g}'):,.0f} records/s"]


def progress_at_end(last: Progress, done: TableDone) -> Progress:
    """Return the progress when a table is done.

    A table without a batch has no progress of its own, and the size of its file is not known.

    Args:
        last: the last progress, of this table or of one before it.
        done: the end of the table.
    """
    own = last.number == done.number
    read = done.report.read
    before_rows = last.all_rows - (last.rows if own else 0)
    rest_bytes = last.bytes_total - last.bytes_read if own else 0
    at_end = done.number == done.tables
    return replace(
        last,
        table=done.report.table,
        number=done.number,
        tables=done.tables,
        rows=read,
        batches=last.batches if own else 0,
        batches_expected=last.batches if own else 0,
        bytes_read=last.bytes_total if own else 0,
        bytes_total=last.bytes_total if own else 0,
        all_rows=before_rows + read,
        all_bytes_read=last.all_bytes_total if at_end else last.all_bytes_read + rest_bytes,
    )


def _done_line(done: TableDone) -> str:
    """Write the outcome of a table."""
    report = done.report
    figures = [f"{report.loaded:,} loaded"]
    if report.rejected:
        figures.append(f"{report.rejected:,} rejected")
    if report.duplicates:
        figures.append(pluralize(report.duplicates, "duplicate"))
    if report.cut_off:
        figures.append("the file is truncated")
    return f"{heading(done)}: {', '.join(figures)} in {duration(report.wall_s)}"
