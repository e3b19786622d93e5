"""A report, laid out for a person to read."""

from __future__ import annotations

from restore.report import Report, TableReport

_MEBIBYTE = 1 << 20


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
        schema="",
        file="",
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
