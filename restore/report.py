"""What a restore did, per table, for people and for programs."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
_MEBIBYTE = 1 << 20


class TableReport(msgspec.Struct, kw_only=True):
    """One table's counts. ``read = loaded + duplicates + rejected``, always.

    ``cut_off``: the file ends before its end, so records may be missing that nobody can count.
    """

    table: str
    read: int = 0
    loaded: int = 0
    duplicates: int = 0
    rejected: int = 0
    wall_s: float = 0.0
    cut_off: bool = False
    error: str | None = None
    warnings: list[str] = []
    unknown_fields: dict[str, int] = {}

    def forget(self) -> None:
        """Count anew: the table is loaded once more from its beginning."""
        self.read = self.loaded = self.duplicates = self.rejected = 0
        self.cut_off = False
        self.unknown_fields.clear()
        self.warnings.clear()


class Report(msgspec.Struct, kw_only=True):
    """A whole restore. Its JSON form is the engine report of docs/formats.md."""

    schema: int = 1
    engine: str = "restore"
    backup: str
    wall_s: float = 0.0
    peak_bytes: int | None = None
    tables: list[TableReport] = []
    left_out: list[str] = []
    rejects: str | None = None
    error: str | None = None

    @property
    def lost(self) -> int:
        """Records that are not in the database: rejected ones and duplicates."""
        return sum(table.rejected + table.duplicates for table in self.tables)

    @property
    def complete(self) -> bool:
        """Tell whether every record of the backup is in the database."""
        return not (self.error or self.lost or any(table.cut_off for table in self.tables))


def peak_bytes() -> int | None:
    """Return this process's peak resident memory; None where there is no ``/proc``.

    Source: VmHWM in ``/proc/self/status``, proc(5).
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    match = _PEAK.search(status)
    return int(match[1]) * 1024 if match else None


def render(report: Report) -> str:
    """Lay a report out for a person to read."""
    header = ("table", "read", "loaded", "duplicates", "rejected", "success", "time", "rows/s")
    rows = [header, *(_row(table) for table in report.tables)]
    if len(report.tables) > 1:
        rows.append(_row(_total(report)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, *_notes(report)])


def _total(report: Report) -> TableReport:
    tables = report.tables
    return TableReport(
        table="all",
        read=sum(table.read for table in tables),
        loaded=sum(table.loaded for table in tables),
        duplicates=sum(table.duplicates for table in tables),
        rejected=sum(table.rejected for table in tables),
        wall_s=report.wall_s,
    )


def _row(table: TableReport) -> tuple[str, ...]:
    rate = f"{table.loaded / table.wall_s:,.0f}" if table.wall_s > 0 else "-"
    return (
        table.table,
        f"{table.read:,}",
        f"{table.loaded:,}",
        f"{table.duplicates:,}",
        f"{table.rejected:,}",
        _percent(table.loaded, table.read),
        f"{table.wall_s:.2f} s",
        rate,
    )


def _percent(part: int, whole: int) -> str:
    """Give a share that reads 100% only where nothing is missing."""
    if part == whole:
        return "100%"
    return f"{min(part / whole * 100, 99.99):.2f}%"


def _notes(report: Report) -> list[str]:
    notes = [f"left out: {line}" for line in report.left_out]
    for table in report.tables:
        notes += [f"{table.table}: {warning}" for warning in table.warnings]
        notes += [
            f"{table.table}: no column for field {field!r}, ignored in {count:,} records"
            for field, count in table.unknown_fields.items()
        ]
    if report.peak_bytes is not None:
        notes.append(f"peak memory: {report.peak_bytes / _MEBIBYTE:.0f} MiB")
    if report.rejects is not None:
        notes.append(
            f"{report.lost:,} records were not restored; each is kept, with the reason,"
            f" in {report.rejects}"
        )
    return notes
