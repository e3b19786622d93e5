"""Ends a restore cleanly when it is asked to, by Ctrl-C or a signal."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, NoReturn, Self

from restore.report.events import Found, Progress
from restore.report.next_steps import repair_command
from restore.startup import EXIT_FAILED, SIGNALS
from restore.text import counted, program, safe

if TYPE_CHECKING:
    from types import FrameType

    from restore.options import Options
    from restore.report.events import Event, Watcher

# The cursor may be hidden by bars; a terminal that cannot show it is not asked to.
_SHOW_CURSOR = b"\x1b[?25h"
_AT_ONCE = (
    "\nrestore: stopped at once; some indexes, keys or triggers may be aside: --resume goes on, or"
    " `{} repair` brings them back\n"
)


class Interruption:
    """Turns the first signal to stop into KeyboardInterrupt, so that all is left in order.

    What is in order takes its time: the second signal ends the process where it stands. What is
    aside then is brought back by a repair.
    """

    def __init__(self) -> None:
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, or a shell's &
                    self._before[number] = signal.signal(number, self._first)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type] # what it was before

    def _first(self, _number: int, _frame: FrameType | None) -> NoReturn:
        for number in self._before:
            signal.signal(number, self._second)
        raise KeyboardInterrupt

    @staticmethod
    def _second(_number: int, _frame: FrameType | None) -> NoReturn:
        os.write(2, (_SHOW_CURSOR if os.isatty(2) else b"") + _AT_ONCE.format(program()).encode())
        os._exit(EXIT_FAILED)


class Follower:
    """Remembers how far a restore has come, and passes its events on.

    That a backup was found is told with what comes next: where nothing does, an error speaks alone.
    Where nobody can be told any more (a pipe whose reader is gone), the restore goes on untold.

    Attributes:
        needs_repair: the restore ended with indexes, keys or triggers aside.
        resumable: it can be resumed.
    """

    def __init__(self, watch: Watcher) -> None:
        self._watch = watch
        self._last: Progress | None = None
        self._found: Found | None = None
        self._deaf = False
        self.needs_repair = False
        self.resumable = False

    def __call__(self, event: Event, /) -> None:
        """Take note of an event."""
        if isinstance(event, Found):
            self._found = event
            return
        if isinstance(event, Progress):
            self._last = event
        if self._found is not None:
            found, self._found = self._found, None
            self._tell(found)
        self._tell(event)

    def _tell(self, event: Event) -> None:
        if not self._deaf:
            try:
                self._watch(event)
            except OSError:
                self._deaf = True

    def state(self, options: Options, *, retry: bool = False) -> str:
        """Say in one line what an interrupted restore has left, and how to go on."""
        if options.dry_run or options.atomic:
            return "interrupted; nothing was written"
        last = self._last
        where = (
            f"{counted(last.all_rows, 'record')} were read, up to table {last.number} of"
            f" {last.tables}, {safe(last.table)}"
            if last is not None
            else "it had just begun"
        )
        if retry:
            return (
                f"interrupted; {where}; records that went in may still stand in their reject"
                " files: try again with --on-conflict skip, which leaves their rows as they are"
            )
        if self.resumable:
            aside = ", and some indexes or keys are aside" if self.needs_repair else ""
            return (
                f"interrupted; {where}; the tables hold a part of the backup{aside}: run it again"
                " with --resume, which goes on from there"
            )
        if options.append:
            return (
                f"interrupted; {where}; rows that are in stay{self._first(options, empty=False)}"
                " run it again with --append --on-conflict skip, which leaves those rows as they"
                " are"
            )
        return (
            f"interrupted; {where}; the tables hold a part of the backup"
            f"{self._first(options, empty=True)} restore it again with --clean"
        )

    def _first(self, options: Options, *, empty: bool) -> str:
        """Say what to do first, where something is aside still."""
        if not self.needs_repair:
            return ":"
        command = repair_command(options, empty=empty)
        return f", and some indexes or keys are aside. Bring them back with `{command}`, then"
