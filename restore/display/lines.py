"""The lines that tell of a restore's progress. All text from a backup is made harmless."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restore.progress import Found, Progress, TableDone
from restore.wording import counted, duration, megabytes, safe, time_left

if TYPE_CHECKING:
    from collections.abc import Callable

    from restore.progress import Event, Stage, Warned


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
        if isinstance(event, Found):
            self._all_began = self._clock()
        if isinstance(event, Progress) and event.number != self._number:
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


def found_line(found: Found) -> str:
    """Say which backup is restored."""
    newest = ", the newest," if found.newest else ""
    return f"restoring {safe(found.path)}{newest} with {counted(found.tables, 'table')}"


def warning_line(warned: Warned) -> str:
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
    if 0 < progress.bytes_read < progress.bytes_total:
        rest = progress.bytes_total / progress.bytes_read - 1
        figures.append(time_left(elapsed_s * rest))
    return f"{heading(progress)}: {', '.join(figures)}"


def pace(rows: int, elapsed_s: float) -> list[str]:
    """Write ``31,000 records/s``, to two digits: it is no finer; nothing if no time has passed."""
    if elapsed_s <= 0:
        return []
    rate = float(f"{rows / elapsed_s:.2g}")
    return [f"{rate:,.0f} records/s"]


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
