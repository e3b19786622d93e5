"""What goes with a shard on its way through the load: its counts, its rejects, who is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restore.load.bulk_copy import BulkMode
    from restore.rejects.writer import RejectFile
    from restore.report.model import TableReport
    from restore.source.shards import Shard


@dataclass(frozen=True, slots=True)
class ShardCounts:
    """How far a shard's load is; bytes are those of the file as it lies on the disk.

    ``report`` is the shard's own, and grows while it is loaded.
    """

    report: TableReport
    batches: int = 0
    bytes_read: int = 0


OnProgress = Callable[[ShardCounts], None]
"""Called after each batch of a shard; what it raises stops the load."""


@dataclass(frozen=True, slots=True)
class ShardContext:
    """A shard that is being loaded.

    Args:
        shard: which part of which file.
        report: takes its counts.
        rejects: takes its records that cannot be restored.
        on_progress: called after each batch.
        mode: how it may be loaded in one COPY, if at all.
    """

    shard: Shard
    report: TableReport
    rejects: RejectFile
    on_progress: OnProgress
    mode: BulkMode
