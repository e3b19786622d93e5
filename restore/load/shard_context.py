"""What goes with a shard on its way through the load: its counts, its rejects, who is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from restore.load.bulk_copy import BulkMode
    from restore.rejects.writer import RejectSink
    from restore.report.model import TableReport
    from restore.source.shards import Shard


class ShardCounts(Struct, frozen=True):
    """How far a shard's load is; bytes are those of the file as it lies on the disk.

    ``report`` is the shard's own, and grows while it is loaded.
    """

    report: TableReport
    batches: int = 0
    bytes_read: int = 0


OnProgress = Callable[[ShardCounts], None]
"""Called after each batch of a shard; what it raises stops the load."""


class ShardContext(Struct, frozen=True):
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
    rejects: RejectSink
    on_progress: OnProgress
    mode: BulkMode
