"""``python -m harness docs``: writes the figures of the published matrix into README and docs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.output import write, write_page
from harness.history.store import PUBLISHED, History
from harness.model.errors import ExitCode, HarnessError
from harness.report.published import blocks, pictures, with_blocks

if TYPE_CHECKING:
    import argparse

    from harness.model.record import Run

PICTURES = Path("docs/pictures")
DOCUMENTS = ("README.md", "docs/*.md")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``docs``: none."""
    parser.epilog = "It runs in a checkout, and takes the newest folder results/YYYY-MM-DD."


def run(_: argparse.Namespace) -> int:
    """Write each block and picture, and print the documents that changed.

    Raises:
        HarnessError: there is no published matrix.
    """
    runs = published_runs()
    made = blocks(runs)
    for path in (path for pattern in DOCUMENTS for path in sorted(Path().glob(pattern))):
        text = path.read_text(encoding="utf-8")
        written = with_blocks(text, made)
        if written != text:
            path.write_text(written, encoding="utf-8")
            write(f"{path}\n")
    for name, text in pictures(runs).items():
        write_page(PICTURES / name, text)
    return ExitCode.OK


def published_runs(folder: Path = PUBLISHED) -> tuple[Run, ...]:
    """Return the runs of the newest folder of published runs, ``results/YYYY-MM-DD``.

    Raises:
        HarnessError: there is none, or a run in it cannot be read.
    """
    folders = sorted(path for path in folder.glob("????-??-??") if path.is_dir())
    if not folders:
        raise HarnessError(f"{folder} has no published matrix; see python -m harness publish")
    found = History(folders[-1]).runs()
    if found.unreadable:
        raise HarnessError(str(found.unreadable[0]))
    return found.runs
