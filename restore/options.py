"""What a restore may be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restore.errors import BackupError

if TYPE_CHECKING:
    from pathlib import Path

# One batch is the whole records in one chunk: this bounds memory.
DEFAULT_CHUNK_BYTES = 1 << 19
_SMALLEST_CHUNK_BYTES = 1 << 10
_LARGEST_CHUNK_BYTES = 1 << 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A restore's input, target and bounds.

    Args:
        backup: a backup folder, a root of timestamped ones, or one table file.
        dsn: a libpq connection string or URL.
        rejects: the folder for records that could not be restored; None: a new one under
            ``rejects/``, named for the backup and the time.
        schema: where the tables are; None: wherever the search path finds them.
        exclude: tables whose files are left out.
        clean: empty the backup's tables first, and no others.
        append: load beside the rows that are there.
        chunk_bytes: how much of a file is decoded, and sent as one COPY, at a time.

    Raises:
        BackupError: values that exclude each other or are out of bounds.
    """

    backup: Path
    dsn: str = field(repr=False)  # may hold a password
    rejects: Path | None = None
    schema: str | None = None
    exclude: frozenset[str] = frozenset()
    clean: bool = False
    append: bool = False
    chunk_bytes: int = DEFAULT_CHUNK_BYTES

    def __post_init__(self) -> None:
        if self.clean and self.append:
            raise BackupError("--clean empties the tables and --append keeps them: choose one")
        if not _SMALLEST_CHUNK_BYTES <= self.chunk_bytes <= _LARGEST_CHUNK_BYTES:
            raise BackupError(
                f"chunk size {self.chunk_bytes} is out of bounds: choose"
                f" {_SMALLEST_CHUNK_BYTES} to {_LARGEST_CHUNK_BYTES} bytes"
            )
