"""Ends a restore cleanly at Ctrl-C or a signal, and says how far it came."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, NoReturn, Self

from restore.report.events import BackupFound, Progress
from restore.report.next_steps import repair_command
from restore.startup import EXIT_FAILED, SIGNALS
from restore.text import escape_controls, pluralize, program

if TYPE_CHECKING:
    from types import FrameType

    from restore.options import Options
    from restore.report.events import Event, ProgressCallback

# The cursor may be hidden by bars; a terminal that cannot show it is not asked to.
_SHOW_CURSOR = b"\x1b[?25h"
_AT_ONCE = (
    "\nrestore: stopped at once; some indexes, keys or triggers may be dropped: continue with"
    " --resume, or recreate them with `{} repair`\n"
)


class SignalHandler:
    """Turns the first signal to stop into KeyboardInterrupt, so that the restore ends in order.

    That may take time: the second signal ends the process at once. ``repair`` recreates what is
    dropped then.
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


class ProgressRecorder:
    """Records how far a restore is, and passes its events on.

    The event that a backup was found is held back until the next one, so that an error before that
    stands alone. If the display fails (a pipe whose reader is gone), the restore goes on without.

    Attributes:
        needs_repair: the restore ended with indexes, keys or triggers dropped.
        is_resumable: it can be resumed.
    """

    def __init__(self, callback: ProgressCallback) -> None:
        self._callback = callback
        self._last: Progress | None = None
        self._found: BackupFound | None = None
        self._is_silenced = False
        self.needs_repair = False
        self.is_resumable = False

    def __call__(self, event: Event, /) -> None:
        """Record an event."""
        if isinstance(event, BackupFound):
            self._found = event
            return
        if isinstance(event, Progress):
            self._last = event
        if self._found is not None:
            found, self._found = self._found, None
            self._pass_on(found)
        self._pass_on(event)

    def _pass_on(self, event: Event) -> None:
        if not self._is_silenced:
            try:
                self._callback(event)
            except OSError:
                self._is_silenced = True

    def state(self, options: Options, *, is_retry: bool = False) -> str:
        """Describe in one line what an interrupted restore has left, and how to continue."""
        if options.dry_run or options.atomic:
            return "interrupted; nothing was written"
        last, progress = self._last, "no record was read yet"
        if last is not None:
            rows = f"{pluralize(last.all_rows, 'record')} read"
            progress = (
                f"{rows}, up to table {last.number} of {last.tables}, {escape_controls(last.table)}"
            )
        if is_retry:
            left = (
                "; records that were loaded may still be in their reject files: retry with"
                " --on-conflict skip, which keeps their rows"
            )
        elif last is None and not (self.is_resumable or self.needs_repair):
            emptied = ", and the tables may be empty now" if options.clean else ""
            left = f"; nothing was loaded{emptied}: run it again"
        elif self.is_resumable:
            left = "; the tables hold a part of the backup: continue with --resume"
            if self.needs_repair:
                left = (
                    "; the tables hold a part of the backup, and some indexes, keys or triggers are"
                    " dropped or disabled: continue with --resume, or recreate them with"
                    f" `{repair_command(options)}`"
                )
        elif options.append:
            left = (
                f"; rows that were loaded stay{self._repair_first(options, empty=False)} run it"
                " again with --append --on-conflict skip, which keeps those rows"
            )
        else:
            left = (
                "; the tables hold a part of the backup"
                f"{self._repair_first(options, empty=True)} restore it again with --clean"
            )
        return f"interrupted; {progress}{left}"

    def _repair_first(self, options: Options, *, empty: bool) -> str:
        if not self.needs_repair:
            return ":"
        command = repair_command(options, empty=empty)
        return f", and some indexes or keys are dropped. Recreate them with `{command}`, then"
