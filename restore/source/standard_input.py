"""Keeps standard input in a temporary file: a backup is read more than once, and from any place."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from restore.errors import BackupError

if TYPE_CHECKING:
    from collections.abc import Iterator

STANDARD_INPUT = Path("-")
_START_BYTES = 512
# How the file has to be named so that it is read as what it is, by its first bytes.
_ENDINGS = (
    (b"\x1f\x8b", ".json.gz"),
    (b"\x28\xb5\x2f\xfd", ".json.zst"),
    (b"\xfd7zXZ\0", ".json.xz"),
    (b"BZh", ".json.bz2"),
    (b"PK\x03\x04", ".zip"),
)
_TAR_AT, _TAR = 257, b"ustar"


@contextlib.contextmanager
def kept_standard_input(source: BinaryIO | None = None) -> Iterator[Path]:
    """Yield the path of a file with all of standard input, named ``stdin.json`` or the like.

    Args:
        source: what to read in its place.

    Raises:
        BackupError: the temporary folder has no room.
    """
    source = source or sys.stdin.buffer
    with tempfile.TemporaryDirectory(prefix="restore-") as folder:
        try:
            start = source.read(_START_BYTES)
            path = Path(folder, f"stdin{_ending(start)}")
            with path.open("wb") as file:
                file.write(start)
                shutil.copyfileobj(source, file, 1 << 20)
        except OSError as error:
            raise BackupError(
                f"cannot keep standard input in {tempfile.gettempdir()}: {error.strerror}; name a"
                " folder with more room in TMPDIR"
            ) from error
        yield path


def _ending(start: bytes) -> str:
    if start[_TAR_AT:].startswith(_TAR):
        return ".tar"
    return next((ending for magic, ending in _ENDINGS if start.startswith(magic)), ".json")
