"""One file of a backup: its table, the stretch that holds its records, and its state when found."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from restore.errors import BackupError
from restore.source.formats import START_BYTES
from restore.source.stream import Span, TableStream

if TYPE_CHECKING:
    from pathlib import Path

_UTF8_BOM = b"\xef\xbb\xbf"


class FileState(NamedTuple):
    """A file's size, and when it was last written, in nanoseconds."""

    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> FileState:
        """Ask for it.

        Raises:
            OSError: the file is gone, say.
        """
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file of a backup, or one list of records in a file that holds several under keys.

    Args:
        path: the file.
        table: the table's name: the file's without its endings, or the key.
        compression: ``gz``, ``zst`` or None.
        span: where in the file, decompressed, the records stand; None: all of it.
        disk: from where to where in the file as it lies on the disk; None: all of it.
        nested: what the file holds if it is no record of its table but an envelope of several:
            only who knows the database's tables can tell.
        others: then, keys that hold no list of records.
        is_object: the file, decompressed, is one JSON object.
        state: the file's when the backup was found; None: not known.
    """

    path: Path
    table: str
    compression: str | None
    span: Span | None = None
    disk: tuple[int, int] | None = None
    nested: tuple[TableFile, ...] = ()
    others: tuple[str, ...] = ()
    is_object: bool = False
    state: FileState | None = None

    @property
    def name(self) -> str:
        """What a person knows it by: ``users.json``, or ``dump.json: users``."""
        own = self.span is None or self.path.name.startswith(f"{self.table}.")
        return self.path.name if own else f"{self.path.name}: {self.table}"

    @property
    def disk_bytes(self) -> int:
        """How much of the disk's bytes has to be read, to tell how far a load has come."""
        return self.disk[1] - self.disk[0] if self.disk else self.file_bytes

    @property
    def file_bytes(self) -> int:
        """The size of the whole file when the backup was found."""
        return (self.state or FileState.of(self.path)).size_bytes

    def change(self) -> str | None:
        """Return how the file changed since the backup was found; None: it did not."""
        if self.state is None:
            return None
        try:
            now = FileState.of(self.path)
        except OSError as error:
            return f"changed while it was read: it is gone ({error.strerror})"
        if now == self.state:
            return None
        return (
            f"changed while it was read: {self.state.size_bytes:,} bytes at the start,"
            f" {now.size_bytes:,} at the end"
        )

    def open(self, part: tuple[int, int | None] | None = None) -> TableStream:
        """Open the file for reading, at the start of its records, or of a part of them.

        What was added to a file since the backup was found is not read.

        Raises:
            BackupError: it cannot be opened.
        """
        if self.state is not None and self.compression is None and self.span is None:
            start, end = part or (0, None)
            part = (start, self.state.size_bytes if end is None else end)
        try:
            return TableStream(self.path, self.compression, self.span, self.disk, part)
        except OSError as error:
            raise BackupError(f"cannot read {self.path}: {error.strerror or error}") from error

    def first_bytes(self) -> bytes:
        """Return the whole file's first bytes, without a byte order mark and white space.

        Raises:
            BackupError: it cannot be read at all.
        """
        whole = TableFile(self.path, self.table, self.compression)
        with contextlib.closing(whole.open()) as stream:
            start = stream.read(START_BYTES).removeprefix(_UTF8_BOM).lstrip()
            while not start and (more := stream.read(START_BYTES)):
                start = more.lstrip()
            if stream.fault is not None and not start:
                raise BackupError(f"cannot read {self.path}: {stream.fault}")
        return start
