"""Progress as bars: one for the whole restore, one for the current table.

Nothing is drawn before the first batch, so that a question before it has the terminal to itself.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, TextColumn
from rich.progress import Progress as Drawing
from rich.table import Column
from rich.text import Text

from restore.cli.progress.compact import compact_count, compact_rate, compact_size, compact_time
from restore.cli.progress.layout import Layout, choose_layout
from restore.cli.progress.lines import (
    Stopwatch,
    event_line,
    heading,
    pace,
    progress_at_end,
    rate,
    seconds_left,
)
from restore.report.events import Progress, Stage, TableDone
from restore.text import escape_controls, megabytes, pluralize, time_left

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from rich.console import JustifyMethod
    from rich.progress import TaskID

    from restore.report.events import BackupFound, Event, WarningEvent

# Each drawing takes the time of a few hundred records; more of them cannot be read.
_DRAWINGS_PER_S = 4


class ProgressBars:
    """Draws two bars at the bottom; the lines of events scroll above them.

    Args:
        stream: the terminal.
        clock: tells the time in seconds, from any origin.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = Console(file=stream, highlight=False)
        self._layout = choose_layout(self._console.width)
        self._drawing = Drawing(
            *_columns(self._layout),
            console=self._console,
            refresh_per_second=_DRAWINGS_PER_S,
            transient=True,
            redirect_stdout=False,  # it may be a file, where the report goes
        )
        self._times = Stopwatch(clock)
        self._last: Progress | None = None
        self._whole: TaskID | None = None
        self._table: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the bars and show the cursor again."""
        self._drawing.stop()

    def __call__(self, event: Event, /) -> None:
        """Draw an event, or write its line above the bars."""
        self._times(event)
        match event:
            case Progress():
                self._progress(event)
            case TableDone():
                self._done(event)
            case Stage() if self._table is not None:
                self._stage(event, self._table)
            case _:
                self._write(event)

    def _write(self, event: BackupFound | TableDone | Stage | WarningEvent) -> None:
        self._console.print(Text(event_line(event)), soft_wrap=True)

    def _progress(self, progress: Progress) -> None:
        self._last = progress
        first = self._table is None
        if self._table is None or self._whole is None:
            self._whole = self._drawing.add_task("all tables", **_nothing(self._layout))
            self._table = self._drawing.add_task("", **_nothing(self._layout))
        whole = (progress.all_bytes_read, progress.all_bytes_total)
        shown = _figures(progress.all_rows, whole, self._times.all_s, compact=self._layout.compact)
        self._update(self._whole, whole, shown)
        size = (progress.bytes_read, progress.bytes_total)
        shown = _figures(progress.rows, size, self._times.table_s, compact=self._layout.compact)
        shown["batches"] = _batches(progress, compact=self._layout.compact)
        shown["description"] = heading(progress)
        self._update(self._table, size, shown)
        if first:
            self._drawing.start()

    def _update(self, task: TaskID, size: tuple[int, int], shown: dict[str, Any]) -> None:
        done, total = size if size[1] else (1, 1)  # an empty file is all read
        percent = f"{100 * min(done, total) // total}%"
        self._drawing.update(task, completed=done, total=total, percent=percent, **shown)

    def _done(self, done: TableDone) -> None:
        """Write the outcome of a table above its bars, which show its end."""
        if self._last is not None:
            self._progress(progress_at_end(self._last, done))
            self._drawing.refresh()  # a line is written above the bars as they were drawn last
        self._write(done)

    def _stage(self, stage: Stage, table: TaskID) -> None:
        """Show a step after the load in the place of the table's bar."""
        self._drawing.remove_task(table)  # its total cannot be removed
        name = escape_controls(stage.name)
        self._table = self._drawing.add_task(name, total=None, **_nothing(self._layout))


def _nothing(chosen: Layout) -> dict[str, Any]:
    return dict.fromkeys(["percent", *chosen.figures], "")


def _figures(
    rows: int, size: tuple[int, int], elapsed_s: float, *, compact: bool
) -> dict[str, Any]:
    """Write the figures beside a bar."""
    per_s, left_s = rate(rows, elapsed_s), seconds_left(*size, elapsed_s)
    if compact:
        return {
            "records": f"{compact_count(rows)} {'record' if rows == 1 else 'records'}",
            "rate": "" if per_s is None else compact_rate(per_s),
            "size": compact_size(*size) if size[1] else "",
            "left": "" if left_s is None else compact_time(left_s),
        }
    return {
        "records": pluralize(rows, "record"),
        "rate": "".join(pace(rows, elapsed_s)),
        "size": megabytes(*size) if size[1] else "",
        "left": "" if left_s is None else time_left(left_s),
    }


def _batches(progress: Progress, *, compact: bool) -> str:
    if not progress.batches:
        return ""
    done, expected = progress.batches, max(progress.batches, progress.batches_expected)
    if compact:
        return f"batch {compact_count(done)}/{compact_count(expected)}"
    return f"batch {done:,}/{expected:,}"


def _columns(chosen: Layout) -> list[ProgressColumn]:
    """Make the columns of a layout, each as wide as it stays. No text is rich's markup."""
    columns = [_text("description", chosen.name)]
    if chosen.bar:
        column = Column(width=chosen.bar)
        columns.append(BarColumn(bar_width=chosen.bar, table_column=column))
    figures = {"percent": chosen.percent, **chosen.figures}
    return columns + [
        _text(f"fields[{name}]", width, justify="right") for name, width in figures.items()
    ]


def _text(attribute: str, width: int, justify: JustifyMethod = "left") -> ProgressColumn:
    column = Column(width=width, no_wrap=True, overflow="ellipsis", justify=justify)
    return TextColumn(f"{{task.{attribute}}}", justify=justify, markup=False, table_column=column)
