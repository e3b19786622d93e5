"""Find a backup, and say which of its files hold which tables."""

from __future__ import annotations

import gzip
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from restore.errors import BackupError

if TYPE_CHECKING:
    from pathlib import Path

_TIMESTAMPED = re.compile(r"\d{8}_\d{6}$")
_TABLE_FILE = re.compile(
    r"(?P<table>.+)\.(?P<form>json|jsonl|ndjson)(?:\.(?P<compression>gz|zst))?$", re.DOTALL
)
_SNIFFED_BYTES = 1 << 10
_UTF8_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file of a backup. ``size_bytes`` is what it takes on disk."""

    path: Path
    table: str
    compression: str | None
    size_bytes: int

    def open(self) -> BinaryIO:
        """Open the file for reading, decompressed.

        Raises:
            BackupError: the file cannot be opened.
        """
        try:
            raw = self.path.open("rb", buffering=0)
        except OSError as error:
            raise BackupError(f"cannot read {self.path}: {error.strerror}") from error
        if self.compression == "gz":
            return cast("BinaryIO", gzip.GzipFile(fileobj=io.BufferedReader(raw)))
        if self.compression == "zst":
            # Imported where it is needed: it costs start-up time that most backups never need.
            import zstandard  # noqa: PLC0415

            decompressor = zstandard.ZstdDecompressor()
            return cast("BinaryIO", decompressor.stream_reader(raw, read_across_frames=True))
        return cast("BinaryIO", raw)

    def holds_one_object(self) -> bool:
        """Tell whether the file's first value is an object rather than an array of records.

        Such a file holds records when it is named for a table (one a line); else it is something
        that lies beside the tables, a manifest say.
        """
        with self.open() as stream:
            start = stream.read(_SNIFFED_BYTES).removeprefix(_UTF8_BOM).lstrip()
        return start.startswith(b"{")


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was found: its folder (or single file) and its table files, by name."""

    path: Path
    files: tuple[TableFile, ...]


def find_backup(path: Path) -> Backup:
    """Find the backup that ``path`` means.

    Args:
        path: a backup folder, a root of timestamped ones (the newest is taken), or a table file.

    Raises:
        BackupError: there is none, or it holds no table file, or holds a table twice.
    """
    if path.is_file():
        single = _table_file(path)
        if single is None:
            raise BackupError(f"{path} is no table file: its name should end in .json or .jsonl")
        return Backup(path, (single,))
    if not path.is_dir():
        raise BackupError(f"no backup at {path}: give a folder of table files, such as users.json")
    folder = _newest(path)
    files = tuple(_table_files(folder))
    if not files:
        raise BackupError(f"no table files in {folder}: expected files such as users.json")
    seen: dict[str, Path] = {}
    for file in files:
        if file.table in seen:
            raise BackupError(
                f"{file.path.name} and {seen[file.table].name} in {folder} both hold table"
                f" {file.table}: move one of them away"
            )
        seen[file.table] = file.path
    return Backup(folder, files)


def _newest(root: Path) -> Path:
    """Return the newest timestamped folder in ``root``, or ``root`` where it has none."""
    stamped = [p for p in root.iterdir() if p.is_dir() and _TIMESTAMPED.fullmatch(p.name)]
    return max(stamped, key=lambda p: p.name, default=root)


def _table_files(folder: Path) -> list[TableFile]:
    found = (_table_file(path) for path in sorted(folder.iterdir()) if path.is_file())
    return [file for file in found if file is not None]


def _table_file(path: Path) -> TableFile | None:
    match = _TABLE_FILE.fullmatch(path.name)
    if match is None:
        return None
    return TableFile(path, match["table"], match["compression"], path.stat().st_size)
