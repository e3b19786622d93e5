"""The numbers of records, as a set that takes little memory."""

from __future__ import annotations

from array import array
from bisect import bisect_right, insort


class Ordinals:
    """A set of ordinals in little memory: those that follow one another are kept as a range."""

    def __init__(self) -> None:
        self._starts = array("q")
        self._ends = array("q")

    def add(self, ordinal: int) -> None:
        """Put an ordinal in; cheap where it is greater than all that are there."""
        if ordinal in self:
            return
        if self._ends and self._ends[-1] == ordinal:
            self._ends[-1] += 1
            return
        insort(self._starts, ordinal)
        insort(self._ends, ordinal + 1)

    def __contains__(self, ordinal: int) -> bool:
        at = bisect_right(self._starts, ordinal) - 1
        return at >= 0 and ordinal < self._ends[at]

    def clear(self) -> None:
        """Empty the set."""
        del self._starts[:], self._ends[:]
