"""Uploads the reject files of a restore that ended to the store that ``--rejects`` names."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from restore.errors import BackupError
from restore.remote.upload import upload

if TYPE_CHECKING:
    from restore.remote.path import RemotePath
    from restore.report.model import Report


def upload_rejects(report: Report, remote: RemotePath) -> None:
    """Upload each reject file, then remove the local ones; the report names the new places.

    If that fails, all of them stay where they are, and ``report.upload_error`` says so.
    """
    files = {
        table.rejects: remote / Path(table.rejects).name
        for table in report.tables
        if table.rejects is not None
    }
    try:
        for local, path in files.items():
            upload(Path(local), path)
    except BackupError as error:
        report.upload_error = f"{error}; the rejects are kept in {report.rejects}: copy them"
        return
    for table in report.tables:
        if table.rejects is not None:
            table.rejects = str(files[table.rejects])
    for local in files:
        Path(local).unlink()
    if report.rejects is not None:
        with contextlib.suppress(OSError):  # it holds other files
            Path(report.rejects).rmdir()
        report.rejects = str(remote)
