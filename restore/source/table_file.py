"""One file of a backup: its table, its state when found, and its decompressed bytes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple, Protocol

from msgspec import Struct
from msgspec.structs import replace

from restore.errors import BackupError, StoreError
from restore.remote.path import RemotePath
from restore.source.buffer import UTF8_BOM
from restore.source.made_stream import JoinedStream, TranslatedStream
from restore.source.table_stream import TableStream

if TYPE_CHECKING:
    from restore.remote.path import BackupPath
    from restore.source.archive import Member
    from restore.source.made_stream import Translation
    from restore.source.table_stream import Span

# So much of a file is looked at to recognise its format.
START_BYTES = 1 << 16


class FileState(NamedTuple):
    """A file's size, and its modification time in nanoseconds, or its version in a store."""

    size_bytes: int
    mtime_ns: int
    version: str = ""

    @classmethod
    def of(cls, path: BackupPath) -> FileState:
        """Read the state of a file.

        Raises:
            OSError: the file is gone, say.
        """
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns, getattr(status, "version", ""))


class TableBytes(Protocol):
    """The bytes of a table file, decompressed, and of other formats translated."""

    span: Span | None
    start: int
    fault: str | None
    disk_bytes: int
    compressed: bool

    @property
    def disk_bytes_read(self) -> int:
        """How many bytes of the file, or of its part of it, were read from the disk."""

    def read(self, size: int, /) -> bytes:
        """Read up to ``size`` bytes; none at the end."""

    def close(self) -> None:
        """Close the file."""


class TableFile(Struct, frozen=True):
    """A table file of a backup, or one list of records in an envelope, or a table of an export.

    Args:
        path: the file, or the archive that holds it, or the first of its part files.
        table: the table's name: the file's without its endings, or the key.
        compression: one of ``COMPRESSIONS``, or None.
        span: where in the file, decompressed, the records stand; None: all of it.
        disk: from where to where in the file as it lies on the disk; None: all of it.
        nested: what the file holds if it is no record of its table but an envelope of several:
            only who knows the database's tables can tell.
        others: then, keys that hold no list of records.
        documents: then, keys that hold members, but no list of records.
        is_object: the file, decompressed, is one JSON object.
        state: the file's when the backup was found; None: not known.
        member: the file in the archive; None: it is in none.
        parts: the files that hold the table's records one after the other; empty: it is one file.
        translation: how its rows are got, if it is an export of another format.
        refusal: why it cannot be restored, and what to do; None: nothing is known against it.
    """

    path: BackupPath
    table: str
    compression: str | None
    span: Span | None = None
    disk: tuple[int, int] | None = None
    nested: tuple[TableFile, ...] = ()
    others: tuple[str, ...] = ()
    documents: tuple[TableFile, ...] = ()
    is_object: bool = False
    state: FileState | None = None
    member: Member | None = None
    parts: tuple[TableFile, ...] = ()
    translation: Translation | None = None
    refusal: str | None = None

    @property
    def file_name(self) -> str:
        """The file's own name: ``users.json``, also of a file in an archive."""
        return self.path.name if self.member is None else self.member.name.rpartition("/")[2]

    @property
    def is_part(self) -> bool:
        """Tell if its file holds other tables as well."""
        translation = self.translation
        return self.span is not None or (translation is not None and translation.table is not None)

    @property
    def name(self) -> str:
        """The name to show: ``users.json``, or ``dump.json: users``."""
        if self.parts:
            return f"{self.parts[0].file_name} and {len(self.parts) - 1} more"
        only = self.translation is not None and self.translation.is_only
        own = only or not self.is_part or self.file_name.startswith(f"{self.table}.")
        return self.file_name if own else f"{self.file_name}: {self.table}"

    @property
    def is_seekable(self) -> bool:
        """Tell if reading may begin at any byte, without reading what is before it."""
        return not (self.compression or self.member or self.parts or self.translation)

    @property
    def start(self) -> int:
        """Where its records begin, as the offsets of its shards count."""
        if self.translation is not None:
            return self.translation.start
        return self.span.start if self.span else 0

    @property
    def disk_bytes(self) -> int:
        """How many bytes have to be read from the disk, for the progress of a load."""
        return self.disk[1] - self.disk[0] if self.disk else self.file_bytes

    @property
    def file_bytes(self) -> int:
        """Size of the whole file when the backup was found."""
        if self.parts:
            return sum(part.file_bytes for part in self.parts)
        if self.member is not None:
            return self.member.disk_bytes
        return (self.state or FileState.of(self.path)).size_bytes

    @property
    def version(self) -> str:
        """Identifies the content of a remote file, or of all its parts; empty: it is local."""
        if self.parts:
            return " ".join(filter(None, (part.version for part in self.parts)))
        return self.state.version if self.state else ""

    def change(self) -> str | None:
        """Return how the file changed since the backup was found; None: it did not."""
        if self.parts:
            return next(filter(None, (part.change() for part in self.parts)), None)
        if self.state is None or isinstance(self.path, RemotePath):
            return None  # every read of a remote one is of the version that was found
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

    def open(self, part: tuple[int, int | None] | None = None) -> TableBytes:
        """Open the file at the start of its records, or of a part of them.

        What was added to a file since the backup was found is not read.

        Raises:
            BackupError: it cannot be opened.
        """
        if self.translation is not None:
            return TranslatedStream(replace(self, translation=None), self.translation, part)
        if self.parts:
            return JoinedStream(self.parts, part)
        if self.state is not None and self.is_seekable and self.span is None:
            start, end = part or (0, None)
            part = (start, self.state.size_bytes if end is None else end)
        try:
            return TableStream(
                self.path, self.compression, self.span, self.disk, part, member=self.member
            )
        except OSError as error:
            raise BackupError(f"cannot read {self.path}: {error.strerror or error}") from error

    def first_bytes(self) -> bytes:
        """Return the file's first 64 KiB, without a byte order mark and white space before them.

        Raises:
            BackupError: it cannot be read at all.
        """
        whole = replace(self, span=None, disk=None, translation=None)
        with contextlib.closing(whole.open()) as stream:
            start = stream.read(START_BYTES).removeprefix(UTF8_BOM).lstrip()
            while len(start) < START_BYTES and (more := stream.read(START_BYTES - len(start))):
                start = (start + more).lstrip()
            if stream.fault is not None and not start:
                raise BackupError(f"cannot read {self.path}: {stream.fault}")
        return start

    def readable_start(self) -> bytes | None:
        """Return ``first_bytes``; None if the file cannot be read, which ``open`` reports.

        Raises:
            StoreError: the store does not answer; if it does later, the format would be unknown.
        """
        try:
            return self.first_bytes()
        except StoreError:
            raise
        except BackupError:
            return None
