"""Loads stretches of rows of which many are refused, each stretch in one transaction.

To isolate each row by COPYs takes several transactions, each with its note in the journal and a
flush of the reject file. Where rows that are refused stand close together, it is cheaper to find
them one by one, in a transaction that is rolled back, and then to load all others by one COPY.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psycopg

from restore.load.refusals import UndecidedError
from restore.load.row_insert import Refused
from restore.load.sender import RefusedError
from restore.source.json_values import values_of
from restore.target.sqlstate import is_data_error, retry_transient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from restore.decode.segments import Segment
    from restore.load.destination import Sent
    from restore.load.refusals import Refusals
    from restore.load.row_insert import Attempt, RowInserter, RowLevel
    from restore.load.sender import Sender
    from restore.load.tracking import Tracking
    from restore.report.reasons import Reason
    from restore.source.records import Records

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
    def _savepoint(self, _: RowLevel) -> Iterator[Callable[[Sent], None]]:
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
