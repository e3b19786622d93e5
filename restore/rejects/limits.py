"""Stops a restore that has too many rejects."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from restore.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from restore.options import Options
    from restore.report.model import TableReport

# A share of fewer records than these says little.
_ENOUGH_RECORDS = 1_000
_REPAIR = "; repair the backup, or raise --max-rejects"
# So many tables' counts are added up at each check; of more tables, only at every few checks.
_TABLES_A_CHECK = 64


class RejectLimits:
    """Counts the rejects of all tables, and raises if there are too many.

    Args:
        options: ``on_error`` and ``max_rejects``.
        reports: gives the tables' counts as they are now.

    Attributes:
        lock: held while counts are added up; for those who move counts from one report to another.
    """

    def __init__(self, options: Options, reports: Callable[[], Iterable[TableReport]]) -> None:
        self._stop_at_first = options.on_error == "stop"
        self._most = options.max_rejects
        self._reports = reports
        self._checks_to_skip = 0
        self.lock = threading.Lock()

    @property
    def can_stop(self) -> bool:
        """Tell if any number of rejects stops the restore."""
        return self._stop_at_first or self._most is not None

    def after_reject(self, message: str) -> None:
        """Check the limits after a reject that is counted already.

        Raises:
            LoadError: it is one too many.
        """
        if self._stop_at_first:
            raise LoadError(f"stopped at the first reject, as --on-error stop asks: {message}")
        self._check(least=None)  # in mid-batch there are rejects that are not counted as read yet

    def after_orphans(self) -> None:
        """Stop after orphans if no record may be rejected; their number is checked at the end.

        Raises:
            LoadError: no record may be rejected.
        """
        if self._stop_at_first:
            raise LoadError("stopped: a record violates a foreign key, and --on-error is stop")

    def after_batch(self) -> None:
        """Check the limits during a load; a share only if enough records were read.

        Raises:
            LoadError: there are too many rejects.
        """
        self._check(least=_ENOUGH_RECORDS)

    def at_end(self) -> None:
        """Check the limits when every record is accounted for.

        Raises:
            LoadError: there are too many rejects.
        """
        self._check(least=0)

    def _check(self, *, least: int | None) -> None:
        """Judge the count, and the share if at least so many records are read."""
        most = self._most
        if most is None:
            return
        with self.lock:
            if least != 0 and self._checks_to_skip:
                self._checks_to_skip -= 1
                return
            reports = list(self._reports())
            self._checks_to_skip = len(reports) // _TABLES_A_CHECK
            rejects = read = 0
            for report in reports:
                rejects += report.rejected + report.duplicates - report.skipped
                read += report.read
        if most.count is not None and rejects > most.count:
            raise LoadError(
                f"{rejects:,} records could not be restored, more than --max-rejects {most}"
                f"{_REPAIR}"
            )
        if most.percent is None or least is None or read < least:
            return
        if rejects * 100 > read * most.percent:
            raise LoadError(
                f"{rejects:,} of {read:,} records could not be restored, more than --max-rejects"
                f" {most}{_REPAIR}"
            )


def without_max_rejects(options: Options) -> RejectLimits:
    """Return limits that ignore --max-rejects, for records whose counts are in between."""
    return RejectLimits(replace(options, max_rejects=None), list)
