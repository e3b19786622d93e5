"""Finds which of many rows the server refuses, and why, in a transaction that is rolled back."""

from __future__ import annotations

import contextlib
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

import psycopg

from restore.load.row_insert import reason_of
from restore.target.sqlstate import is_data_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from restore.load.destination import CopyDestination
    from restore.load.row_insert import Attempt
    from restore.report.reasons import Reason

# So many INSERTs are sent before their answers are waited for. Those behind one that fails are sent
# once more.
_MOST_SENT = 32
# What is sent unanswered has to fit the sockets' buffers: if the server refuses a row while more is
# being sent, psycopg and the server wait for each other.
_MOST_BYTES = 1 << 15
# Of the savepoints of one name, PostgreSQL goes back to the last.
_KEEP, _UNDO = b"SAVEPOINT restore_row", b"ROLLBACK TO SAVEPOINT restore_row"


class UndecidedError(Exception):
    """An error may not be of the row that failed with it, which has to be loaded by itself."""


class Refusals:
    """Tries rows of one table, each in a savepoint, without waiting for each one's answer.

    Args:
        conn: the connection that loads.
        destination: how its rows go in.
    """

    def __init__(self, conn: psycopg.Connection, destination: CopyDestination) -> None:
        self._conn = conn
        self._destination = destination

    def find(self, attempts: Iterable[tuple[int, Attempt]]) -> dict[int, Reason]:
        """Return, by the numbers of their rows, why rows are refused; the others are taken.

        Args:
            attempts: the rows' numbers and values, in their order.

        Raises:
            UndecidedError: an error may not be of a row, or a row is too large to be tried here.
            psycopg.Error: the connection is lost.
        """
        refused: dict[int, Reason] = {}
        left, most = deque(attempts), 1
        with self._conn.transaction(force_rollback=True), self._conn.pipeline() as pipeline:
            self._conn.execute(_KEEP, prepare=False)
            while left:
                taken, error = self._insert(pipeline, _first(left, most))
                for _ in range(taken):
                    left.popleft()
                most = min(max(1, 2 * taken), _MOST_SENT)
                if error is not None:
                    number, attempt = left.popleft()
                    refused[number] = reason_of(error, attempt.level)
                    self._conn.execute(_UNDO, prepare=False)
        return refused

    def _insert(
        self, pipeline: psycopg.Pipeline, attempts: Sequence[Attempt]
    ) -> tuple[int, psycopg.Error | None]:
        """Insert rows until one is refused; return how many were taken, and why that was not."""
        cursors: list[psycopg.Cursor] = []
        error = None
        try:
            try:
                for values, _, _ in attempts:
                    statement = self._destination.insert_of(values)
                    parameters = [value.value for value in values]
                    # Of what is prepared behind an error, psycopg believes that it is.
                    cursors.append(self._conn.execute(statement, parameters, prepare=False))
                    self._conn.execute(_KEEP, prepare=False)
            finally:  # what follows an error that is known by then is not sent
                with contextlib.suppress(psycopg.errors.PipelineAborted):
                    pipeline.sync()
        except psycopg.Error as refusal:
            if not is_data_error(refusal):
                raise UndecidedError from refusal
            error = refusal.with_traceback(None)
        taken = sum(cursor.rowcount == 1 for cursor in cursors)
        if error is None and taken < len(attempts):
            raise UndecidedError
        return taken, error


def _first(left: Sequence[tuple[int, Attempt]], most: int) -> list[Attempt]:
    """Return the attempts that are sent now: so many, of so many bytes, at the most."""
    sent, size = [], 0
    for _, attempt in islice(left, most):
        size += attempt.size
        if size > _MOST_BYTES:
            break
        sent.append(attempt)
    if not sent:
        raise UndecidedError
    return sent
