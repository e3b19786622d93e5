"""Cuts a table file into shards: stretches of whole records that are loaded in parallel.

A shard's start is guessed: a place that looks as boundaries do in this file, before a record with
the usual fields. The reader of the preceding shard proves the guess if it arrives there with
nothing left open (``Reader.boundary_holds``). The first shard begins where the file does, so by
induction all boundaries are true, or the first false one is known.
"""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, NamedTuple, Protocol

from msgspec import Struct

from restore.source.json_values import DECODE_ERRORS, members_of, value_end, values_of
from restore.source.reader import Reader
from restore.source.records import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    import msgspec

    from restore.source.discovery import TableFile
    from restore.source.layout import Layout
    from restore.source.table_stream import Span

# A boundary is looked for in so much; in text that has none, it is read in vain.
_SEARCH_BYTES = 1 << 20
_HEAD_BYTES = 1 << 16
# The last shard may be larger than the others by so many of them: no small rest is left.
_LAST = 1.5


# Damage, and lists within records, may look like a record's start at every place: no text is looked
# at more often.
_MOST_LOOKS = 2


# What stands for the start of records that are loaded later, wherever they are.
LATE = -1


class Shard(Struct, frozen=True):
    """A range of a decompressed table file; all of the file if it is not cut.

    Args:
        start: where its first record begins.
        end: where the next shard begins; None: it is the last.
        layout: its records' layout; None: it begins where the file does.
        data: its bytes, if the file can only be read from its start; else None.
        disk_bytes: how many of the file's bytes on the disk it stands for.
        fault: why the file ends before its end, as ``TableStream.fault``.
        late: it is the records of the whole file that were left for later.
        decided: such records before this place are decided.
    """

    start: int = 0
    end: int | None = None
    layout: Layout | None = None
    data: bytes | None = None
    disk_bytes: int = 0
    fault: str | None = None
    late: bool = False
    decided: int = 0

    @property
    def key(self) -> int:
        """Identifies it among the table's shards."""
        return LATE if self.late else self.start

    @property
    def is_whole(self) -> bool:
        """Tell if it is all of its file."""
        return self.layout is None and self.end is None

    def open(self, file: TableFile) -> ShardStream:
        """Open it for reading.

        Raises:
            BackupError: the file cannot be read.
        """
        if self.data is not None:
            return _BufferedStream(self, self.data, file.span)
        return file.open() if self.is_whole else file.open((self.start, self.end))


class UnloadedRange(NamedTuple):
    """A range of a file of which nothing is loaded yet.

    Args:
        start: where it begins.
        end: where it ends, which is where what is loaded begins; None: where the file does.
        is_mid_array: it begins at a record in mid-array, not where the file does.
    """

    start: int = 0
    end: int | None = None
    is_mid_array: bool = False


WHOLE = UnloadedRange()


class ShardStream(Protocol):
    """What a shard is read from: a ``TableStream``, or bytes that another process read."""

    @property
    def fault(self) -> str | None:
        """Why the file ends before its end."""

    @property
    def disk_bytes_read(self) -> int:
        """How many of the file's bytes on the disk have been read."""

    def read(self, size: int, /) -> bytes:
        """Read up to ``size`` bytes; none at the end."""

    def close(self) -> None:
        """Close it."""


class _BufferedStream:
    """Bytes of a shard that are in memory."""

    def __init__(self, shard: Shard, data: bytes, span: Span | None) -> None:
        self.fault = shard.fault
        self.span = span
        self.start = shard.start
        self._disk_bytes = shard.disk_bytes
        self._data = io.BytesIO(data)
        self._size = len(data)

    @property
    def disk_bytes_read(self) -> int:
        return self._disk_bytes * self._data.tell() // self._size if self._size else 0

    def read(self, size: int, /) -> bytes:
        return self._data.read(size)

    def close(self) -> None:
        self._data.close()


def cut_into_shards(
    file: TableFile,
    shard_bytes: int,
    unloaded: UnloadedRange = WHOLE,
    required_fields: frozenset[str] = frozenset(),
) -> Iterator[Shard]:
    """Yield a file's shards in order.

    Args:
        file: the file.
        shard_bytes: about how large a shard is, decompressed.
        unloaded: the part of the file to cut.
        required_fields: the file is not cut unless its first records have all of these. A record
            without one takes a value from a sequence, which depends on the records before it.

    Raises:
        BackupError: the file cannot be read.
    """
    head = None if file.disk_bytes < shard_bytes and file.is_seekable else _Head.of(file)
    if head is None or not required_fields <= head.always:
        yield whole_range_shard(file, unloaded)
    elif not file.is_seekable:
        yield from _cut_stream(file, head, shard_bytes, unloaded)
    else:
        yield from _cut_file(file, head, shard_bytes, unloaded)


def whole_range_shard(file: TableFile, unloaded: UnloadedRange = WHOLE) -> Shard:
    """Return one shard for all of a file, or for one range of it that is not loaded.

    Raises:
        BackupError: the file cannot be read.
    """
    if unloaded == WHOLE:
        return Shard(disk_bytes=file.disk_bytes)
    layout = _layout_of(file) if unloaded.is_mid_array else None
    size = file.disk_bytes if unloaded.end is None else unloaded.end
    return Shard(unloaded.start, unloaded.end, layout, disk_bytes=max(0, size - unloaded.start))


def _records(data: bytes) -> list[dict[str, msgspec.Raw]]:
    return list(map(values_of, members_of(data)))


class _Head(Struct, frozen=True):
    """The layout and fields of a file's first records, and the fields that all of these have."""

    layout: Layout
    names: frozenset[str]
    always: frozenset[str]

    @classmethod
    def of(cls, file: TableFile) -> _Head | None:
        """Read a file's start; return None if it does not start with records."""
        with contextlib.closing(file.open()) as stream:
            reader = Reader(stream, _HEAD_BYTES, _records)
            first = next(iter(reader), None)
            if not isinstance(first, Batch) or not first.rows:
                return None
            names = [frozenset(row) for row in first.rows]
            return cls(reader.layout, frozenset().union(*names), frozenset.intersection(*names))

    def boundary(self, text: bytes) -> int | None:
        """Find the first place in ``text`` where a record seems to begin; None: there is none."""
        pattern = self.layout.start if self.layout.lines else self.layout.boundary
        left = _MOST_LOOKS * len(text)
        for match in pattern.finditer(text):
            end = value_end(text, match.end(), len(text))
            if end is None or left < 0:
                return None
            left -= end - match.end()
            try:
                names = values_of(text[match.end() : end]).keys()
            except DECODE_ERRORS:
                continue
            # A list inside a record looks like the one of all records, but for its fields.
            if 2 * len(names & self.names) >= len(names | self.names):
                return match.end()
        return None


def _layout_of(file: TableFile) -> Layout:
    """Return how a file lays out its records."""
    with contextlib.closing(file.open()) as stream:
        reader = Reader(stream, _HEAD_BYTES, _records)
        next((found for found in reader if isinstance(found, Batch)), None)
        return reader.layout


def _cut_file(
    file: TableFile, head: _Head, shard_bytes: int, unloaded: UnloadedRange
) -> Iterator[Shard]:
    """Cut a file that can be read from any byte."""
    first, last = (file.span.start, file.span.end) if file.span else (0, file.disk_bytes)
    start, layout = max(first, unloaded.start), head.layout if unloaded.is_mid_array else None
    last = last if unloaded.end is None else unloaded.end
    place = start + shard_bytes
    while place < last - (_LAST - 1) * shard_bytes:
        with contextlib.closing(file.open((place, None))) as stream:
            found = head.boundary(_read(stream, _SEARCH_BYTES))
        if found is not None and place + found < last:
            end = place + found
            yield Shard(start, end, layout, disk_bytes=end - start)
            start, layout, place = end, head.layout, end
        place += shard_bytes
    yield Shard(start, unloaded.end, layout, disk_bytes=last - start)


def _cut_stream(
    file: TableFile, head: _Head, shard_bytes: int, unloaded: UnloadedRange
) -> Iterator[Shard]:
    """Cut a compressed file, which can only be read from its start."""
    layout, held, disk = head.layout if unloaded.is_mid_array else None, b"", 0
    part = (unloaded.start, unloaded.end) if unloaded != WHOLE else None
    with contextlib.closing(file.open(part)) as stream:
        start, whole = stream.start, unloaded == WHOLE
        while True:
            held += _read(stream, int(_LAST * shard_bytes) + _SEARCH_BYTES - len(held))
            if len(held) < _LAST * shard_bytes:
                break
            found = head.boundary(held[shard_bytes : shard_bytes + _SEARCH_BYTES])
            # Without a boundary here, the guess is false, and the file is loaded uncut.
            end = shard_bytes + (found or 0)
            read = stream.disk_bytes_read
            yield Shard(start, start + end, layout, held[:end], read - disk)
            start, layout, held, disk, whole = start + end, head.layout, held[end:], read, False
        rest = stream.disk_bytes_read - disk
        if whole:
            yield Shard(disk_bytes=file.disk_bytes)
        else:
            yield Shard(start, unloaded.end, layout, held, rest, stream.fault)


def _read(stream: ShardStream, size: int) -> bytes:
    parts = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
