"""Finds which of many rows the server refuses, and why, in a transaction that is rolled back."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import psycopg

from restore.single import reason_of
from restore.transient import is_data_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from restore.destination import Direct
    from restore.rejects import Reason
    from restore.single import Attempt

# So many INSERTs are sent before their answers are waited for. Those behind one that fails are sent
# once more.
_MOST_SENT = 32
_BEGIN, _KEEP = b"SAVEPOINT restore_row", b"RELEASE SAVEPOINT restore_row"
_UNDO = b"ROLLBACK TO SAVEPOINT restore_row; RELEASE SAVEPOINT restore_row"


class UndecidedError(Exception):
    """An error may not be of the row that failed with it, which has to be loaded by itself."""


class Refusals:
    """Tries rows of one table, each in a savepoint, without waiting for each one's answer.

    Args:
        conn: the connection that loads.
        destination: how its rows go in.
    """

    def __init__(self, conn: psycopg.Connection, destination: Direct) -> None:
        self._conn = conn
        self._destination = destination

    def find(self, attempts: Iterable[tuple[int, Attempt]]) -> dict[int, Reason]:
        """Return, by the numbers of their rows, why rows are refused; the others are taken.

        Args:
            attempts: the rows' numbers and values, in their order.

        Raises:
            UndecidedError: an error may not be of a row.
            psycopg.Error: the connection is lost.
        """
        refused: dict[int, Reason] = {}
        left, most = deque(attempts), 1
        with self._conn.transaction(force_rollback=True):
            while left:
                sent = [left[n] for n in range(min(most, len(left)))]
                taken, error = self._insert([attempt for _, attempt in sent])
                for _ in range(taken):
                    left.popleft()
                most = min(2 * max(1, taken), _MOST_SENT)
                if error is not None:
                    number, attempt = left.popleft()
                    refused[number] = reason_of(error, attempt.level)
        return refused

    def _insert(self, attempts: Sequence[Attempt]) -> tuple[int, psycopg.Error | None]:
        """Insert rows until one is refused; return how many were taken, and why that was not."""
        cursors: list[psycopg.Cursor] = []
        try:
            with self._conn.pipeline():
                for values, _ in attempts:
                    self._conn.execute(_BEGIN)
                    statement = self._destination.insert_of(values)
                    cursors.append(self._conn.execute(statement, [v.value for v in values]))
                    self._conn.execute(_KEEP)
        except psycopg.Error as error:
            if not is_data_error(error):
                raise UndecidedError from error
            taken = sum(cursor.rowcount == 1 for cursor in cursors)
            self._conn.execute(_UNDO)
            error.__traceback__ = None
            return taken, error
        if any(cursor.rowcount != 1 for cursor in cursors):
            raise UndecidedError
        return len(attempts), None
