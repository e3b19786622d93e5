"""Shows how far a restore is: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from restore.cli.progress.lines import PlainLines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from restore.cli.option_table import ProgressForm
    from restore.report.events import ProgressCallback

# A terminal that cannot move its cursor, or that is no terminal at all, such as Emacs' shell.
_DUMB = frozenset({"", "dumb", "unknown"})


@contextlib.contextmanager
def open_display(form: ProgressForm, stream: TextIO) -> Iterator[ProgressCallback]:
    """Open what shows progress, and leave the terminal as it was.

    Args:
        form: what was asked for. Bars need a terminal that can move its cursor; elsewhere, plain
            lines replace them.
        stream: where to write.
    """
    if form == "none":
        yield lambda _: None
    elif form != "plain" and _can_draw(stream):
        from restore.cli.progress.bars import ProgressBars  # noqa: PLC0415 - rich takes 50 ms, 7 MB

        with ProgressBars(stream) as bars:
            yield bars
    else:
        yield PlainLines(stream)


def _can_draw(stream: TextIO) -> bool:
    is_dumb = os.name == "posix" and os.environ.get("TERM", "").lower() in _DUMB
    return stream.isatty() and not is_dumb
