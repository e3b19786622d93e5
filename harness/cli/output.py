"""What the commands print: results to standard output, progress and errors to standard error."""

from __future__ import annotations

import io
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from harness.model.errors import HistoryError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from harness.report.blocks import Block

Subject = TypeVar("Subject")

REPORT_FORMATS = ("table", "markdown", "json")


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


def show_report(
    of: Subject,
    blocks: Callable[[Subject], tuple[Block, ...]],
    data: Callable[[Subject], dict[str, Any]],
    form: str,
) -> None:
    """Print a report of a subject: its blocks, or its data as JSON."""
    if form == "json":
        from harness.report.rows import to_json  # noqa: PLC0415 - as above

        write(to_json(data(of)))
    else:
        show(blocks(of), form)


def add_format(parser: argparse.ArgumentParser, formats: tuple[str, ...] = REPORT_FORMATS) -> None:
    """Add the argument for the format of the output."""
    parser.add_argument(
        "--format",
        choices=formats,
        default="table",
        help="format of the output (default %(default)s)",
    )


def write(text: str) -> None:
    """Print text as it is.

    Raises:
        BrokenPipeError: its reader has gone.
        HistoryError: it cannot be written.
    """
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_output()
        raise HistoryError(
            f"cannot write the output: {error.strerror}; write it to a file on a disk with space"
        ) from error


def discard_output() -> None:
    """Give standard output a sink: Python flushes once more at exit, and would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(line: str) -> None:
    """Print a line of progress, a warning or an error."""
    print(line, file=sys.stderr, flush=True)


def tolerate_narrow_encodings() -> None:
    """Print a question mark for a character that the output's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def write_page(path: Path, text: str) -> None:
    """Write a page, and the folder for it; an earlier page stays whole if that fails.

    Raises:
        HistoryError: it cannot be written.
    """
    from harness.history.store import replace  # noqa: PLC0415 - as above

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():  # such as /dev/stdout, which stays what it is
            path.write_text(text, encoding="utf-8")
        else:
            replace(path.resolve(), text.encode())
    except OSError as error:
        raise HistoryError(f"cannot write {path}: {error.strerror}") from error
