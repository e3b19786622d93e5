"""What tracks the records of one table on their way: counts, rejects, limits, the journal."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.journal.checkpoints import Log
    from restore.load.unknown_fields import UnknownFieldPolicy
    from restore.rejects.limits import RejectLimits
    from restore.rejects.writer import RejectFile
    from restore.report.model import TableReport
    from restore.report.reasons import Reason
    from restore.source.reader import RawRecord


@dataclass(frozen=True, slots=True)
class Tracking:
    """Tracks the records of one table.

    Args:
        report: takes the counts.
        rejects: takes the records that are refused.
        limits: say when there are too many of these.
        unknown: what becomes of fields without a column.
        log: gives the transactions in which rows go in.
    """

    report: TableReport
    rejects: RejectFile
    limits: RejectLimits
    unknown: UnknownFieldPolicy
    log: Log

    def reject(self, record: RawRecord, reason: Reason) -> None:
        """Keep a record as a reject, and count it.

        Raises:
            LoadError: the file cannot be written.
        """
        self.rejects.add(record, reason)
        self.report.count_reject(reason, record.ordinal, record.offset)

    @contextlib.contextmanager
    def step(self, after: int) -> Iterator[None]:
        """Give a transaction for rows and rejects; with it, all before a place are decided.

        If it fails, counts and rejects are again what they were.
        """
        with (
            self.report.rollback_on_error(),
            self.rejects.rollback_on_error(),
            self.log.step(after),
        ):
            yield
