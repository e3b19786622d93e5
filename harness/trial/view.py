"""A folder with a dataset's backup alone, as the engine sees it.

The ground truth and the schema lie elsewhere: an engine that read them could skip work, or undo
what the verification would find.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from harness.model.errors import HarnessError
from harness.model.manifest import TRUTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def backup_view(dataset: Path) -> Iterator[Path]:
    """Provide a folder of the dataset's name with its files, but not its ground truth.

    Files are hard links, which cost no space and share the page cache; on another file system than
    that for temporary files, copies.

    Raises:
        HarnessError: it cannot be made.
    """
    dataset = dataset.resolve()
    with tempfile.TemporaryDirectory(
        prefix="restorebench-", ignore_cleanup_errors=True
    ) as temporary:
        view = Path(temporary) / dataset.name
        try:
            shutil.copytree(dataset, view, ignore=_ground_truth(dataset), copy_function=_link)
        except (OSError, shutil.Error) as error:
            raise HarnessError(
                f"cannot give the backup to the engine: {error}; set TMPDIR to a folder on the "
                f"file system of {dataset}"
            ) from error
        yield view


def _ground_truth(dataset: Path) -> Callable[[str, list[str]], set[str]]:
    """Return what tells ``copytree`` which names of a folder to leave out."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        return set(TRUTH).intersection(names) if Path(folder) == dataset else set()

    return left_out


def _link(source: str, target: str) -> None:
    source = os.path.realpath(source)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def stamp(view: Path) -> dict[str, tuple[int, int]]:
    """Return what changes if a file of a view is written to: its inode and its time of change."""
    return {
        str(path.relative_to(view)): (path.stat().st_ino, path.stat().st_ctime_ns)
        for path in sorted(view.rglob("*"))
        if path.is_file()
    }


def changed(before: dict[str, tuple[int, int]], view: Path) -> list[str]:
    """Describe the files that were added to, removed from or changed in a view since ``stamp``."""
    after = stamp(view) if view.is_dir() else {}
    return [
        f"the backup's file {name} was changed by the engine"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
