"""Progress as bars: one for the whole restore, one for the table in work.

Nothing is drawn before the first batch, so that a question before it has the terminal to itself.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, TextColumn
from rich.progress import Progress as Drawing
from rich.table import Column
from rich.text import Text

from restore.display.lines import (
    Pace,
    done_line,
    found_line,
    heading,
    pace,
    stage_line,
    warning_line,
)
from restore.progress import Found, Progress, Stage, TableDone, Warned
from restore.wording import megabytes, safe, time_left

if TYPE_CHECKING:
    from typing import TextIO

    from rich.progress import TaskID

    from restore.progress import Event

# Each drawing takes the time of a few hundred records; oftener than this nobody can read.
_DRAWINGS_PER_S = 4
# Where lines are narrower, the figures that can be spared go: the name and the bar stay.
_WIDE = 100
_MIDDLING = 76
_NARROW = 50
# Characters that the columns of figures take, and that lie between all of them.
_PERCENT = 4
_LEFT = len("12 min 34 s left")
_GAPS = 5


class Bars:
    """Draws two bars at the bottom; lines of lasting interest scroll above them."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._drawing = Drawing(
            *_columns(self._console.width),
            console=self._console,
            refresh_per_second=_DRAWINGS_PER_S,
            transient=True,
            redirect_stdout=False,  # it may be a file, where the report goes
        )
        self._pace = Pace(time.monotonic)
        self._whole: TaskID | None = None
        self._table: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bars away and show the cursor again."""
        self._drawing.stop()

    def __call__(self, event: Event, /) -> None:
        """Draw an event, or write its line above the bars."""
        self._pace(event)
        match event:
            case Progress():
                self._progress(event)
            case Found():
                self._write(found_line(event))
            case TableDone():
                self._write(done_line(event))
            case Stage():
                self._stage(event)
            case Warned():
                self._write(warning_line(event))

    def _write(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)

    def _progress(self, progress: Progress) -> None:
        first = self._table is None
        if self._table is None or self._whole is None:
            self._whole = self._drawing.add_task("all tables", left="", figures="")
            self._table = self._drawing.add_task("", left="", figures="")
        whole = (progress.all_bytes_read, progress.all_bytes_total)
        self._drawing.update(
            self._whole,
            completed=whole[0],
            total=whole[1],
            left=_left(whole, self._pace.all_s),
            figures=_figures(progress.all_rows, whole, self._pace.all_s),
        )
        size = (progress.bytes_read, progress.bytes_total)
        figures = _figures(progress.rows, size, self._pace.table_s)
        if progress.batches:
            expected = max(progress.batches, progress.batches_expected)
            figures = f"batch {progress.batches:,}/{expected:,}, {figures}"
        self._drawing.update(
            self._table,
            description=heading(progress),
            completed=size[0],
            total=size[1],
            left=_left(size, self._pace.table_s),
            figures=figures,
        )
        if first:
            self._drawing.start()

    def _stage(self, stage: Stage) -> None:
        """Show what goes on after the load in the place of the table's bar."""
        if self._table is None:
            self._write(stage_line(stage))
        else:
            self._drawing.update(
                self._table, description=safe(stage.name), total=None, left="", figures=""
            )


def _left(size: tuple[int, int], elapsed_s: float) -> str:
    done, total = size
    return time_left(elapsed_s * (total / done - 1)) if 0 < done < total else ""


def _figures(rows: int, size: tuple[int, int], elapsed_s: float) -> str:
    """Write the figures beside a bar; what matters least comes last, where a line is cut."""
    return ", ".join([f"{rows:,} records", *pace(rows, elapsed_s), megabytes(*size)])


def _columns(width: int) -> list[ProgressColumn]:
    """Choose what stands beside each other, each as wide as it stays. No text is rich's markup."""
    if width < _NARROW:
        return [_text("description", width - _PERCENT - _GAPS), _percent()]
    bar = 20 if width >= _WIDE else 10
    name = min(width // 3, 24)
    drawn = BarColumn(bar_width=bar, table_column=Column(width=bar))
    columns = [_text("description", name), drawn, _percent(), _text("fields[left]", _LEFT)]
    if width >= _MIDDLING:
        rest = width - name - bar - _PERCENT - _LEFT - _GAPS
        columns.append(_text("fields[figures]", rest))
    return columns


def _text(attribute: str, width: int) -> ProgressColumn:
    column = Column(width=width, no_wrap=True, overflow="ellipsis")
    return TextColumn(f"{{task.{attribute}}}", markup=False, table_column=column)


def _percent() -> ProgressColumn:
    column = Column(width=_PERCENT, no_wrap=True)
    return TextColumn("{task.percentage:>3.0f}%", markup=False, table_column=column)
