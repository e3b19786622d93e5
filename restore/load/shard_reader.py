"""A shard while it is read: its batches and damage, and how far in the file they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from restore.decode.segments import Decoded
from restore.source.reader import Batch, Damage, Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from restore.options import Options
    from restore.report.model import TableReport
    from restore.source.shards import Shard, ShardStream

# To learn how large records are, where batches are counted in records.
_SAMPLE_BYTES = 1 << 16
# A batch of --batch-size records is held in memory; past this it is not worth what it costs.
_LARGE_BATCH_BYTES = 8 << 20
_LARGEST_CHUNK_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class Counts:
    """How far a shard's load is; bytes are those of the file as it lies on the disk."""

    report: TableReport
    batches: int = 0
    bytes_read: int = 0


class Listener(Protocol):
    """Is told after every batch how far the load of a shard is."""

    def __call__(self, counts: Counts, /) -> None:
        """Take note; what this raises stops the load."""


class Reading:
    """Gives the batches and the damage of a shard, and tells of each that was taken.

    Args:
        shard: which.
        stream: what it is read from.
        decode: decodes a JSON array of records.
        options: how.
        report: its counts.
        tell: is told of progress.

    Attributes:
        position: where the last of what was taken ends in the file.
    """

    def __init__(
        self,
        shard: Shard,
        stream: ShardStream,
        decode: Callable[[bytes], Decoded],
        *,
        options: Options,
        report: TableReport,
        tell: Listener,
    ) -> None:
        self._shard = shard
        self._stream = stream
        self._options = options
        self._report = report
        self._tell = tell
        self._batches = 0
        self._ended = False
        self.position = shard.start
        self._reader = Reader(
            stream,
            self._first_chunk(),
            decode,
            resume_layout=shard.layout,
            ends_at_boundary=shard.end is not None,
        )

    def __iter__(self) -> Iterator[Batch | Damage]:
        """Yield what is read; batches know the records' bytes where decoding has found them."""
        for found in self._reader:
            if isinstance(found, Batch) and isinstance(found.rows, Decoded):
                if found.rows.raws is not None:
                    found.know_raws(found.rows.raws)
                if found.rows.spans is not None:
                    found.know_spans(found.rows.spans)
            yield found

    def took(self, found: Batch | Damage) -> None:
        """Take note that something is loaded, or waits, and tell of it."""
        if isinstance(found, Batch):
            self.position = found.end
            if not self._batches:
                self._reader.chunk_bytes = self._chunk_for(found)
            self._batches += 1
        else:
            self.position = found.record.offset + len(found.record.raw)
        self._tell(Counts(self._report, self._batches, self._stream.disk_bytes_read))

    def end(self) -> bool:
        """See what there is to say of a shard that was read to its end.

        Returns:
            Whether it ends where another may begin.
        """
        if self._shard.end is None and not self._ended:
            self._note_end()
        self._ended = True
        return self._reader.boundary_holds

    def _first_chunk(self) -> int:
        return _SAMPLE_BYTES if self._options.batch_size else self._options.chunk_bytes

    def _chunk_for(self, first: Batch) -> int:
        """Return how much to read at a time from here on, knowing how large records are."""
        chunk_bytes = self._reader.chunk_bytes
        records, usual = self._options.batch_size, self._options.chunk_bytes
        if records is None:
            return chunk_bytes
        record_bytes = len(first.data) / first.count
        wanted = int(records * record_bytes * 1.05) + 1
        if wanted > _LARGE_BATCH_BYTES:
            self._report.warnings.append(
                f"--batch-size {records:,} holds {wanted / 1e6:,.0f} MB of records in memory at a"
                f" time; auto takes {max(1, int(usual / record_bytes)):,}"
            )
        return min(wanted, _LARGEST_CHUNK_BYTES)

    def _note_end(self) -> None:
        """Say whether the file ends before its end."""
        report, fault, cut_at = self._report, self._stream.fault, self._reader.cut_off_at
        if self._reader.warning is not None:
            report.warnings.append(f"{report.file} {self._reader.warning}")
        report.cut_off = fault is not None or cut_at is not None
        if fault is not None:
            report.warnings.append(fault)
        if cut_at is not None:
            report.warnings.append(
                f"{report.file} is cut off at byte {cut_at:,}, within its records: some may be"
                " missing that nobody can name"
            )
