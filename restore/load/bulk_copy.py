"""Loads many batches by one COPY, so that the client does not wait for the server between them.

A COPY that is refused brings no rows in: its batches are loaded again one by one. Records that no
COPY takes are deferred: they are loaded in the same transaction when the COPY ends, if the order of
rows decides nothing; else the first of them ends the bulk copy.

If the COPY takes the whole file, it may run in the transaction that empties the table. Its rows are
frozen then (``COPY ... FREEZE``), so that no later transaction has to mark them, and a server with
``wal_level=minimal`` writes no log for them: they are on disk when the transaction ends. See
PostgreSQL's manual, COPY, and "Populating a Database".
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psycopg
from msgspec import Struct
from psycopg import sql

from restore.load.copy import Writer, copy_statement
from restore.source.records import Damage
from restore.target.relations import with_partitions
from restore.target.user_code import read_triggers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from restore.decode.codec import Codec
    from restore.decode.rows import PackedRows
    from restore.load.ladder import Ladder
    from restore.options import Options
    from restore.source.records import RawRecord
    from restore.target.catalog import Table

# Emptying a table with a trigger on TRUNCATE, or one that others refer to, is not ours to do.
_MAY_BE_FROZEN = """
    SELECT c.oid FROM pg_class c
    WHERE c.oid = ANY(%s) AND current_setting('wal_level') = 'minimal'
      AND c.relkind = 'r' AND c.relpersistence = 'p' AND has_table_privilege(c.oid, 'TRUNCATE')
      AND NOT EXISTS (SELECT FROM pg_constraint k
                      WHERE k.contype = 'f' AND k.confrelid = c.oid AND k.conrelid <> c.oid)
      AND NOT EXISTS (SELECT FROM pg_trigger t
                      WHERE t.tgrelid = c.oid AND t.tgtype & 32 <> 0 AND t.tgenabled <> 'D')
"""
# Rows on another server have no number of a transaction of ours: none of them may be removed.
_TELLS_ROWS_APART = """
    SELECT EXISTS (
        SELECT FROM pg_index WHERE indrelid = ANY(%(oids)s) AND (indisunique OR indisexclusion)
        UNION ALL SELECT FROM pg_class WHERE oid = ANY(%(oids)s) AND relkind = 'f')
"""

# So many records are held in memory.
_MOST_DEFERRED, _MOST_DEFERRED_BYTES = 1_000, 1 << 20

# character_not_in_repertoire of text, untranslatable_character of jsonb.
_NUL_SQLSTATES = frozenset({"22021", "22P05"})


class BulkCopyRefusedError(Exception):
    """The server refused rows, or the table is in use: the bulk copy loaded nothing."""

    @property
    def has_nul(self) -> bool:
        """Tell whether a text held the character NUL."""
        return (
            isinstance(self.__cause__, psycopg.Error) and self.__cause__.sqlstate in _NUL_SQLSTATES
        )


class BulkMode(Struct, frozen=True):
    """How a shard may be loaded by one COPY.

    Args:
        freeze: it is all of its file, and its table is emptied in the same transaction.
        any_order: the order of its rows decides nothing: records may be deferred.
        in_order: its rows are numbered in their order: the first odd record ends the COPY.
    """

    freeze: bool = False
    any_order: bool = False
    in_order: bool = False

    @property
    def is_bulk(self) -> bool:
        """Tell whether one COPY may take the shard."""
        return self.freeze or self.any_order or self.in_order


class DeferredRecords:
    """Records that no COPY takes, loaded in its transaction when it ends.

    Args:
        copy: the COPY; it ends, and the next one begins, if there are many of them.
        ladder: loads them.
    """

    def __init__(self, copy: BulkCopy, ladder: Ladder) -> None:
        self._copy = copy
        self._ladder = ladder
        self._records: list[RawRecord | Damage] = []
        self._size = 0

    def add(self, records: Sequence[RawRecord | Damage]) -> bool:
        """Defer records of one batch; return False if they are too large to be held."""
        size = sum(
            len(each.record.raw if isinstance(each, Damage) else each.raw) for each in records
        )
        if size > _MOST_DEFERRED_BYTES:
            return False
        if len(self._records) >= _MOST_DEFERRED or self._size + size > _MOST_DEFERRED_BYTES:
            self.load()
        self._records += records
        self._size += size
        return True

    def load(self) -> None:
        """End the COPY and load the records.

        Raises:
            BulkCopyRefusedError: a row that was sent before was refused.
        """
        self._copy.end()
        self._ladder.load_deferred(self._records)
        self._records, self._size = [], 0


def tables_to_freeze(conn: psycopg.Connection, oids: Iterable[int]) -> set[int]:
    """Return the tables that may be emptied and frozen, if the server then writes no log."""
    return {oid for (oid,) in conn.execute(_MAY_BE_FROZEN, [list(oids)]).fetchall()}


def may_load_in_any_order(conn: psycopg.Connection, oid: int, options: Options) -> bool:
    """Tell whether the order in which a table's rows are loaded decides nothing."""
    # To stop at the first reject, it has to be known which one is the first.
    if options.append or options.on_error == "stop":
        return False
    oids = with_partitions(conn, [oid])
    if conn.execute(_TELLS_ROWS_APART, {"oids": oids}).fetchone() == (True,):
        return False
    return not (options.triggers and read_triggers(conn, oids))


class BulkCopy:
    """The COPY under way; one follows another where rows are of another form.

    Args:
        conn: the connection, within a transaction.
        table: the table.
        frozen: it was emptied in this transaction.
    """

    def __init__(self, conn: psycopg.Connection, table: Table, *, frozen: bool) -> None:
        self._frozen = frozen
        self._table = table
        self._open = contextlib.ExitStack()
        self._form: object = None
        self._writer: Writer | None = None
        self._cursor = conn.cursor()
        self._sent = 0

    def send(self, codec: Codec, rows: PackedRows) -> None:
        """Send a batch's rows.

        Raises:
            BulkCopyRefusedError: a row was refused; the transaction is lost.
        """
        form = (codec.columns, codec.oids, codec.binary)
        if not codec.columns:  # COPY takes no empty list
            raise BulkCopyRefusedError
        with _errors_as_refusals():
            if self._writer is None or self._form != form:
                self.end()
                self._form, self._sent = form, 0
                statement = copy_statement(self._table.identifier, codec, frozen=self._frozen)
                copy = self._open.enter_context(self._cursor.copy(statement))
                self._writer = Writer(copy, codec)
            self._writer.write(rows)
            self._sent += len(rows)

    def end(self) -> None:
        """End the COPY, if one is under way, and check that the table took all of its rows.

        Raises:
            BulkCopyRefusedError: a row was refused, or a trigger kept it out; the transaction is
                lost.
        """
        if self._writer is None:
            return
        with _errors_as_refusals():
            self._writer.end()
            self._writer = None
            self._open.close()
        if self._cursor.rowcount != self._sent:
            raise BulkCopyRefusedError

    def give_up(self, error: BaseException) -> None:
        """End the COPY without its rows."""
        with contextlib.suppress(psycopg.Error):
            self._open.__exit__(type(error), error, error.__traceback__)


@contextlib.contextmanager
def _errors_as_refusals() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise BulkCopyRefusedError from error


@contextlib.contextmanager
def bulk_copy(conn: psycopg.Connection, table: Table, *, freeze: bool) -> Iterator[BulkCopy]:
    """Open a bulk copy in a transaction of its own; it ends, and commits, with the context.

    Args:
        conn: a connection that commits each statement.
        table: the table.
        freeze: empty it first, and freeze its rows; it was found empty, or was emptied, before.

    Raises:
        BulkCopyRefusedError: rows were refused; or another session uses the table that is to be
            emptied, or has inserted rows since.
    """
    with conn.transaction():
        if freeze:
            _empty(conn, table)
        copy = BulkCopy(conn, table, frozen=freeze)
        try:
            yield copy
            copy.end()
        except BaseException as error:
            copy.give_up(error)
            raise


def _empty(conn: psycopg.Connection, table: Table) -> None:
    lock = sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE NOWAIT").format(table.sql_only)
    rows = sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(table.sql_only)
    try:
        conn.execute(lock)
    except psycopg.errors.LockNotAvailable as error:
        raise BulkCopyRefusedError from error
    if conn.execute(rows).fetchone() == (True,):
        raise BulkCopyRefusedError
    conn.execute(sql.SQL("TRUNCATE {}").format(table.sql_only))
