"""Learns what the records of a table file are like, and sorts a batch by it.

Most batches decode at once, by the codec of the shape that is usual by now. Where one does not, the
records at fault are found by the place that the decoder names. If they are many, what they have in
common becomes usual; if they are few, they are parted from the rest and loaded by themselves.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from restore.columns import EXACT_UUID
from restore.decode import make_codec
from restore.kinds import Shape, is_wide, kind_of, suspect
from restore.scan import DECODE_ERRORS
from restore.segments import Decoded, Segment, joined

if TYPE_CHECKING:
    from collections.abc import Callable

    from restore.catalog import Column, Table
    from restore.decode import Codec
    from restore.options import Technique
    from restore.values import Converter

# Of records that do not fit, so many (one in ...) make their shape worth learning: each that is
# loaded by itself costs about as much as a hundred that come in one COPY.
_WORTH_LEARNING = 50
# What is learned in one batch; each round decodes it once more.
_MOST_ROUNDS = 4
# No more names than this are remembered from records that have a new field each.
_MOST_UNKNOWN = 2_000
# Each codec is a class of its own; records of still other shapes are loaded by themselves.
_MOST_CODECS = 100
# A record that does not decode costs a second decoding of those before it in a block of so many.
_BLOCK = 64
# msgspec names the place of an error so.
_AT = re.compile(r"at `\$\[(\d+)\]")

# The escape for the character NUL; or a backslash that is one itself, and then no more than digits.
_NUL = re.compile(rb"\\u0000")

_raws = msgspec.json.Decoder(list[msgspec.Raw])
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Shapes:
    """Decodes the batches of one table.

    Args:
        table: the target.
        converter: converts what comes in another form than usual.
        without: techniques that are left out.

    Attributes:
        minds_nul: a record that may hold the character NUL, which no text of PostgreSQL's can, is
            parted from the others. To look for it takes a tenth of the time of a decoding, so it is
            minded only once a COPY was refused for it.
    """

    def __init__(
        self, table: Table, converter: Converter, without: frozenset[Technique] = frozenset()
    ) -> None:
        self._without = without
        self.minds_nul = False
        self._columns = tuple(column for column in table.columns if not column.generated)
        self._by_name = {column.name: column for column in self._columns}
        self._generated = frozenset(c.name for c in table.columns if c.generated)
        self._optional = frozenset(c.name for c in self._columns if c.has_default)
        self._converter = converter
        self._codecs: dict[Shape, Codec] = {}
        self._plain = {column.name: _plain_decoder(column) for column in self._columns}
        self._usual = Shape(self._optional, frozenset(), self._generated)
        self._see_usual()
        # The last batch did not decode at once: then the next one is not even tried so.
        self._troubled = False

    def decode(self, data: bytes) -> Decoded:
        """Decode a JSON array of records.

        Raises:
            msgspec.DecodeError: it is no JSON array of objects.
        """
        nul = self._holds_nul(data)
        if not (nul or self._troubled or self._suspect_at_once(data)):
            try:
                codec = self._codec(self._usual)
                rows = codec.decode(data)
                return Decoded([Segment(0, codec, rows)] if rows else [], len(rows))
            except DECODE_ERRORS:
                pass
        views = _raws.decode(data)
        raws = list(map(bytes, views))
        segments = self._sort(raws, careful=nul or self._suspect(data))
        self._troubled = len(segments) > 1
        return Decoded(segments, len(raws), views)

    def _is_suspect(self, data: bytes) -> bool:
        """Tell whether bytes may hold what would be rounded, or what a whole COPY would fail on."""
        return self._suspect(data) or self._holds_nul(data)

    def _holds_nul(self, data: bytes) -> bool:
        return self.minds_nul and _NUL.search(data) is not None

    def _codec(self, shape: Shape) -> Codec:
        codec = self._codecs.get(shape)
        if codec is None:
            codec = self._codecs[shape] = make_codec(
                self._columns, shape, self._converter, self._without
            )
        return codec

    def _sort(self, raws: list[bytes], *, careful: bool) -> list[Segment]:
        for _ in range(_MOST_ROUNDS):
            segments = self._part(raws, careful=careful)
            odd = [raws[s.start] for s in segments if s.codec is None]
            if len(odd) * _WORTH_LEARNING < len(raws) or not self._learn(odd, len(raws)):
                break
        return self._by_own_shapes(segments, raws)

    def _part(self, raws: list[bytes], *, careful: bool) -> list[Segment]:
        """Part what the usual codec decodes from what it does not, or not surely."""
        segments: list[Segment] = []
        codec = self._codec(self._usual)
        start = 0
        for at, raw in enumerate(raws if careful else ()):
            if self._is_suspect(raw):
                _extend(segments, codec, raws, start, at)
                segments.append(Segment(at, None, []))
                start = at + 1
        _extend(segments, codec, raws, start, len(raws))
        return segments

    def _learn(self, odd: list[bytes], count: int) -> bool:
        """Make usual what many of a batch's odd records have in common; say if there was any."""
        before = self._usual
        shapes = [shape for shape in map(self._shape_of, odd) if shape is not None]
        if not shapes:
            return False
        widened = Counter(name for shape in shapes for name in shape.wide)
        wide = {name for name, times in widened.items() if times * 4 >= len(shapes)}
        unknown = before.unknown.union(*(shape.unknown for shape in shapes))
        if len(unknown) > _MOST_UNKNOWN:
            unknown = before.unknown
        named, times = Counter(shape.named for shape in shapes).most_common(1)[0]
        if times * 2 <= count:
            named = before.named
        self._usual = Shape(named, before.wide | wide, unknown)
        self._see_usual()
        return self._usual != before

    def _see_usual(self) -> None:
        self._suspect = suspect(self._columns, self._usual)
        self._suspect_at_once = suspect(self._columns, self._usual, at_once=True)

    def _shape_of(self, raw: bytes) -> Shape | None:
        """Return the shape of a record beside what is usual; None where it is no object."""
        try:
            record = _fields.decode(raw)
        except DECODE_ERRORS:
            return None
        names = record.keys()
        wide = {
            name
            for name in names & self._by_name.keys() - self._usual.wide
            if not self._is_plain(self._by_name[name], bytes(record[name]))
        }
        return Shape(
            frozenset(names & self._optional),
            self._usual.wide | wide,
            self._usual.unknown | (names - self._by_name.keys()),
        )

    def _is_plain(self, column: Column, raw: bytes) -> bool:
        """Tell whether a value is decoded as usual. What cannot be converted either counts so."""
        if is_wide(column, self._usual):
            return True
        if raw[:1] == b'"' and not self._converter.reads(column):
            return True  # only the server knows what its text means
        try:
            self._plain[column.name].decode(raw)
        except DECODE_ERRORS:
            pass
        else:
            if not self._suspect(b":" + raw + b"}"):
                return True
        try:
            self._converter.typed(column, raw)
        except ValueError:
            return True
        return False

    def _by_own_shapes(self, segments: list[Segment], raws: list[bytes]) -> list[Segment]:
        """Decode the odd records by their own shapes, as far as that goes."""
        for n, segment in enumerate(segments):
            if segment.codec is None and not self._is_suspect(raws[segment.start]):
                shape = self._shape_of(raws[segment.start])
                # A value of another form is converted sooner than a codec is made for it.
                if shape is None or shape == self._usual or shape.wide != self._usual.wide:
                    continue
                if len(shape.unknown) > _MOST_UNKNOWN or len(self._codecs) > _MOST_CODECS:
                    continue
                codec = self._codec(shape)
                try:
                    rows = codec.decode(b"[%b]" % raws[segment.start])
                except DECODE_ERRORS:
                    continue
                segments[n] = Segment(segment.start, codec, rows)
        return joined(segments)


def _plain_decoder(column: Column) -> msgspec.json.Decoder[Any]:
    annotation = kind_of(column, wide=False).annotation
    if annotation is uuid.UUID:
        annotation = EXACT_UUID
    if not (column.not_null or annotation is msgspec.Raw):
        annotation = annotation | None
    return msgspec.json.Decoder(annotation)


def _extend(segments: list[Segment], codec: Codec, raws: list[bytes], start: int, end: int) -> None:
    """Decode a stretch, block by block, parting off the records that do not decode."""
    while start < end:
        stop = min(start + _BLOCK, end)
        found, fault = _first_fault(codec.decode, raws, start, stop)
        last = segments[-1] if segments else None
        if last is not None and last.codec is codec:
            last.rows.extend(found)
        elif found:
            segments.append(Segment(start, codec, found))
        if fault is not None:
            segments.append(Segment(fault, None, []))
        start = stop if fault is None else fault + 1


def _first_fault(
    decode: Callable[[bytes], list[Any]], raws: list[bytes], start: int, end: int
) -> tuple[list[Any], int | None]:
    """Return the rows before the first record that does not decode, and where that is."""
    stop, fault = end, None
    while True:
        try:
            return (decode(b"[%b]" % b",".join(raws[start:stop])) if stop > start else []), fault
        except DECODE_ERRORS as error:
            place = _AT.search(str(error))
            at = start + int(place[1]) if place else None
            if at is None or not start <= at < stop:
                at = _look_for_fault(decode, raws, start, stop)
            stop = fault = at


def _look_for_fault(
    decode: Callable[[bytes], list[Any]], raws: list[bytes], start: int, stop: int
) -> int:
    """Find a record that does not decode where the error does not tell which."""
    for at in range(start, stop):
        try:
            decode(b"[%b]" % raws[at])
        except DECODE_ERRORS:
            return at
    raise AssertionError("records that decode one by one do not decode together")
