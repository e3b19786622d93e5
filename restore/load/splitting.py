"""Splits COPYs that fail, until the rows are isolated that the server refuses."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from restore.load.isolation import FIRST_STRETCH, SPARSE

if TYPE_CHECKING:
    from restore.decode.segments import Segment
    from restore.load.copy import CopyFailure
    from restore.load.isolation import Isolation
    from restore.load.missing_ids import LateCounter
    from restore.load.record_errors import RecordErrors
    from restore.load.row_insert import RecordLoader
    from restore.load.sender import Sender
    from restore.report.reasons import Level
    from restore.source.records import Records

# After a row that fails, the next COPY takes so many times the rows that went well before it: then
# what is sent in vain stays in proportion to what is not.
_GROWTH = 4


class Splitter:
    """Loads the segments of one table's batches.

    Args:
        sender: sends rows by COPY.
        errors: stop the restore for errors that are not of its records.
        one_by_one: loads the records whose rows are refused.
        isolation: loads stretches of which many rows are refused; None: none does.
        late: counts the records that are left for later.
        of_itself: rows may refer to others of the same COPY.
    """

    def __init__(
        self,
        sender: Sender,
        *,
        errors: RecordErrors,
        one_by_one: RecordLoader,
        isolation: Isolation | None,
        late: LateCounter,
        of_itself: bool,
    ) -> None:
        self._sender = sender
        self._errors = errors
        self._one_by_one = one_by_one
        self._isolation = isolation
        self._late = late
        self._of_itself = of_itself

    def load(self, batch: Records, segment: Segment, level: Level, size: int) -> None:
        """Load a segment by COPY, isolating the rows that are refused.

        Args:
            batch: the batch.
            segment: a segment of it, with a codec.
            level: the level, as long as nothing is refused.
            size: how many rows are sent at once.

        Raises:
            LoadError: the error is not of a record, or there are too many rejects.
        """
        rows, isolation = segment.rows, self._isolation
        at, step = 0, size
        while at < len(rows):
            part = rows[at : at + step]
            refused = self._sender.send(
                [(segment, part)], level, self._start(batch, segment, at + len(part))
            )
            if refused is None:
                at, step = at + len(part), min(step * _GROWTH, size)
                continue
            level = "split"
            if refused.error is not None and segment.codec is not None:
                columns, offset = segment.codec.columns, self._start(batch, segment, at)
                self._errors.check_rows(refused.error, columns, offset)
            if (decided := self._load_others(batch, segment, at, len(part), refused)) > at:
                at = decided
                continue
            # A constraint that is checked at a statement's end names no row.
            short = len(part) <= FIRST_STRETCH and not self._of_itself
            close = short if refused.row is None else refused.row < SPARSE
            if isolation is not None and close:
                start_of = partial(self._start, batch, segment)
                isolated = isolation.load(batch, segment, at, start_of)
                if isolated > at:
                    at, step = isolated, _GROWTH
                    continue
                isolation = None  # it does not do for what these rows are refused for
            if len(part) == 1:
                self._load_one(batch, segment.start + at)
                at, step = at + 1, _GROWTH
            elif refused.row is None or refused.row >= len(part):
                step = len(part) // 2
            elif self._load_before(batch, segment, at, at + refused.row):
                self._load_one(batch, segment.start + at + refused.row)
                at, step = at + refused.row + 1, min(max(refused.row, 1) * _GROWTH, size)
            else:
                step = max(1, refused.row // 2)

    def _load_others(
        self, batch: Records, segment: Segment, at: int, sent: int, refused: CopyFailure
    ) -> int:
        """Load the rows but those that are known to be refused; return how far that went."""
        if self._isolation is None or not refused.rows:
            return at
        places, known = range(at, at + sent), [at + row for row in refused.rows]
        after = self._start(batch, segment, places.stop)
        done = self._isolation.load_but(batch, segment, places, known, after)
        return places.stop if done else at

    def _load_before(self, batch: Records, segment: Segment, start: int, end: int) -> bool:
        """Load the rows before the one that was refused; say whether they went in."""
        sends = [(segment, segment.rows[start:end])]
        after = self._start(batch, segment, end)
        return start == end or self._sender.send(sends, "split", after) is None

    def _start(self, batch: Records, segment: Segment, row: int) -> int:
        """Return where in the file a segment's row begins; behind the last one, where that ends."""
        index = segment.start + row
        self._late.at(batch, index)
        return batch.record(index).offset if index < batch.count else batch.end

    def _load_one(self, batch: Records, index: int) -> None:
        """Load a record by itself, on the last two levels."""
        self._late.at(batch, index)
        self._one_by_one.load(batch.record(index))
