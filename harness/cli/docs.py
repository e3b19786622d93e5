"""``python -m harness docs``: writes the figures of README and docs: runs, and the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.output import write, write_page
from harness.history.store import PUBLISHED, History
from harness.model.errors import ExitCode, HarnessError
from harness.report.published import blocks, pictures, with_blocks
from harness.scale.costs import REPEATED, load
from harness.scale.pages import scale_blocks

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

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
    made = all_blocks(runs)
    for path in (path for pattern in DOCUMENTS for path in sorted(Path().glob(pattern))):
        text = path.read_text(encoding="utf-8")
        written = with_blocks(text, made)
        if written != text:
            path.write_text(written, encoding="utf-8")
            write(f"{path}\n")
    for name, text in pictures(runs).items():
        write_page(PICTURES / name, text)
    return ExitCode.OK


def all_blocks(runs: Sequence[Run]) -> dict[str, str]:
    """Return the text of each block, by its name: of the published runs and the model of scale.

    Raises:
        InputError: the stored costs cannot be read.
    """
    return blocks(runs) | scale_blocks(load(), load(REPEATED), runs)


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
