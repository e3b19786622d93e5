"""``python -m harness pr-comment``: writes the comment on a pull request from a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.output import write
from harness.model.errors import ExitCode, HarnessError, InputError
from harness.report.comment import comment, read_comparison

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``pr-comment``."""
    add = parser.add_argument
    add(
        "comparison",
        type=Path,
        metavar="FILE",
        help="what compare-commits --format json has printed",
    )
    add("--out", type=Path, metavar="FILE", help="where to write it (default standard output)")


def run(given: argparse.Namespace) -> ExitCode:
    """Write the comment; the exit code is the verdict, as that of ``compare-commits``.

    Raises:
        HarnessError: the comparison cannot be read, or the comment cannot be written.
    """
    try:
        content = given.comparison.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {given.comparison}: {error.strerror}") from error
    comparison = read_comparison(content)
    text = comment(comparison)
    if given.out is None:
        write(text)
    else:
        try:
            given.out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise HarnessError(f"cannot write {given.out}: {error.strerror}") from error
    if comparison.is_worse:
        return ExitCode.WORSE
    if not comparison.finished:
        return ExitCode.FAILED
    return ExitCode.REJECTS if comparison.not_compared else ExitCode.OK
