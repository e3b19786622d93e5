"""Loads stretches of rows of which many are refused, each stretch in one transaction.

To isolate each row by COPYs takes several transactions, each with its note in the journal and a
flush of the reject file. Where rows that are refused stand close together, it is cheaper to find
them one by one, in a transaction that is rolled back, and then to load all others by one COPY.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from restore.refusals import UndecidedError
from restore.sending import RefusedError
from restore.single import Refused, fields_of
from restore.transient import retrying

if TYPE_CHECKING:
    from collections.abc import Callable

    from restore.batch import Records
    from restore.reason import Reason
    from restore.refusals import Refusals
    from restore.segments import Segment
    from restore.sending import Sender
    from restore.single import Attempt, Single
    from restore.tracking import Tracking

# If fewer than one row in so many is refused, COPYs isolate it sooner: to try a row costs about an
# eighth of what it costs to isolate one by COPYs.
SPARSE = 8
FIRST_STRETCH = 64
_LONGEST_STRETCH, _GROWTH = 1024, 4


class Isolation:
    """Loads rows that stand close to others that are refused.

    Args:
        refusals: finds which rows are refused.
        single: reads a record's values.
        sender: sends rows by COPY.
        tracking: tracks the records.
    """

    def __init__(
        self,
        refusals: Refusals,
        *,
        single: Single,
        sender: Sender,
        tracking: Tracking,
    ) -> None:
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
        while at < len(segment.rows):
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

    def _find_refused(self, batch: Records, segment: Segment, places: range) -> dict[int, Reason]:
        """Return why rows are refused, by their places."""
        refused: dict[int, Reason] = {}
        attempts: list[tuple[int, Attempt]] = []
        for row in places:
            read = self._single.read(fields_of(batch.record(segment.start + row).raw))
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

        retrying(load)
