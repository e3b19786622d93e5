"""Loads records one by one, and rejects those that are refused."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from restore.report.reasons import Reason
from restore.source.json_values import values_of
from restore.source.recovery import DECODE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from restore.load.destination import Sent
    from restore.load.record_errors import RecordErrors
    from restore.load.row_insert import RowInserter, RowLevel
    from restore.load.tracking import Tracking
    from restore.source.reader import RawRecord
    from restore.source.records import Fields


class RecordLoader:
    """Loads records on the last two rungs of the ladder.

    Args:
        single: inserts a record.
        errors: stop the restore for errors that are not of its records.
        tracking: tracks the records.
    """

    def __init__(self, single: RowInserter, errors: RecordErrors, tracking: Tracking) -> None:
        self._single = single
        self._errors = errors
        self._tracking = tracking

    def load(self, record: RawRecord) -> None:
        """Load a record; afterwards it is counted as loaded or kept as a reject.

        Raises:
            LoadError: the error is not of the record, or there are too many rejects.
        """
        try:
            fields = values_of(record.raw)
        except DECODE_ERRORS as error:
            self.reject(record, Reason(level="read", message=str(error)))
            return
        self.load_fields(record, fields)

    def load_fields(self, record: RawRecord, fields: Fields) -> None:
        """Load a record of which the fields are known; as ``load`` does."""
        tracking = self._tracking
        tracking.unknown.check(fields)

        @contextlib.contextmanager
        def step(rung: RowLevel) -> Iterator[Callable[[Sent], None]]:
            def count(sent: Sent) -> None:
                tracking.report.count_loaded(rung, sent.loaded)
                tracking.report.count_skipped(sent.skipped)
                tracking.report.replaced += sent.replaced
                tracking.unknown.count(fields)

            with tracking.log.step(record.offset + len(record.raw)):
                yield count

        refused = self._single.insert(fields, step)
        if refused is not None:
            if refused.error is not None:
                self._errors.check_record(refused.error, refused.values, record, refused.reason)
            self.reject(record, refused.reason)

    def reject(self, record: RawRecord, reason: Reason) -> None:
        """Keep a record as a reject.

        Raises:
            LoadError: there are too many, or the file cannot be written.
        """
        self._tracking.reject(record, reason)
        self._tracking.limits.after_reject(reason.line)
