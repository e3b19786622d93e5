"""Rows that are in the form of a COPY already: sliced and joined without a copy of them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence


class _Part(NamedTuple):
    """Rows ``first`` to ``last`` of those in ``rows``, of which each ends where ``ends`` says."""

    rows: bytes | bytearray
    ends: Sequence[int]
    first: int
    last: int
    ignored: Sequence[int]
    unknown: Mapping[int, Collection[str]]
    changes: Mapping[int, Sequence[str]]


class PackedRows:
    """Rows of one codec, as they are sent.

    Args:
        rows: the rows.
        ends: where each of them ends.
        ignored: for each of them which fields are left out, as bits; empty: of none are any.
        unknown: the names of other fields that are left out, by the row's place.
        changes: what policies changed, by the row's place.
    """

    __slots__ = ("_parts",)

    def __init__(
        self,
        rows: bytes | bytearray,
        ends: Sequence[int],
        ignored: Sequence[int] = (),
        unknown: Mapping[int, Collection[str]] = MappingProxyType({}),
        changes: Mapping[int, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        self._parts = [_Part(rows, ends, 0, len(ends), ignored, unknown, changes)]

    def __len__(self) -> int:
        return sum(part.last - part.first for part in self._parts)

    def __getitem__(self, wanted: slice) -> PackedRows:
        start, stop, _ = wanted.indices(len(self))
        parts, passed = [], 0
        for part in self._parts:
            first = part.first + max(0, start - passed)
            last = min(part.last, part.first + stop - passed)
            if first < last:
                parts.append(part._replace(first=first, last=last))
            passed += part.last - part.first
        found = PackedRows(b"", ())
        found._parts = parts
        return found

    def chosen(self, places: Sequence[int]) -> PackedRows:
        """Return the rows at these places, where between them are only empty ones."""
        [(rows, ends, _, _, ignored, unknown, changes)] = self._parts
        return PackedRows(
            rows,
            [ends[n] for n in places],
            [ignored[n] for n in places if ignored],
            {number: unknown[n] for number, n in enumerate(places) if n in unknown},
            {number: changes[n] for number, n in enumerate(places) if n in changes},
        )

    def extend(self, others: PackedRows) -> None:
        """Put others behind these."""
        self._parts += others._parts

    def pieces(self, most_bytes: int) -> Iterator[memoryview]:
        """Yield the rows' bytes, no more than so many at a time."""
        for rows, ends, first, last, *_ in self._parts:
            start, stop = ends[first - 1] if first else 0, ends[last - 1] if last else 0
            view = memoryview(rows)
            for at in range(start, stop, most_bytes):
                yield view[at : min(at + most_bytes, stop)]

    def ignored(self) -> Iterator[int]:
        """Yield for each row, as bits, which fields are left out; not for rows without any."""
        for part in self._parts:
            yield from filter(None, part.ignored[part.first : part.last])

    def unknown(self) -> Iterator[Collection[str]]:
        """Yield for each row the names of other fields; not for rows without any."""
        for part in self._parts:
            places = range(part.first, part.last) if part.unknown else ()
            yield from (part.unknown[n] for n in places if n in part.unknown)

    def changes(self) -> Iterator[Sequence[str]]:
        """Yield for each row what policies changed; not for rows without changes."""
        for part in self._parts:
            places = range(part.first, part.last) if part.changes else ()
            yield from (part.changes[n] for n in places if n in part.changes)
