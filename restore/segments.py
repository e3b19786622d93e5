"""A decoded batch: stretches of rows of one codec each, and records that stand alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import msgspec

    from restore.decode import Codec


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows of one codec that stand together, the first of them at ``start`` in their batch.

    Without a codec it is one record that has to be loaded by itself.
    """

    start: int
    codec: Codec | None
    rows: list[Any]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A batch, decoded: its records as segments in file order; ``raws`` where they were parted."""

    segments: list[Segment]
    count: int
    raws: list[msgspec.Raw] | None = None

    def __len__(self) -> int:
        return self.count


def joined(segments: list[Segment]) -> list[Segment]:
    """Join neighbours of one codec."""
    joined: list[Segment] = []
    for segment in segments:
        last = joined[-1] if joined else None
        if last is not None and last.codec is not None and last.codec is segment.codec:
            last.rows.extend(segment.rows)
        else:
            joined.append(segment)
    return joined


def by_codec(segments: list[Segment]) -> list[Segment]:
    """Put segments of one codec together; those without one stay by themselves."""
    if len(segments) == 1:
        return segments
    groups: dict[int, Segment] = {}
    for number, segment in enumerate(segments):
        alone = segment.codec is None
        key = -number if alone else id(segment.codec)
        group = groups.setdefault(key, Segment(segment.start, segment.codec, []))
        group.rows.extend(segment.rows)
    return list(groups.values())
