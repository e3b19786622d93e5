"""A decoded batch: stretches of rows of one codec each, and records that stand alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import msgspec

    from restore.decode.codec import Codec
    from restore.decode.rows import Rows


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows of one codec that stand together, the first of them at ``start`` in their batch.

    Without a codec it is one record that has to be loaded by itself.
    """

    start: int
    codec: Codec | None
    rows: Rows


@dataclass(frozen=True, slots=True)
class Decoded:
    """A batch, decoded: its records as segments in file order.

    ``raws`` are their bytes, or ``spans`` where each starts and ends, where that was found.
    ``places``: the segments hold only the records at these, and count these alone; None: all.
    """

    segments: list[Segment]
    count: int
    raws: list[msgspec.Raw] | None = None
    spans: Sequence[int] | None = None
    places: Sequence[int] | None = None

    def __len__(self) -> int:
        return self.count


def joined(segments: list[Segment]) -> list[Segment]:
    """Join neighbours of one codec."""
    joined: list[Segment] = []
    for segment in segments:
        last = joined[-1] if joined else None
        if last is not None and last.codec is not None and last.codec is segment.codec:
            _extend(last, segment)
        else:
            joined.append(segment)
    return joined


def by_codec(segments: list[Segment]) -> list[Segment]:
    """Put segments of one codec together; those without one stay by themselves."""
    if len(segments) == 1:
        return segments
    groups: dict[int, Segment] = {}
    for number, segment in enumerate(segments):
        key = -number if segment.codec is None else id(segment.codec)
        if key in groups:
            _extend(groups[key], segment)
        else:
            groups[key] = replace(segment, rows=segment.rows[:])
    return list(groups.values())


def _extend(segment: Segment, other: Segment) -> None:
    segment.rows.extend(other.rows)  # type: ignore[arg-type] # of one codec they are of one kind
