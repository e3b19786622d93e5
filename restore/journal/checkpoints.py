"""Notes how far the load of a shard is, in the transactions that bring its rows in."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Protocol

import msgspec
import xxhash
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    import psycopg

    from restore.rejects.writer import RejectSink
    from restore.report.model import TableReport
    from restore.source.shards import Shard, ShardStream
    from restore.target.own_rows import WriteLog

# That the transaction writes rows of the table is noted with it, which saves a round trip.
_NOTE = """
    WITH restore_write AS (
        INSERT INTO restore_journal.restore_writes (oid, xid)
        VALUES (%(oid)s::pg_catalog.oid, pg_catalog.pg_current_xact_id()::pg_catalog.xid)
    )
    INSERT INTO restore_journal.shards AS s VALUES (
        %(oid)s, %(start)s, %(stop)s, %(position)s, %(ended)s, %(holds)s,
        %(report)s, %(rejects_bytes)s, %(hashed)s, %(hash)s)
    ON CONFLICT (oid, start) DO UPDATE SET (
        stop, position, ended, holds, report, rejects_bytes, hashed, hash
    ) = (
        excluded.stop, excluded.position, excluded.ended, excluded.holds,
        excluded.report, excluded.rejects_bytes, excluded.hashed, excluded.hash)
"""


class Log(Protocol):
    """Provides a transaction for each part of a table's load."""

    def step(self, after: int, /) -> AbstractContextManager[object]:
        """Return a transaction for rows; with it, all records before ``after`` are decided."""


class NoCheckpoints:
    """Gives transactions and notes no progress: without a journal, or with nothing to resume.

    Args:
        conn: the connection that loads. If it is in a transaction, steps are savepoints.
        oid: the table.
        writes: takes note of each step, so that its rows are known to be ours; None: nothing asks.
    """

    def __init__(self, conn: psycopg.Connection, oid: int, writes: WriteLog | None) -> None:
        self._conn = conn
        self._oid = oid
        self._writes = writes

    @contextlib.contextmanager
    def step(self, _after: int, /) -> Iterator[None]:
        """Give a transaction."""
        with self._conn.transaction():
            yield
            if self._writes is not None:
                self._writes.record(self._conn, self._oid)


class Checkpoints:
    """Notes in the journal how far a shard is.

    Args:
        conn: the connection that loads it.
        oid: its table.
        shard: which.
        report: its counts. All that it says is decided when a step is noted.
        rejects: its rejects.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        oid: int,
        shard: Shard,
        report: TableReport,
        rejects: RejectSink,
    ) -> None:
        self._conn = conn
        self._oid = oid
        self._shard = shard
        self._report = report
        self._rejects = rejects
        self._hashed = _HashingStream()
        self._position = shard.decided or shard.start

    def watch(self, stream: ShardStream) -> ShardStream:
        """Return the stream that the shard is to be read from: what is read is remembered."""
        self._hashed = _HashingStream(stream)
        return self._hashed

    @contextlib.contextmanager
    def step(self, after: int) -> Iterator[None]:
        """Note, in one transaction with what is done within, that all before a place is decided.

        Where that fails, the counts are again what they were.
        """
        with (
            self._report.rollback_on_error(),
            self._rejects.rollback_on_error(),
            self._conn.transaction(),
        ):
            yield
            self.note(after)

    def end(self, *, holds: bool) -> None:
        """Note that every record of the shard is decided."""
        with self._rejects.rollback_on_error(), self._conn.transaction():
            self.note(self._position, ended=True, holds=holds)

    def note(self, position: int, *, ended: bool = False, holds: bool = False) -> None:
        """Note, within the open transaction, that all records before a place are decided.

        Args:
            position: the place.
            ended: nothing comes behind it.
            holds: another shard may begin where this one ends.
        """
        self._rejects.sync()
        hashed, digest = self._hashed.so_far()
        # In mid-batch some are decided that are not counted as read yet.
        report = replace(self._report, read=self._report.accounted)
        note = {
            "oid": self._oid,
            "start": self._shard.key,
            "stop": self._shard.end,
            "position": position,
            "ended": ended,
            "holds": holds,
            "report": msgspec.json.encode(report).decode(),
            "rejects_bytes": self._rejects.size,
            "hashed": hashed,
            "hash": digest,
        }
        self._conn.execute(_NOTE, note)
        self._position = position


class _HashingStream:
    """A stream that remembers what was read from it, as a hash.

    Args:
        stream: the stream; None: there is nothing to read.
        count: how many bytes were read before.
        digest: their hash.
    """

    def __init__(self, stream: ShardStream | None = None, count: int = 0, digest: str = "") -> None:
        self._stream = stream
        self._count = count
        self._digest = digest
        self._hash = None if stream is None else xxhash.xxh3_128()
        # A thread of its own may read ahead.
        self._lock = threading.Lock()
        if stream is not None:
            self.span = getattr(stream, "span", None)
            self.start: int = getattr(stream, "start", 0)

    @property
    def fault(self) -> str | None:
        return None if self._stream is None else self._stream.fault

    @property
    def disk_bytes_read(self) -> int:
        return 0 if self._stream is None else self._stream.disk_bytes_read

    def read(self, size: int, /) -> bytes:
        part = b"" if self._stream is None else self._stream.read(size)
        with self._lock:
            if self._hash is not None:
                self._hash.update(part)
                self._count += len(part)
        return part

    def so_far(self) -> tuple[int, str]:
        """Return how many bytes were read, and their hash."""
        with self._lock:
            return self._count, self._digest if self._hash is None else self._hash.hexdigest()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
