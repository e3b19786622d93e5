"""Shows a person how far a restore is: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol, Self

from restore.cli.progress.plain import Plain

if TYPE_CHECKING:
    from typing import TextIO

    from restore.cli.option_table import ProgressForm
    from restore.report.events import Event

__all__ = ["Display", "open_display"]

# A terminal that cannot move its cursor, or that is no terminal at all, such as Emacs' shell.
_DUMB = frozenset({"", "dumb", "unknown"})


class Display(Protocol):
    """Is told of a restore's events, and closed when it has ended, in whatever way."""

    def __call__(self, event: Event, /) -> None:
        """Show an event."""

    def __enter__(self) -> Self:
        """Begin; shows nothing yet."""

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""


class Silent:
    """Shows nothing."""

    def __call__(self, event: Event, /) -> None:
        """Take note of nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


def open_display(form: ProgressForm, stream: TextIO) -> Display:
    """Choose how to show progress.

    Args:
        form: what was asked for. Bars need a terminal that can move its cursor: elsewhere, plain
            lines stand in for them.
        stream: where to.
    """
    if form == "none":
        return Silent()
    if form != "plain" and _can_draw(stream):
        from restore.cli.progress.bars import Bars  # noqa: PLC0415 - rich takes 50 ms and 7 MB

        return Bars(stream)
    return Plain(stream)


def _can_draw(stream: TextIO) -> bool:
    dumb = os.name == "posix" and os.environ.get("TERM", "").lower() in _DUMB
    return stream.isatty() and not dumb
