"""Rejects of a shard on their way from another machine: kept in the journal until they are fetched.

A worker has no disk that outlives it, so it writes the lines of a shard's rejects to the journal,
in the transaction that decides their records. The restore moves them to the shard's reject file.
Each chunk knows its place in that file: to move it twice makes the same file.
"""

from __future__ import annotations

import contextlib
import tempfile
from typing import TYPE_CHECKING, Self

from restore.errors import LoadError
from restore.rejects.writer import RejectFile, line_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg

    from restore.report.reasons import Reason
    from restore.source.records import RawRecord

_WRITE = "INSERT INTO restore_journal.rejects VALUES (%s, %s, %s, %b)"
_READ = """
    SELECT place, lines FROM restore_journal.rejects
    WHERE (oid, start) = (%s, %s) AND place >= %s ORDER BY place LIMIT 1
"""
_DELETE = "DELETE FROM restore_journal.rejects WHERE (oid, start) = (%s, %s)"
_STARTS = "SELECT DISTINCT start FROM restore_journal.rejects WHERE oid = %s ORDER BY 1"
# Of the rejects of one transaction so much is held in memory, and written as one row.
_CHUNK_BYTES = 1 << 20


class JournaledRejects:
    """Takes the rejects of a shard and writes them to the journal with its progress.

    Args:
        conn: the connection that loads the shard.
        oid: its table.
        start: its key.
        schema, table: the table's names as the user knows them.
        size: how many bytes of its rejects are written already.
    """

    def __init__(
        self, conn: psycopg.Connection, oid: int, start: int, *, schema: str, table: str, size: int
    ) -> None:
        self.size = size
        self._conn = conn
        self._key = (oid, start)
        self._names = (schema, table)
        self._written = self._spool_start = size
        self._depth = 0
        # Holds what is not known to be committed.
        self._spool = tempfile.SpooledTemporaryFile(max_size=_CHUNK_BYTES)  # noqa: SIM115 - closed below

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()

    def add(self, record: RawRecord, reason: Reason) -> None:
        """Keep a record until the next ``sync``.

        Raises:
            LoadError: there is no room for it on the worker's disk.
        """
        line = line_pieces(
            *self._names, record.raw, ordinal=record.ordinal, offset=record.offset, reason=reason
        )
        try:
            for piece in line:
                self.size += self._spool.write(piece)
        except OSError as error:
            raise LoadError(
                f"cannot keep rejects in the worker's temporary folder: {error.strerror}; make room"
                " there, or set TMPDIR"
            ) from error

    @contextlib.contextmanager
    def rollback_on_error(self) -> Iterator[None]:
        """Forget what is added or written within the block if it fails."""
        size, written = self.size, self._written
        self._depth += 1
        try:
            yield
        except BaseException:
            self.size, self._written = size, written
            self._spool.seek(size - self._spool_start)
            self._spool.truncate()
            raise
        finally:
            self._depth -= 1
        self._drop_written()

    def sync(self) -> None:
        """Write what is new to the journal, in the transaction that is open.

        Raises:
            psycopg.Error: the server failed.
        """
        if self._written < self.size:
            self._spool.seek(self._written - self._spool_start)
            while lines := self._spool.read(_CHUNK_BYTES):
                self._conn.execute(_WRITE, [*self._key, self._written, lines])
                self._written += len(lines)
        self._drop_written()

    def _drop_written(self) -> None:
        if not self._depth and self._written == self.size > self._spool_start:
            self._spool.seek(0)
            self._spool.truncate()
            self._spool_start = self.size


def fetch_rejects(conn: psycopg.Connection, oid: int, start: int, into: RejectFile) -> None:
    """Move a shard's rejects from the journal to its reject file, which keeps what precedes them.

    Args:
        conn: a connection that commits each statement.
        oid: the table.
        start: the shard's key.
        into: the file; it is closed.

    Raises:
        LoadError: the file cannot be written, or lacks what precedes them.
    """
    place: int | None = None
    with into, conn.cursor(binary=True) as cursor:
        while row := cursor.execute(_READ, [oid, start, place or 0]).fetchone():
            if place is None:
                into.truncate_to(row[0])
            into.append_lines(row[1])
            place = row[0] + len(row[1])
    if place is not None:
        conn.execute(_DELETE, [oid, start])


def fetch_table_rejects(
    conn: psycopg.Connection, oid: int, folder: Path, part: str, *, schema: str, table: str
) -> None:
    """Move the rejects of all shards of a table, whose reject files are ``part`` and their keys.

    Raises:
        LoadError: a file cannot be written, or lacks what precedes them.
    """
    for (start,) in conn.execute(_STARTS, [oid]).fetchall():
        fetch_rejects(conn, oid, start, RejectFile(folder, schema, table, f"{part}{start}"))
