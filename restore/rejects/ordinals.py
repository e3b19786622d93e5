"""A compact set of record numbers."""

from __future__ import annotations

# A page of so many numbers takes 512 bytes: a set takes an eighth of a byte for each record of the
# file at the most, and adding to it takes as long anywhere.
_PAGE = 4096


class OrdinalSet:
    """A set of ordinals: one bit each, in pages that are allocated as needed."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, ordinal: int) -> None:
        """Add an ordinal."""
        page, place = divmod(ordinal, _PAGE)
        byte, bit = place >> 3, 1 << (place & 7)
        bits = self._pages.get(page)
        if bits is None:
            bits = self._pages[page] = bytearray(_PAGE >> 3)
        if not bits[byte] & bit:
            bits[byte] |= bit
            self._count += 1

    def discard(self, ordinal: int) -> None:
        """Remove an ordinal, if it is there."""
        if ordinal in self:
            page, place = divmod(ordinal, _PAGE)
            self._pages[page][place >> 3] &= ~(1 << (place & 7))
            self._count -= 1

    def __contains__(self, ordinal: int) -> bool:
        page, place = divmod(ordinal, _PAGE)
        bits = self._pages.get(page)
        return bits is not None and bool(bits[place >> 3] & 1 << (place & 7))

    def clear(self) -> None:
        """Empty the set."""
        self._pages.clear()
        self._count = 0
