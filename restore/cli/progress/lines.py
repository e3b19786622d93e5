"""The lines that tell of a restore's progress. All text from a backup is made harmless."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from restore.report.events import BackupFound, Progress, TableDone
from restore.text import counted, duration, megabytes, safe, time_left

if TYPE_CHECKING:
    from collections.abc import Callable

    from restore.report.events import Event, Stage, WarningEvent


# What is measured over less is the time of a batch or two, and of the clock.
_TELLING_FROM_S = 0.5


class Pace:
    """Takes the time since the table in work began, and since the first did.

    A table's first event comes after its first batch, so it began with the event before.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._number = 0
        self._began = self._last = self._all_began = clock()

    def __call__(self, event: Event, /) -> None:
        """Take note of an event."""
        if isinstance(event, BackupFound):
            self._all_began = self._clock()
        if isinstance(event, Progress | TableDone) and event.number != self._number:
            self._number, self._began = event.number, self._last
        self._last = self._clock()

    @property
    def table_s(self) -> float:
        """Seconds that the table in work has taken so far."""
        return self._last - self._began

    @property
    def all_s(self) -> float:
        """Seconds that all of it has taken so far."""
        return self._last - self._all_began


def found_line(found: BackupFound) -> str:
    """Say which backup is restored."""
    newest = ", the newest," if found.newest else ""
    return f"restoring {safe(found.path)}{newest} with {counted(found.tables, 'table')}"


def warning_line(warned: WarningEvent) -> str:
    """Write a warning."""
    return f"warning: {safe(warned.message)}"


def stage_line(stage: Stage) -> str:
    """Say what is done now that is no table's load."""
    return f"{safe(stage.name)} ..."


def heading(event: Progress | TableDone) -> str:
    """Write ``[3/24] users``."""
    name = event.report.table if isinstance(event, TableDone) else event.table
    return f"[{event.number}/{event.tables}] {safe(name)}"


def progress_line(progress: Progress, elapsed_s: float) -> str:
    """Write how far a table is."""
    done = megabytes(progress.bytes_read, progress.bytes_total)
    figures = [f"{progress.rows:,} records", done, *pace(progress.rows, elapsed_s)]
    if progress.batches:
        expected = max(progress.batches, progress.batches_expected)
        figures.insert(0, f"batch {progress.batches:,}/{expected:,}")
    if progress.rejected:
        figures.append(f"{progress.rejected:,} kept out")
    left_s = seconds_left(progress.bytes_read, progress.bytes_total, elapsed_s)
    if left_s is not None:
        figures.append(time_left(left_s))
    return f"{heading(progress)}: {', '.join(figures)}"


def rate(rows: int, elapsed_s: float) -> float | None:
    """Return rows per second; None as long as too little time has passed to tell."""
    return rows / elapsed_s if elapsed_s >= _TELLING_FROM_S else None


def seconds_left(done: int, total: int, elapsed_s: float) -> float | None:
    """Return how long the rest takes at this pace; None where that cannot be told, or all is done.

    Args:
        done: bytes that are read.
        total: bytes that there are.
        elapsed_s: how long it took to read them, in seconds.
    """
    if elapsed_s < _TELLING_FROM_S or not 0 < done < total:
        return None
    return elapsed_s * (total / done - 1)


def pace(rows: int, elapsed_s: float) -> list[str]:
    """Write ``31,000 records/s``, to two digits: it is no finer; nothing if it cannot be told."""
    per_s = rate(rows, elapsed_s)
    return [] if per_s is None else [f"{float(f'{per_s:.2g}'):,.0f} records/s"]


def finished(last: Progress, done: TableDone) -> Progress:
    """Return how far a restore is when a table is done.

    A table without a batch has no progress of its own; how large its file is nobody told.

    Args:
        last: the progress before, of this table or of one before it.
        done: tells of the table's end.
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


def done_line(done: TableDone) -> str:
    """Write what became of a table's records."""
    report = done.report
    figures = [f"{report.loaded:,} loaded"]
    if report.rejected:
        figures.append(f"{report.rejected:,} rejected")
    if report.duplicates:
        figures.append(counted(report.duplicates, "duplicate"))
    if report.cut_off:
        figures.append("the file is cut off")
    return f"{heading(done)}: {', '.join(figures)} in {duration(report.wall_s)}"
