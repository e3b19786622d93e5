"""Creates reject files: private, durable, and never overwriting older ones."""

from __future__ import annotations

import contextlib
import io
import os
import re
from itertools import count
from typing import TYPE_CHECKING

from restore.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SUFFIX = ".jsonl"
_UNSAFE = re.compile(r"[^\w.\-]")

# Rejects hold personal data of a backup: only their owner may read them, also with a wide umask.
_FILE_MODE = 0o600
_FOLDER_MODE = 0o700


def create(path: Path) -> io.FileIO:
    """Create a reject file, and its folder; an older file of that name is renamed.

    Raises:
        LoadError: an older file cannot be renamed.
        OSError: the file cannot be created.
    """
    for folder in reversed([path.parent, *path.parent.parents]):
        if not folder.exists():
            with contextlib.suppress(FileExistsError):  # another worker was faster
                folder.mkdir(_FOLDER_MODE)
                folder.chmod(_FOLDER_MODE)
                _sync_entries(folder.parent)
    rotate(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
    file = io.FileIO(os.open(path, flags, _FILE_MODE), "ab")
    path.chmod(_FILE_MODE)
    _sync_entries(path.parent)
    return file


def rotate(path: Path) -> None:
    """Rename an existing file to the first of ``.1``, ``.2``, ... that is free.

    Raises:
        LoadError: it cannot be renamed.
    """
    try:
        if path.exists():
            others = (path.with_name(f"{path.name}.{number}") for number in count(1))
            path.rename(next(other for other in others if not other.exists()))
    except OSError as error:
        raise write_error(path, error) from error


def ends_with_newline(path: Path) -> bool:
    """Tell if the last line of a file is complete."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _sync_entries(folder: Path) -> None:
    """Flush a folder's entries to the disk, if the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_error(path: Path, error: OSError) -> LoadError:
    """Return a LoadError for a reject file that cannot be written."""
    return LoadError(
        f"cannot write the reject file {path}: {error.strerror}; make room, or choose"
        " another folder with --rejects"
    )


def damaged_error(path: Path, why: str) -> LoadError:
    """Return a LoadError for a reject file that lacks rejects of the resumed restore."""
    return LoadError(
        f"cannot resume with the reject file {path}: {why}; restore the file, or start over"
        " with --clean"
    )


def file_names(tables: Iterable[str]) -> list[str]:
    """Return a unique, safe name for the reject file of each table.

    No two are the same, even ignoring case: tables of two schemas may share a
    name. The same tables in the same order get the same names.
    """
    names: list[str] = []
    taken: set[str] = set()
    for table in tables:
        plain = _UNSAFE.sub("_", table).lstrip(".") or "_"
        numbered = (plain if n == 1 else f"{plain}.{n}" for n in count(1))
        name = next(f"{each}{SUFFIX}" for each in numbered if each.casefold() not in taken)
        taken.add(name.removesuffix(SUFFIX).casefold())
        names.append(name)
    return names
