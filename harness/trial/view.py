"""A folder with a dataset's backup alone, as the engine sees it.

The ground truth and the schema lie elsewhere: an engine that read them could skip work, or undo
what the verification would find.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.model.errors import HarnessError
from harness.model.manifest import TRUTH, file_hash

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


class FileStamp(NamedTuple):
    """What changes if a file is written to; the hash of one that other views may link, too."""

    inode: int
    mode: int
    size: int
    modified_ns: int
    changed_ns: int
    sha256: str | None = None


def stamp(view: Path, dataset: Path) -> dict[str, FileStamp]:
    """Return the state of each file of a view of ``dataset``."""
    stamps = {}
    for path in sorted(view.rglob("*")):
        if path.is_file():
            name, now = str(path.relative_to(view)), _state(path)
            if path.stat().st_nlink > 1:
                source = dataset / name
                now = now._replace(sha256=_hash(source, _state(source)._replace(changed_ns=0)))
            stamps[name] = now
    return stamps


def changed(before: dict[str, FileStamp], view: Path) -> list[str]:
    """Describe the files that were added to, removed from or changed in a view since ``stamp``."""
    after = {str(path.relative_to(view)) for path in view.rglob("*") if path.is_file()}
    return [
        f"the backup's file {name} was changed by the engine"
        for name in sorted(before.keys() | after)
        if name not in before or name not in after or _is_changed(before[name], view / name)
    ]


def _is_changed(before: FileStamp, path: Path) -> bool:
    """Return whether a file was changed; a trial of another run, which links it, changes ctime."""
    now = _state(path)._replace(sha256=before.sha256)
    if now == before:
        return False
    is_linked = before.sha256 is not None and now._replace(changed_ns=before.changed_ns) == before
    return not is_linked or file_hash(path) != before.sha256


def _state(path: Path) -> FileStamp:
    now = path.stat()
    return FileStamp(now.st_ino, now.st_mode, now.st_size, now.st_mtime_ns, now.st_ctime_ns)


@functools.lru_cache(maxsize=1024)
def _hash(path: Path, _: FileStamp) -> str:
    """Return the hash of a file of a dataset; it is read once, unless it is modified."""
    return file_hash(path)
