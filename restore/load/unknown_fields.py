"""Fields that no column takes: they stop the restore, or are left out and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restore.errors import LoadError
from restore.report.model import LONGEST_NAME
from restore.text import clip

if TYPE_CHECKING:
    from collections.abc import Iterable

    from restore.decode.codec import Codec
    from restore.decode.rows import PackedRows
    from restore.options import UnknownFields
    from restore.report.model import TableReport
    from restore.target.catalog import Table

_MOST_SHOWN = 10


class UnknownFieldPolicy:
    """What becomes of one table's unknown fields.

    Args:
        table: the target.
        meaning: whether the restore stops at one.
        report: the table's counts.
    """

    def __init__(self, table: Table, meaning: UnknownFields, report: TableReport) -> None:
        self._table = table
        self._stops = meaning == "error"
        self._report = report
        self._named = {column.name for column in table.columns}

    def check(self, names: Iterable[str]) -> None:
        """See that the restore need not stop at fields of these names.

        Raises:
            LoadError: it has to.
        """
        unknown = sorted(set(names) - self._named) if self._stops else []
        if unknown:
            shown = ", ".join(repr(clip(name, LONGEST_NAME)) for name in unknown[:_MOST_SHOWN])
            more = f" and {len(unknown) - _MOST_SHOWN:,} more" if unknown[_MOST_SHOWN:] else ""
            raise LoadError(
                f"table {self._table.name} has no column for {shown}{more}, and"
                " --unknown-fields is error: add the column, or restore with --unknown-fields warn"
            )

    def check_rows(self, codec: Codec, rows: PackedRows) -> None:
        """See the same of decoded rows.

        Raises:
            LoadError: the restore has to stop.
        """
        if self._stops:
            self.check(name for names in codec.unknown_in(rows) for name in names)

    def count(self, names: Iterable[str], records: int = 1) -> None:
        """Count unknown fields among those of a record; those with a column are generated ones."""
        self._report.count_unknown((n for n in names if n not in self._named), records)

    def count_rows(self, codec: Codec | None, rows: PackedRows) -> None:
        """Count those of decoded rows."""
        if codec is not None:
            for names in codec.unknown_in(rows):
                self.count(names)
