"""Learns what the records of a table file are like, and sorts a batch by it.

Most batches decode at once, by the codec of the shape that is usual by now. Where one does not, the
records at fault are found by the place that the decoder names. If they are many, what they have in
common becomes usual; if they are few, they are parted from the rest and loaded by themselves.
"""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING

import msgspec

from restore.decode.codec import ColumnReader, make_codec
from restore.decode.presence import MOST_UNKNOWN, Presence, noticing, widened
from restore.decode.segments import Decoded, Segment, decode_in_blocks, merge_adjacent
from restore.decode.turns import Turns
from restore.decode.types import BINARY_TEXTS, Shape, needs_conversion, precision_check
from restore.source.json_values import members_of, values_of
from restore.source.recovery import DECODE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable

    from restore.decode.codec import Codec
    from restore.decode.convert import Converter
    from restore.decode.packer import PackedBatch
    from restore.decode.rows import PackedRows
    from restore.target.catalog import Column, Table

# Of records that do not fit, so many (one in ...) make their shape worth learning: each that is
# loaded by itself costs about as much as a hundred that come in one COPY.
_WORTH_LEARNING = 50
# Their shapes are learned from about so many of them: to look at each of a first batch, of which
# none fits yet, took 0.17 s of a run of 400,000 records. An odd step, as records may alternate.
_MOST_LEARNED = 100
# What is learned in one batch; each round decodes it once more.
_MOST_ROUNDS = 4
# Each codec is a class of its own; records of still other shapes are loaded by themselves.
_MOST_CODECS = 100
# The escape for the character NUL; or a backslash that is one itself, and then no more than digits.
_NUL = re.compile(rb"\\u0000")


class ShapeLearner:
    """Decodes the batches of one table.

    Args:
        table: the target.
        converter: converts what comes in another form than usual.

    Attributes:
        check_nul: a record that may hold the character NUL, which no text of PostgreSQL's can, is
            parted from the others. To look for it takes a tenth of the time of a decoding, so it is
            minded only once a COPY was refused for it.
        presence: knows the values of defaults.
        turns: says of which records it is the turn; the others are left out.
    """

    def __init__(self, table: Table, converter: Converter) -> None:
        self.check_nul = False
        self.turns = Turns()
        self._columns = tuple(column for column in table.columns if not column.generated)
        self._by_field = {column.field: column for column in self._columns}
        self._generated = frozenset(c.field for c in table.columns if c.generated)
        self.presence = Presence(c.field for c in self._columns if c.takes_default)
        self._converter = converter
        self._codecs: dict[Shape, Codec] = {}
        self._plain = {c.field: _plain_decoder(c, converter) for c in self._columns}
        is_wide = converter.log.policies.is_wide
        wide = frozenset(column.field for column in self._columns if is_wide(column))
        self._usual = Shape(self.presence.optional, wide, self._generated)
        self._see_usual()
        # The last batch did not decode at once: then the next one is not even tried so.
        self._last_batch_failed = False

    def decode(self, data: bytes) -> Decoded:
        """Decode a JSON array of records.

        Raises:
            msgspec.DecodeError: it is not a JSON array of objects.
        """
        decoded = self._decode_packed(data)
        if decoded is not None:
            return decoded
        careful = self._may_fail(data)
        if self.turns.takes_named(self._usual.named) and not (careful or self._last_batch_failed):
            try:
                codec = self._codec(self._usual)
                rows = codec.decode(data)
                return Decoded([Segment(0, codec, rows)] if len(rows) else [], len(rows))
            except DECODE_ERRORS:
                pass
        views = members_of(data)
        raws, places = list(map(bytes, views)), None
        if self.turns.names:
            places = [n for n, raw in enumerate(raws) if self.turns.takes(raw)]
            raws = [raws[n] for n in places]
        segments = self._sort(raws, careful=careful)
        self._last_batch_failed = len(segments) > 1
        return Decoded(segments, len(views), views, places=places)

    def _decode_packed(self, data: bytes) -> Decoded | None:
        """Decode in C what that takes, and the other records as ever; None: it takes none."""
        for rounds in count(1):
            codec = self._codec(self._usual)
            found = codec.native.pack(data) if codec.native is not None else None
            if found is None:
                break
            size, spans = found.count, found.spans
            places = self.turns.places(found, self._usual.named)
            if places is not None:
                found = found.chosen(places)
            segments = self._part_packed(codec, found)
            odd = [found[s.start] for s in segments if s.codec is None]
            before, self._usual = self._usual, noticing(self._usual, found)
            learned = self._learn(odd, found.count) or self._usual != before
            if rounds == _MOST_ROUNDS or not learned:
                segments = self._by_own_shapes(segments, found, alone=found.unloadable)
                return Decoded(segments, size, spans=spans, places=places)
        return None

    def _part_packed(self, codec: Codec, found: PackedBatch) -> list[Segment]:
        """Part what was packed from what was declined, and does not decode either."""
        segments: list[Segment] = []
        start = 0
        for at in found.declined:
            if start < at:
                segments.append(Segment(start, codec, found.rows[start:at]))
            alone = at in found.unloadable or self._may_fail(found[at])
            rows = None if alone else _decode_one(codec, found[at])
            segments.append(Segment.alone(at) if rows is None else Segment(at, codec, rows))
            start = at + 1
        if start < found.count:
            segments.append(Segment(start, codec, found.rows[start:]))
        return merge_adjacent(segments)

    def _may_fail(self, data: bytes) -> bool:
        """Return whether bytes may hold what would be rounded, or what a COPY would fail on."""
        holds_nul = self.check_nul and _NUL.search(data) is not None
        return holds_nul or self._may_lose_precision(data)

    def _codec(self, shape: Shape) -> Codec:
        codec = self._codecs.get(shape)
        if codec is None:
            codec = self._codecs[shape] = make_codec(
                self._columns, shape, self._converter, self.presence.defaults
            )
        return codec

    def _sort(self, raws: list[bytes], *, careful: bool) -> list[Segment]:
        for _ in range(_MOST_ROUNDS):
            segments = self._part(raws, careful=careful)
            odd = [raws[s.start] for s in segments if s.codec is None]
            if not self._learn(odd, len(raws)):
                break
        return self._by_own_shapes(segments, raws)

    def _part(self, raws: list[bytes], *, careful: bool) -> list[Segment]:
        """Part what the usual codec decodes from what it does not, or not surely."""
        segments: list[Segment] = []
        codec = self._codec(self._usual)
        start = 0
        for at, raw in enumerate(raws if careful else ()):
            if self._may_fail(raw):
                segments += decode_in_blocks(codec, raws, start, at)
                segments.append(Segment.alone(at))
                start = at + 1
        segments += decode_in_blocks(codec, raws, start, len(raws))
        return merge_adjacent(segments)

    def _learn(self, odd: list[bytes], records: int) -> bool:
        """Make usual what many of a batch's odd records have in common; say if there was any.

        That a record lacks what can be filled is worth learning of one.
        """
        before, few = self._usual, len(odd) * _WORTH_LEARNING < records
        if not odd or (few and not self.presence.may_learn(before)):
            return False
        step = len(odd) // _MOST_LEARNED | 1
        shapes = [shape for shape in map(self._shape_of, odd[::step]) if shape is not None]
        if not shapes:
            return False
        all_odd = len(odd) == records
        usual = self.presence.learn_filled(before, shapes, all_odd=all_odd)
        if not few:
            usual = self.presence.learn_named(usual, shapes, records / (2 * step))
            usual = widened(usual, shapes)
        self._usual = usual
        self._see_usual()
        return self._usual != before

    def _see_usual(self) -> None:
        self._may_lose_precision = precision_check(self._columns, self._usual)

    def _shape_of(self, raw: bytes) -> Shape | None:
        """Return the shape of a record beside what is usual; None where it is no object."""
        try:
            record = values_of(raw)
        except DECODE_ERRORS:
            return None
        names = record.keys()
        if names and names.isdisjoint(self._by_field):
            return None
        wide = {
            name
            for name in names & self._by_field.keys() - self._usual.wide
            if not self._is_plain(self._by_field[name], bytes(record[name]))
        }
        return Shape(
            frozenset(names & self.presence.optional),
            self._usual.wide | wide,
            self._usual.unknown | (names - self._by_field.keys()),
        )

    def _is_plain(self, column: Column, raw: bytes) -> bool:
        """Tell whether a value is decoded as usual. What cannot be converted either counts so."""
        if needs_conversion(column, self._usual):
            return True
        is_known = self._converter.supports(column) or column.type.name in BINARY_TEXTS
        if raw[:1] == b'"' and not is_known:
            return True  # only the server knows what its text means
        try:
            self._plain[column.field](raw)
        except (*DECODE_ERRORS, ValueError):
            pass
        else:
            if not self._may_lose_precision(b":" + raw + b"}"):
                return True
        try:
            self._converter.to_python(column, raw)
        except ValueError:
            return True
        return False

    def _by_own_shapes(
        self,
        segments: list[Segment],
        raws: list[bytes] | PackedBatch,
        alone: frozenset[int] = frozenset(),
    ) -> list[Segment]:
        """Decode the odd records by their own shapes, as far as that goes, but for those alone."""
        for n, segment in enumerate(segments):
            if segment.codec is None and segment.start not in alone:
                raw = raws[segment.start]
                shape = None if self._may_fail(raw) else self._shape_of(raw)
                # A value of another form is converted sooner than a codec is made for it.
                if shape is None or shape.wide != self._usual.wide:
                    continue
                shape = self.presence.own(self._usual, shape)
                if shape == self._usual:
                    continue
                if len(shape.unknown) > MOST_UNKNOWN or len(self._codecs) > _MOST_CODECS:
                    continue
                codec = self._codec(shape)
                rows = _decode_one(codec, raw)
                if rows is not None:
                    segments[n] = Segment(segment.start, codec, rows)
        return merge_adjacent(segments)


def _decode_one(codec: Codec, raw: bytes) -> PackedRows | None:
    """Decode a record by itself; None: it is not of the codec's shape."""
    try:
        return codec.decode(b"[%b]" % raw)
    except DECODE_ERRORS:
        return None


def _plain_decoder(column: Column, converter: Converter) -> Callable[[bytes], object]:
    """Return what decodes values in their usual form; it raises if a value has another."""
    reader = ColumnReader(column, converter, Shape(frozenset(), frozenset(), frozenset()))
    decode = msgspec.json.Decoder(reader.annotation).decode
    if reader.convert is None:
        return decode
    convert = reader.convert
    return lambda raw: None if (value := decode(raw)) is None else convert(value)
