"""Sends typed rows by COPY: one COPY and one transaction for each batch."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg
from msgspec import Struct
from psycopg import sql

from restore.target.sqlstate import is_transient

if TYPE_CHECKING:
    from restore.decode.codec import Codec
    from restore.decode.rows import PackedRows

# What stands before and after the rows of a binary COPY: "File Format" in PostgreSQL's COPY.
_BINARY_HEAD = b"PGCOPY\n\xff\r\n\0".ljust(19, b"\0")
_BINARY_END = b"\xff\xff"
# Smaller parts are joined before they are sent. Larger pieces than 128 KiB psycopg cuts up, which
# copies them.
_PIECE_BYTES = 1 << 16
_LARGEST_PIECE_BYTES = 1 << 17


SUPPRESSED = "a trigger of the table kept rows out"


class CopyFailure(Struct, frozen=True):
    """Why a COPY failed, and on which of its rows where that is known.

    ``row`` is the first of them; ``rows`` are all, if all are known.
    """

    error: psycopg.Error | None
    message: str
    row: int | None
    rows: tuple[int, ...] = ()


def copy_statement(into: sql.Composable, codec: Codec, *, frozen: bool = False) -> sql.Composed:
    """Return the COPY into a table that takes rows of this codec.

    ``frozen``: the table was emptied in the same transaction.
    """
    return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT {}{})").format(
        into,
        sql.SQL(", ").join(map(sql.Identifier, codec.columns)),
        sql.SQL("BINARY" if codec.binary else "TEXT"),
        sql.SQL(", FREEZE" if frozen else ""),
    )


class Writer:
    """Writes rows of one codec into a COPY, a piece at a time.

    Args:
        copy: the COPY, which was just begun.
        codec: that of the rows.
    """

    def __init__(self, copy: psycopg.Copy, codec: Codec) -> None:
        self._copy = copy
        self._codec = codec
        self._piece = bytearray(_BINARY_HEAD if codec.binary else b"")

    def write(self, rows: PackedRows) -> None:
        """Write rows of the codec; what is less than a piece waits for more.

        Raises:
            psycopg.Error: the COPY failed.
        """
        for part in rows.pieces(_LARGEST_PIECE_BYTES):
            if len(self._piece) + len(part) < _PIECE_BYTES:
                self._piece += part
                continue
            if self._piece:
                self._copy.write(self._piece)
                self._piece = bytearray()
            self._copy.write(part)

    def end(self) -> None:
        """Write what is left; the COPY may end then."""
        self._copy.write(self._piece + _BINARY_END if self._codec.binary else self._piece)


def copy_rows(
    conn: psycopg.Connection,
    statement: bytes | sql.Composed,
    codec: Codec,
    rows: PackedRows,
    *,
    relation: str,
) -> int | CopyFailure:
    """Send rows as one COPY; the table takes all of them, or the COPY counts as failed.

    Args:
        conn: a connection to the target.
        statement: the COPY.
        codec: that of the rows.
        rows: what is sent.
        relation: the name of the table that takes them, by which the server names a row.

    Returns:
        How many rows the server says it took, else what went wrong. If it took fewer than were
        sent, its transaction has to be undone.

    Raises:
        psycopg.Error: what went wrong may be right a moment later.
    """
    try:
        with conn.cursor() as cursor:
            with cursor.copy(statement) as copy:
                writer = Writer(copy, codec)
                writer.write(rows)
                writer.end()
            taken = cursor.rowcount
    except psycopg.Error as error:
        if is_transient(error):
            raise
        # Its traceback would keep the batch alive, in a cycle that is looked for seldom.
        error.__traceback__ = None
        message = error.diag.message_primary or str(error)
        return CopyFailure(error, message, _row_at_fault(error, relation))
    if taken != len(rows):
        return CopyFailure(None, SUPPRESSED, None)
    return taken


def _row_at_fault(error: psycopg.Error, relation: str) -> int | None:
    """Return the row that PostgreSQL names in the error's context, whichever type it failed on.

    The word for "line" is in the server's language. What follows it may be a value of the backup.
    """
    pattern = rf"^COPY {re.escape(relation)}, \w+ (\d+)"
    match = re.search(pattern, error.diag.context or "", re.MULTILINE)
    return int(match[1]) - 1 if match else None
