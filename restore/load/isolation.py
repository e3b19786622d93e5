"""Loads stretches of rows of which many are refused, each stretch in one transaction.

To isolate each row by COPYs takes several transactions, each with its note in the journal and a
flush of the reject file. Where rows that are refused stand close together, it is cheaper to find
them one by one, in a transaction that is rolled back, and then to load all others by one COPY.
"""

from __future__ import annotations

import contextlib
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

import psycopg

from restore.load.row_insert import Refused, reason_of
from restore.load.sender import RefusedError
from restore.source.json_values import values_of
from restore.target.sqlstate import is_data_error, is_of_client, retry_transient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from restore.decode.segments import Segment
    from restore.load.destination import CopyDestination, Sent
    from restore.load.row_insert import Attempt, RowInserter
    from restore.load.sender import Sender, Tracking
    from restore.report.reasons import Reason
    from restore.source.records import Records


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
                for values, *_ in attempts:
                    statement = self._destination.insert_of(values)
                    parameters = [value.value for value in values]
                    # Of what is prepared behind an error, psycopg believes that it is.
                    cursors.append(self._conn.execute(statement, parameters, prepare=False))
                    self._conn.execute(_KEEP, prepare=False)
            finally:  # what follows an error that is known by then is not sent
                with contextlib.suppress(psycopg.errors.PipelineAborted):
                    pipeline.sync()
        except psycopg.Error as refusal:
            if not (is_data_error(refusal) or is_of_client(refusal)):
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


# If fewer than one row in so many is refused, COPYs isolate it sooner: to try a row costs about an
# eighth of what it costs to isolate one by COPYs.
SPARSE = 8
FIRST_STRETCH = 64
_LONGEST_STRETCH, _GROWTH = 1024, 4


class Isolation:
    """Loads rows that stand close to others that are refused.

    Args:
        conn: the connection that loads.
        refusals: finds which rows are refused; None: that cannot be done for many at a time.
        single: reads a record's values.
        sender: sends rows by COPY.
        tracking: tracks the records.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        refusals: Refusals | None,
        *,
        single: RowInserter,
        sender: Sender,
        tracking: Tracking,
    ) -> None:
        self._conn = conn
        self._refusals = refusals
        self._single = single
        self._sender = sender
        self._tracking = tracking

    def load(
        self, batch: Records, segment: Segment, at: int, start_of: Callable[[int], int]
    ) -> int:
        """Load rows of a segment from one place on, as long as many of them are refused.

        Args:
            batch: the batch.
            segment: a segment of it.
            at: the place of the first row.
            start_of: returns where in the file a row begins, or, behind the last, where that ends.

        Returns:
            The place of the first row that is not decided.
        """
        size = FIRST_STRETCH
        while self._refusals is not None and at < len(segment.rows):
            places = range(at, min(at + size, len(segment.rows)))
            try:
                refused = self._find_refused(batch, segment, places)
                after = start_of(places.stop)
                self._load(batch, segment, places, refused, after)
            except (UndecidedError, RefusedError, psycopg.Error):
                break  # what it is shows when each row is loaded by itself
            at, size = places.stop, min(size * _GROWTH, _LONGEST_STRETCH)
            if len(refused) * SPARSE < len(places):
                break
        return at

    def load_but(
        self, batch: Records, segment: Segment, places: range, refused: Iterable[int], after: int
    ) -> bool:
        """Load the rows of a stretch but for those that are known to be refused; reject these.

        Args:
            batch: the batch.
            segment: a segment of it.
            places: the places of the rows.
            refused: the places of those that are refused.
            after: where in the file the next row begins.

        Returns:
            Whether that could be done; else nothing is.
        """
        try:
            self._load(batch, segment, places, self._reasons(batch, segment, refused), after)
        except (UndecidedError, RefusedError, psycopg.Error):
            return False
        return True

    def _reasons(
        self, batch: Records, segment: Segment, refused: Iterable[int]
    ) -> dict[int, Reason]:
        """Return why rows are refused, by their places.

        Raises:
            UndecidedError: one is not, or the error may not be of a row.
            psycopg.Error: the connection is lost.
        """
        found: dict[int, Reason] = {}
        with self._conn.transaction(force_rollback=True):
            for row in refused:
                fields = values_of(batch.record(segment.start + row).raw)
                outcome = self._single.insert(fields, self._savepoint)
                if outcome is None or not (outcome.error and is_data_error(outcome.error)):
                    raise UndecidedError
                found[row] = outcome.reason
        return found

    @contextlib.contextmanager
    def _savepoint(self, *_: object) -> Iterator[Callable[[Sent], None]]:
        with self._conn.transaction():
            yield lambda _: None

    def _find_refused(self, batch: Records, segment: Segment, places: range) -> dict[int, Reason]:
        """Return why rows are refused, by their places."""
        if self._refusals is None:
            raise UndecidedError
        refused: dict[int, Reason] = {}
        attempts: list[tuple[int, Attempt]] = []
        for row in places:
            read = self._single.read(values_of(batch.record(segment.start + row).raw))
            if isinstance(read, Refused):
                refused[row] = read.reason
            else:
                attempts.append((row, read))
        return dict(sorted((refused | self._refusals.find(attempts)).items()))

    def _load(
        self,
        batch: Records,
        segment: Segment,
        places: range,
        refused: dict[int, Reason],
        after: int,
    ) -> None:
        """Load the rows of a stretch that are not refused, and reject the others.

        Raises:
            RefusedError, psycopg.Error: that could not be done; then none of it is.
        """
        rows: Any = segment.rows[places.start : places.start]
        start = places.start
        for row in (*refused, places.stop):
            rows.extend(segment.rows[start:row])
            start = row + 1

        def load() -> None:
            with self._tracking.step(after):
                if len(rows):
                    self._sender.send_rows(segment, rows, "split")
                for row, reason in refused.items():
                    self._tracking.reject(batch.record(segment.start + row), reason)

        retry_transient(load)
