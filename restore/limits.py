"""When a restore with too many rejects stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restore.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from restore.options import Options
    from restore.report import TableReport

# A share of fewer records than these says little.
_ENOUGH_RECORDS = 1_000


class Limits:
    """Counts the rejects of all tables and says when they are too many.

    Args:
        options: ``on_error`` and ``max_rejects``.
        reports: gives the tables' counts as they are now.
    """

    def __init__(self, options: Options, reports: Callable[[], Iterable[TableReport]]) -> None:
        self._stop_at_first = options.on_error == "stop"
        self._most = options.max_rejects
        self._reports = reports

    def after_reject(self, message: str) -> None:
        """Take note of a reject that is counted already.

        Raises:
            LoadError: it is one too many.
        """
        if self._stop_at_first:
            raise LoadError(f"--on-error stop, and a record could not be restored: {message}")
        most = self._most
        if most is not None and most.count is not None and self._rejects() > most.count:
            raise LoadError(f"more than --max-rejects {most} records could not be restored")

    def after_batch(self, *, final: bool = False) -> None:
        """See that the share of rejects is not too large.

        Args:
            final: all records are read, however few they are.

        Raises:
            LoadError: it is.
        """
        most = self._most
        if most is None or most.percent is None:
            return
        read, rejects = sum(report.read for report in self._reports()), self._rejects()
        if (read >= _ENOUGH_RECORDS or final) and rejects * 100 > read * most.percent:
            raise LoadError(
                f"{rejects:,} of {read:,} records could not be restored, more than --max-rejects"
                f" {most}"
            )

    def _rejects(self) -> int:
        return sum(r.rejected + r.duplicates - r.skipped for r in self._reports())
