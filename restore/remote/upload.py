"""Files for a store: made locally, since objects cannot be appended to, and uploaded whole."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from restore.errors import BackupError, LoadError, UsageError

if TYPE_CHECKING:
    from restore.remote.path import RemotePath

_WITH_BUCKETS = frozenset({"s3", "s3a", "gs", "gcs", "az"})


def check_writable(path: RemotePath) -> None:
    """Raise before a long run if a store cannot take its result.

    Raises:
        UsageError: it takes no files.
        BackupError: it does not answer, refuses, or has no such bucket.
    """
    if path.scheme in {"http", "https"}:
        raise UsageError(f"cannot write {path}: a web server takes no files; give a store's URL")
    bucket = replace(path, place=path.place.partition("/")[0], known=None)
    if path.scheme in _WITH_BUCKETS and not bucket.exists():
        raise BackupError(f"cannot write {path}: there is no bucket {bucket}; create it")
    path.fresh().exists()


def check_free(folder: RemotePath, suffix: str) -> None:
    """Raise if files would take the place of older ones, or cannot be written at all.

    Raises:
        UsageError: the store takes no files.
        BackupError: there are such files.
    """
    check_writable(folder)
    folder = folder.fresh()
    if folder.is_dir() and any(path.suffix == suffix for path in folder.iterdir()):
        raise BackupError(
            f"cannot write rejects to {folder}: it holds those of another restore; give another"
            " folder to --rejects"
        )


def upload(local: Path, path: RemotePath) -> None:
    """Write a local file to a store.

    Raises:
        BackupError: the store does not answer, or refuses.
    """
    path.store().put(path, local)


def upload_bytes(data: bytes, path: RemotePath) -> None:
    """Write a file to a store; if that fails, it is kept in a private local folder.

    Raises:
        LoadError: it cannot be written; the message says where it is kept.
    """
    folder = Path(tempfile.mkdtemp(prefix="restore-"))
    local = folder / path.name
    local.write_bytes(data)
    try:
        upload(local, path)
    except BackupError as error:
        raise LoadError(f"{error}; it is kept in {local}") from error
    shutil.rmtree(folder)
