"""Learns the usual shape of a table's records from those that do not fit."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

from msgspec.structs import replace

from restore.decode.packer import MOST_IGNORED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from restore.decode.encode import Default
    from restore.decode.packer import PackedBatch
    from restore.decode.types import Shape

# No more names than this are remembered from records that have a new field each.
MOST_UNKNOWN = 2_000
# A field that one of so many records has is noted by its name, which takes longer than by a bit.
_RARE = 50


class Presence:
    """Decides which columns with a default are named, and which of them are filled.

    Those whose default has a value, which is the same for all rows, are first named as if every
    record had them; then, where none of a batch's records fits, those of them that some have, the
    others filled; and as soon as that does not hold either, all of them, filled. So there are three
    cases of them, however many sets of absent fields there are. Columns with other defaults
    (``gen_random_uuid()``) are named as records have them.

    Args:
        optional: the fields of the columns with a default.

    Attributes:
        defaults: values of defaults, by field.
    """

    def __init__(self, optional: Iterable[str]) -> None:
        self.optional = frozenset(optional)
        self.defaults: dict[str, Default] = {}
        self._steady: frozenset[str] = frozenset()

    def know(self, defaults: dict[str, Default]) -> None:
        """Take the values of defaults."""
        self.defaults = defaults
        self._steady = frozenset(defaults)

    def may_learn(self, usual: Shape) -> bool:
        """Tell whether the usual shape does not fill all that can be filled."""
        return usual.filled != self._steady

    def learn_filled(self, usual: Shape, shapes: Sequence[Shape], *, all_odd: bool) -> Shape:
        """Return the usual shape with what has to be filled, to take records of other shapes too.

        Args:
            usual: the usual shape.
            shapes: those of records that do not fit.
            all_odd: no record of their batch fits.
        """
        if all(self._fits(usual, shape) for shape in shapes):
            return usual
        found = self._steady
        if all_odd and not usual.filled:
            found = found.intersection(frozenset().union(*(shape.named for shape in shapes)))
        return replace(usual, named=usual.named - self._steady | found, filled=found)

    def learn_named(self, usual: Shape, shapes: Sequence[Shape], most: float) -> Shape:
        """Return the usual shape with the other columns named that more than so many records name.

        Args:
            usual: the usual shape.
            shapes: those of records that do not fit.
            most: half of their batch's records, as a share of these.
        """
        named, times = Counter(shape.named - self._steady for shape in shapes).most_common(1)[0]
        if times <= most:
            return usual
        return replace(usual, named=usual.named & self._steady | named)

    def own(self, usual: Shape, shape: Shape) -> Shape:
        """Return the shape by which to decode a record of a shape of its own."""
        if self._fits(usual, shape):
            steady, filled = usual.named & self._steady, usual.filled
        else:
            steady = filled = self._steady
        return replace(shape, named=shape.named - self._steady | steady, filled=filled)

    def _fits(self, usual: Shape, shape: Shape) -> bool:
        named = usual.named & self._steady
        return named - usual.filled <= shape.named & self._steady <= named


def noticing(usual: Shape, found: PackedBatch) -> Shape:
    """Return the usual shape with those unknown fields that many of a batch's records have."""
    times = Counter(chain.from_iterable(found.rows.unknown()))
    many = {name for name, records in times.items() if records * _RARE >= found.count}
    unknown = usual.unknown | many
    return replace(usual, unknown=unknown) if many and len(unknown) <= MOST_IGNORED else usual


def widened(usual: Shape, shapes: Sequence[Shape]) -> Shape:
    """Return the usual shape, wide where many are, and with the unknown fields of all."""
    counts = Counter(name for shape in shapes for name in shape.wide)
    wide = {name for name, times in counts.items() if times * 4 >= len(shapes)}
    unknown = usual.unknown.union(*(shape.unknown for shape in shapes))
    if len(unknown) > MOST_UNKNOWN:
        unknown = usual.unknown
    return replace(usual, wide=usual.wide | wide, unknown=unknown)
