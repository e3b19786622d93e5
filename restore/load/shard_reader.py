"""Reads a shard in batches, and keeps track of how far in the file they are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from restore.decode.segments import Decoded
from restore.load.shard_context import ShardCounts
from restore.source.reader import Batch, Damage, Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from restore.load.shard_context import ShardContext
    from restore.options import Options
    from restore.source.shards import ShardStream


T = TypeVar("T")


def prefetch(items: Iterable[T]) -> Generator[T, None, None]:
    """Yield the items; each is made in another thread while the one before it is in use.

    At most one item is fetched ahead. Its exception is raised in its place.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read") as thread:
        future = thread.submit(next, iterator, None)
        while (item := future.result()) is not None:
            future = thread.submit(next, iterator, None)
            yield item


# To learn how large records are, if batches are counted in records.
_SAMPLE_BYTES = 1 << 16
# A batch of --batch-size records is held in memory; past this it is not worth what it costs.
_LARGE_BATCH_BYTES = 8 << 20
_LARGEST_CHUNK_BYTES = 1 << 28


class ShardReader:
    """Yields the batches and the damage of a shard, and reports progress as they are loaded.

    Args:
        context: the shard, its counts, and where progress is reported.
        stream: what the shard is read from.
        decode: decodes a JSON array of records.
        options: how to read.

    Attributes:
        position: where the last of what was loaded ends in the file.
    """

    def __init__(
        self,
        context: ShardContext,
        stream: ShardStream,
        decode: Callable[[bytes], Decoded],
        options: Options,
    ) -> None:
        self._context = context
        self._stream = stream
        self._options = options
        self._batches = 0
        self._ended = False
        self.position = context.shard.start
        self._reader = Reader(
            stream,
            self._first_chunk(),
            decode,
            resume_layout=context.shard.layout,
            ends_at_boundary=context.shard.end is not None,
        )

    def __iter__(self) -> Iterator[Batch | Damage]:
        """Yield what is read; batches know the records' bytes if decoding has found them."""
        for found in self._reader:
            if isinstance(found, Batch) and isinstance(found.rows, Decoded):
                if found.rows.raws is not None:
                    found.know_raws(found.rows.raws)
                if found.rows.spans is not None:
                    found.know_spans(found.rows.spans)
            yield found

    def done_with(self, found: Batch | Damage) -> None:
        """Note that a batch or damage is loaded, or deferred, and report progress."""
        if isinstance(found, Batch):
            self.position = found.end
            if not self._batches:
                self._reader.chunk_bytes = self._chunk_for(found)
            self._batches += 1
        else:
            self.position = found.record.offset + len(found.record.raw)
        bytes_read = self._stream.disk_bytes_read
        self._context.on_progress(ShardCounts(self._context.report, self._batches, bytes_read))

    def end(self) -> bool:
        """Note that the shard was read to its end.

        Returns:
            Whether it ends at a boundary, where another may begin.
        """
        if self._context.shard.end is None and not self._ended:
            self._note_end()
        self._ended = True
        return self._reader.boundary_holds

    def _first_chunk(self) -> int:
        return _SAMPLE_BYTES if self._options.batch_size else self._options.chunk_bytes

    def _chunk_for(self, first: Batch) -> int:
        """Return how much to read at a time, knowing how large records are."""
        chunk_bytes = self._reader.chunk_bytes
        records, usual = self._options.batch_size, self._options.chunk_bytes
        if records is None:
            return chunk_bytes
        record_bytes = len(first.data) / first.count
        wanted = int(records * record_bytes * 1.05) + 1
        if wanted > _LARGE_BATCH_BYTES:
            self._context.report.warnings.append(
                f"--batch-size {records:,} holds {wanted / 1e6:,.0f} MB of records in memory at a"
                f" time; auto takes {max(1, int(usual / record_bytes)):,}"
            )
        return min(wanted, _LARGEST_CHUNK_BYTES)

    def _note_end(self) -> None:
        """Report a file that is truncated, or that was read with a warning."""
        report, fault, cut_at = self._context.report, self._stream.fault, self._reader.cut_off_at
        if self._reader.warning is not None:
            report.warnings.append(f"{report.file} {self._reader.warning}")
        report.cut_off = fault is not None or cut_at is not None
        if fault is not None:
            report.warnings.append(fault)
        if cut_at is not None:
            report.warnings.append(
                f"{report.file} is truncated at byte {cut_at:,}, within its records; records may"
                " be missing: get a whole copy"
            )
