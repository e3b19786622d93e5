"""What the commands print: results to standard output, progress and errors to standard error."""

from __future__ import annotations

import io
import os
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.report.blocks import Block


def show(blocks: tuple[Block, ...], form: str = "table") -> None:
    """Print blocks as Markdown, or as tables as wide as the terminal."""
    from harness.report.blocks import (  # noqa: PLC0415 - rich, which --help does without
        DEFAULT_WIDTH,
        to_markdown,
        to_terminal,
    )

    if form == "markdown":
        write(to_markdown(blocks))
        return
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else DEFAULT_WIDTH
    write(to_terminal(blocks, width=width, color=terminal and "NO_COLOR" not in os.environ))


def write(text: str) -> None:
    """Print text as it is."""
    print(text, end="")


def say(line: str) -> None:
    """Print a line of progress, a warning or an error."""
    print(line, file=sys.stderr, flush=True)


def tolerate_narrow_encodings() -> None:
    """Print a question mark for a character that the output's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
