"""Streams whose bytes are made from those of files: of part files, and of formats of export."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from restore.errors import BackupError
from restore.source.buffer import Prefixed
from restore.source.formats.format import (
    DamagedError,
    Format,
    FormatError,
    FoundRecord,
    TableColumns,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.table_file import TableBytes, TableFile
    from restore.source.table_stream import Span

_CHUNK_BYTES = 1 << 16


class Translation(NamedTuple):
    """How the rows of a table are got from an export.

    Args:
        format: the export's format.
        table: the name that its records give the table; None: they give none.
        tables: the target's tables by the names that the records give them; None: not known yet.
        file_table: the table that the file is named after.
        start: where the table's first record begins in the file.
        last: where its last one does; None: what follows it to the file's end is the table's, too.
        section: where reading may begin, if not only at the file's start.
        is_list: then, the file is a list and not lines.
        is_first: it is the first table in the file, and what stands before its first record is its.
        is_only: there is no other table in the file that the target has to have.
        is_optional: the target may lack it.
    """

    format: Format
    table: str | None = None
    tables: Mapping[str, TableColumns] | None = None
    file_table: str = ""
    start: int = 0
    last: int | None = None
    section: int | None = None
    is_list: bool = False
    is_first: bool = True
    is_only: bool = True
    is_optional: bool = False


class MadeStream:
    """Bytes that can only be had from their start on, as a ``TableStream`` gives them.

    Args:
        first: the offset of the first byte.
        part: give these bytes alone: from where to where; None: to the end.
        disk_bytes: the size of what they are made from, on the disk.

    Attributes:
        fault: why they end before their end.
        start: the offset of the first byte that is given.
    """

    span: Span | None = None
    compressed = True

    def __init__(self, first: int, part: tuple[int, int | None] | None, disk_bytes: int) -> None:
        self.fault: str | None = None
        self.start, end = part or (first, None)
        self.disk_bytes = disk_bytes
        self._left = None if end is None else end - self.start
        self._skipped = self.start - first
        self._held = memoryview(b"")
        self._chunks = self._make()

    @property
    def disk_bytes_read(self) -> int:
        """How many bytes were read from the disk. Any thread may ask, at any time."""
        raise NotImplementedError

    def read(self, size: int, /) -> bytes:
        """Read up to ``size`` bytes; none at the end.

        Raises:
            BackupError: a file cannot be read.
        """
        while not self._held:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._held = memoryview(chunk)[self._skipped :]
            self._skipped -= min(self._skipped, len(chunk))
        if self._left is not None:
            size = min(size, self._left)
            self._left -= min(size, len(self._held))
        part, self._held = bytes(self._held[:size]), self._held[size:]
        return part

    def close(self) -> None:
        """Close what is open."""
        self._chunks.close()

    def _make(self) -> Generator[bytes]:
        raise NotImplementedError


class JoinedStream(MadeStream):
    """The bytes of part files, one after the other."""

    def __init__(self, files: tuple[TableFile, ...], part: tuple[int, int | None] | None) -> None:
        self._files = files
        self._before = 0
        self._stream: TableBytes | None = None
        super().__init__(0, part, sum(file.file_bytes for file in files))

    @property
    def disk_bytes_read(self) -> int:
        """How many bytes were read from the disk. Any thread may ask, at any time."""
        stream = self._stream
        return self._before + (stream.disk_bytes_read if stream is not None else 0)

    def _make(self) -> Generator[bytes]:
        last = b"\n"
        for file in self._files:
            if last != b"\n":
                yield b"\n"
            with contextlib.closing(file.open()) as stream:
                self._stream = stream
                while part := stream.read(_CHUNK_BYTES):
                    yield part
                    last = part[-1:]
                self._stream = None
            self._before += file.file_bytes
            if stream.fault is not None:
                self.fault = stream.fault
                return


class TranslatedStream(MadeStream):
    """The rows of one table in an export, one a line.

    Each begins where its record does in the file, as long as rows are shorter than records.
    """

    def __init__(
        self,
        file: TableFile,
        translation: Translation,
        part: tuple[int, int | None] | None,
    ) -> None:
        self._stream = file.open((translation.section, None) if translation.section else None)
        self._name = file.name
        self._translation = translation
        super().__init__(translation.start, part, self._stream.disk_bytes)

    @property
    def disk_bytes_read(self) -> int:
        """How many bytes were read from the disk. Any thread may ask, at any time."""
        return self._stream.disk_bytes_read

    def close(self) -> None:
        """Close what is open."""
        super().close()
        self._stream.close()

    def _make(self) -> Generator[bytes]:
        """Yield lines, some at a time."""
        wanted, is_owner = self._translation.table, self._translation.is_first
        place, size = self._translation.start, 0
        lines: list[bytes] = []
        is_begun = False
        try:
            for table, data, offset, optional, _ in self._records():
                # What names no table, as damage does, is of the table of the record before it.
                is_ours = is_owner if table is None else wanted in (None, table)
                if not optional:
                    is_owner = is_ours
                if not is_ours:
                    continue
                is_begun = True
                while offset - place - size > _CHUNK_BYTES:  # records of other tables lie between
                    lines.append(b" " * (_CHUNK_BYTES - 1) + b"\n")
                    size += _CHUNK_BYTES
                    place, size = yield from _flush(lines, place, size)
                # A line end is left only in what is damaged, and has to stay so.
                lines.append(b" " * (offset - place - size) + data.replace(b"\n", b"\0") + b"\n")
                size += len(lines[-1])
                if size >= _CHUNK_BYTES:
                    place, size = yield from _flush(lines, place, size)
        except FormatError as error:
            if not (is_begun or isinstance(error, DamagedError)):
                title = self._translation.format.title
                raise BackupError(f"cannot restore {self._name}: it is {title}; {error}") from None
            self.fault = f"{self._name}: {error}"
        if self._stream.fault is not None:
            self.fault = self._stream.fault
        yield b"".join(lines)

    def _records(self) -> Iterator[FoundRecord]:
        translation = self._translation
        source: ByteSource = self._stream
        if translation.section and translation.is_list:
            source = Prefixed(b"[", source, translation.section - 1)
        for found in translation.format.records(source, translation.tables or {}):
            if translation.last is not None and found.offset > translation.last:
                return
            yield found


def _flush(lines: list[bytes], place: int, size: int) -> Generator[bytes, None, tuple[int, int]]:
    yield b"".join(lines)
    lines.clear()
    return place + size, 0
