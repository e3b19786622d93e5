"""How a backup is shared among the processes that load it: how many there are, who loads what."""

from __future__ import annotations

import os
from itertools import chain
from typing import TYPE_CHECKING

from restore.source.shards import cut_into_shards, whole_range_shard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from restore.options import Options
    from restore.plan.order import Load
    from restore.schedule.table_work import TableWork
    from restore.source.shards import Shard

# A worker takes a quarter of a second of processor time to start: as long as so much takes to load.
_WORTH_A_WORKER_BYTES = 16 << 20
# A shard is a share of the backup, so that no process waits long for the others at the end, but
# not so small that its beginning and end tell, nor so large that a lost one does.
_SHARE_OF_A_WORKER = 16
_SMALLEST_SHARD_BYTES = 4 << 20
# A table is cut that is more than one in so many of a process's share of the backup.
_LARGE_SHARE = 2
_LARGEST_SHARD_BYTES = 64 << 20
# Shards of what only one process can read are held in memory, twice for a moment.
_HELD_SHARD_BYTES = 4 << 20


class Shares:
    """Shares a backup out.

    Args:
        options: how many processes there may be.
        works: the tables.

    Attributes:
        processes: how many load.
    """

    def __init__(self, options: Options, works: Sequence[TableWork]) -> None:
        self._bytes = sum(work.load.file.disk_bytes for work in works)
        few = options.dry_run or os.name != "posix"
        worth = 1 + self._bytes // _WORTH_A_WORKER_BYTES
        self.processes = 1 if few else min(options.processes, worth)
        self._shard_bytes = self._bytes // (self.processes * _SHARE_OF_A_WORKER)

    def cut(self, work: TableWork) -> Iterator[Shard]:
        """Cut a table's file into shards, if it may be and there is someone to take them."""
        load = work.load
        # A boundary that is missed is mended by loading the table from the beginning.
        if (
            self.processes == 1
            or not (work.manner.orderless and self._gains(load))
            or not work.state.may_be_emptied
        ):
            return (whole_range_shard(load.file, gap) for gap in work.gaps)
        size = min(max(self._shard_bytes, _SMALLEST_SHARD_BYTES), _LARGEST_SHARD_BYTES)
        if load.file.compression:
            size = _HELD_SHARD_BYTES
        # A value that a sequence gives depends on who asks first.
        drawn = frozenset(sequence.column for sequence in load.table.sequences)
        return chain.from_iterable(
            cut_into_shards(load.file, size, gap, required_fields=drawn) for gap in work.gaps
        )

    def _gains(self, load: Load) -> bool:
        """Tell whether a table had better be cut.

        Whole, it comes in one COPY, and maybe without log. But one that is much of the backup keeps
        one process busy for long, and what finishes it waits.
        """
        return load.file.disk_bytes * self.processes * _LARGE_SHARE > self._bytes
