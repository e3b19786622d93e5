"""Shows a bench while it runs: a table that fills as trials end, what runs now, and the time left.

On standard error, if that is a terminal; else there are plain lines, one for each step.
"""

from __future__ import annotations

import contextlib
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.analysis.figures import figures
from harness.bench.run import ignore
from harness.cli.output import say
from harness.report import cells
from harness.report.reference_copy import engine_name
from harness.report.units import NONE, duration, megabytes, seconds
from harness.trial.meter import LAUNCHER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.bench.run import Now

_REFRESHES_PER_S = 1  # each reads the memory of a few processes, which takes a millisecond


@contextmanager
def shown() -> Iterator[tuple[Callable[[str], None], Callable[[Now], None]]]:
    """Yield the functions to call with a line for each step, and with the state of the run."""
    if not sys.stderr.isatty():
        yield say, ignore
        return
    view = _View()
    console = Console(stderr=True)
    with Live(
        get_renderable=view.render,
        console=console,
        refresh_per_second=_REFRESHES_PER_S,
        transient=True,
    ) as live:

        def told(now: Now) -> None:
            view.show(now)
            live.refresh()

        yield view.announce, told


@dataclass(slots=True)
class _View:
    """What is shown."""

    line: str = ""
    now: Now | None = None
    since_s: float = field(default_factory=time.monotonic)

    def announce(self, line: str) -> None:
        self.line = line

    def show(self, now: Now) -> None:
        self.now, self.since_s = now, time.monotonic()

    def render(self) -> Group:
        if self.now is None:
            return Group(Text(self.line))
        return Group(_table(self.now), Text(self._status(self.now)), Text(self.line, style="dim"))

    def _status(self, now: Now) -> str:
        passed_s = time.monotonic() - self.since_s
        parts = [f"{now.made} of {now.planned} trials"]
        if now.turn is not None:
            memory = _memory_bytes()
            parts += [
                f"{engine_name(now.turn.engine.name)} for {duration(passed_s)}",
                *([] if memory is None else [megabytes(memory)]),
            ]
        if now.left_s is not None:
            parts.append(f"{duration(max(now.left_s - passed_s, 0))} left")
        return ", ".join(parts)


def _table(now: Now) -> Table:
    """Lay out a row for each engine, also of those that have no trial yet."""
    found = {each.engine: each for each in figures(now.run, reference=None).engines}
    table = Table("engine", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("ok", "time", "peak memory", "last"):
        table.add_column(title, justify="right")
    last = {trial.engine: trial for trial in now.run.trials}
    for name in now.engines:
        each, trial = found.get(name), last.get(name)
        ended = NONE if trial is None else trial.status.value
        if trial is not None and trial.wall_s is not None:
            ended += f" {seconds(trial.wall_s)}"
        table.add_row(
            engine_name(name),
            NONE if each is None else cells.trials(each),
            cells.time(each)[0],
            cells.peak(each)[0],
            ended,
            style="bold" if now.turn is not None and now.turn.engine.name == name else "",
        )
    return table


def _memory_bytes() -> int | None:
    """Return the resident memory of the engine that runs; None if none does."""
    with contextlib.suppress(psutil.Error, OSError):
        for launcher in psutil.Process().children():
            if LAUNCHER.name in " ".join(launcher.cmdline()):
                sizes = [each.memory_info().rss for each in launcher.children(recursive=True)]
                return sum(sizes) if sizes else None
    return None
