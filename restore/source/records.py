"""What a reader yields: batches of whole records, and damage."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from msgspec import Struct, field

from restore.source.json_values import members_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from restore.source.recovery import Piece

Fields = dict[str, msgspec.Raw]
"""A record's fields, each as it stands in the file."""

_BETWEEN = re.compile(rb"[\s,]*")


class RawRecord(msgspec.Struct, frozen=True):
    """A record's bytes, their offset in the file, and its ordinal there, from 0."""

    raw: bytes
    offset: int
    ordinal: int


class Batch(Struct, frozen=True, eq=False):
    """Adjacent whole records. ``rows`` is None if they have an unusual shape.

    ``data`` is a JSON array; the byte after its bracket is at ``offset`` in the file, and its first
    record has the number ``first``.
    """

    data: bytes
    offset: int
    first: int
    count: int
    rows: Any | None
    _raws: list[msgspec.Raw] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)
    _spans: list[Sequence[int]] = field(default_factory=list)

    @property
    def end(self) -> int:
        """Where in the file its last record ends."""
        return self.offset + len(self.data) - 2

    def know_raws(self, raws: list[msgspec.Raw]) -> None:
        """Keep the records' bytes, which were found when ``data`` was decoded."""
        if not self._raws:
            self._raws.extend(raws)

    def know_spans(self, spans: Sequence[int]) -> None:
        """Keep the start and end of each record in ``data``, which were found already."""
        self._spans.append(spans)

    def raws(self) -> list[msgspec.Raw]:
        """Return the records' bytes, uncopied; they are found once and kept with the batch."""
        if not self._raws:
            self._raws.extend(members_of(self.data))
        return self._raws

    def record(self, index: int) -> RawRecord:
        """Return the bytes, offset and ordinal of one record, by its place in the batch from 0."""
        if self._spans:
            return self.cut(index, *self._spans[0][2 * index : 2 * index + 2])
        starts = self._starts or self._find_starts()
        raw = bytes(self.raws()[index])
        return RawRecord(raw, self.offset + starts[index] - 1, self.first + index)

    def cut(self, index: int, start: int, end: int) -> RawRecord:
        """Return one record, given its start and end in ``data``."""
        return RawRecord(self.data[start:end], self.offset + start - 1, self.first + index)

    def _find_starts(self) -> list[int]:
        """Find where in ``data`` the records start: between them is white space and a comma."""
        data, between, position = self.data, _BETWEEN.match, 1
        for raw in self.raws():
            if data[position] in b" \t\r\n,":
                position = between(data, position).end()  # type: ignore[union-attr] # may be empty
            self._starts.append(position)
            position += len(raw)
        return self._starts


class RecordSelection(Struct, frozen=True):
    """The records of a batch at some places, as ``Records``."""

    batch: Records
    places: Sequence[int]

    @property
    def data(self) -> bytes:
        """All of the batch's records."""
        return self.batch.data

    @property
    def count(self) -> int:
        """How many are chosen."""
        return len(self.places)

    @property
    def end(self) -> int:
        """Where in the file the batch ends."""
        return self.batch.end

    @property
    def rows(self) -> Any | None:  # noqa: ANN401 - as in Records
        """What the batch was decoded to."""
        return self.batch.rows

    def record(self, index: int) -> RawRecord:
        """Return one of those that are chosen."""
        return self.batch.record(self.places[index])

    def left_out(self, index: int) -> int:
        """Return how many records before one of these are not chosen; behind the last: of all."""
        return (self.places[index] if index < self.count else self.batch.count) - index


class Damage(Struct, frozen=True):
    """Bytes that are no record, with the reason."""

    record: RawRecord
    reason: str


class Records(Protocol):
    """Adjacent whole records: a batch of a table file, or of rejects.

    ``data`` holds them as a JSON array, ``rows`` as what it was decoded to, if anything.
    """

    @property
    def data(self) -> bytes:
        """The records as a JSON array."""

    @property
    def count(self) -> int:
        """How many they are."""

    @property
    def end(self) -> int:
        """Where in the file the last of them ends."""

    @property
    def rows(self) -> Any | None:  # noqa: ANN401 - what the caller's reader was given to decode by
        """What the reader's caller decoded them to, if anything."""

    def record(self, index: int) -> RawRecord:
        """Return one of them, with its place in the file."""


def join_records(buffer: bytes, pieces: list[Piece]) -> Iterator[tuple[bytes, int]]:
    """Join whole records to arrays, as far apart in them as in ``buffer``.

    Yields:
        An array, and where it starts: another one begins where there is no room for a comma.
    """
    text, start = bytearray(), pieces[0].start
    end = start
    for piece in pieces:
        if text and piece.start == end:
            yield b"[%b]" % bytes(text), start
            text, start = bytearray(), piece.start
        if text:
            text += b",".ljust(piece.start - end)
        text += buffer[piece.start : piece.end]
        end = piece.end
    yield b"[%b]" % bytes(text), start


def array_of_lines(text: bytes) -> tuple[bytes, int]:
    """Make an array of records that are one a line, without moving a byte.

    Returns:
        The array, and how many lines these are: a line end in the middle of a record became a comma
        in it, which may be sound, and so is noticed by there being fewer records.
    """
    text = text.rstrip(b" \t\r\n,")
    return b"[%b]" % text.replace(b"\n", b","), text.count(b"\n") + 1
