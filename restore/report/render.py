"""Renders a report: what was loaded, what was lost and why, and what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restore.text import clip, duration, escape_controls, first_few, pluralize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from restore.report.model import ReasonCount, Report, TableReport

_MEBIBYTE = 1 << 20
_WIDTH = 100
_INDENT = "  "
TABLE_COLUMNS = ("table", "read", "loaded", "duplicates", "rejected", "success", "time", "rows/s")
# Shown of one table's reasons, the most frequent first.
_MOST_REASONS = 5
_MOST_FIELDS = 10
_MOST_NAMED, _MOST_MATCHES = 5, 50
_LONGEST_NAME = 80
_LONGEST_READ = 10_000  # each of its characters may become ten
_LONGEST_MESSAGE = 300
_LONGEST_EXAMPLE = 180
_HUNDRED_PERCENT = 10_000  # in the hundredths of a percent that are shown


def render(report: Report, *, unknown_fields: bool = True) -> str:
    """Render a report: counts, details by table, notes, next steps. Control characters are escaped.

    Args:
        report: what the restore did.
        unknown_fields: name the fields that have no column.
    """
    sections = [
        _wrapped(headline(report)),
        _counts(report),
        _section("By table (records count from 0)", _details(report, with_fields=unknown_fields)),
        _section("Notes", note_lines(report)),
        _next(report),
    ]
    return "\n\n".join("\n".join(section) for section in sections if section)


def _section(title: str, lines: Iterator[str]) -> list[str]:
    """Render a section, its lines no wider than the report."""
    body = [part for line in lines for part in _wrapped(_INDENT + line)]
    return [title, *body] if body else []


def _wrapped(line: str, deeper: str = _INDENT) -> list[str]:
    """Break a line that is too long, and indent its continuation."""
    if len(line) <= _WIDTH:
        return [line]
    import textwrap  # noqa: PLC0415 - only long reports need it

    indent = line[: len(line) - len(line.lstrip())] + deeper
    return textwrap.wrap(line, _WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def headline(report: Report) -> str:
    """Say in a sentence whether all was restored, and how much of what, where and in which time."""
    read = sum(table.read for table in report.tables)
    loaded = sum(table.loaded for table in report.tables)
    target = f" into {escape_controls(report.target)}" if report.target else ""
    if report.dry_run:
        state = "Dry run, nothing was written"
    elif report.error is not None:
        state = "STOPPED before the end"
    elif report.complete:
        state = "All restored"
    else:
        state = "NOT all restored"
    if report.nested_relations:
        fields = first_few([*map(escape_controls, report.nested_relations)], _MOST_NAMED)
        state += f", but nested relations were left out ({fields})"
    records = f"{loaded:,} of {pluralize(read, 'record')} of {escape_controls(report.backup)}"
    return f"{state}: {records}{target} in {duration(report.wall_s)}"


def _counts(report: Report) -> list[str]:
    """Render the counts as a table; a name that is too long for its column is a line of its own."""
    if not report.tables:
        return []
    rows = [TABLE_COLUMNS, *table_rows(report)]
    if len(report.tables) > 1:
        rows.append(_row("all", report.tables, report.wall_s, unsure=report.error is not None))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rest = sum(width + len(_INDENT) for width in widths[1:])
    widths[0] = min(widths[0], max(_WIDTH - rest, len(TABLE_COLUMNS[0])))
    lines = []
    for name, *cells in rows:
        if len(name) > widths[0]:
            lines.append(name)
        first = name if len(name) <= widths[0] else ""
        figures = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append(_INDENT.join([first.ljust(widths[0]), *figures]))
    return lines


def table_names(report: Report) -> list[str]:
    """Return the tables' names, with their schemas if two tables have the same name."""
    names = [table.table for table in report.tables]
    if len(set(names)) < len(names):
        names = [f"{table.schema}.{table.table}" for table in report.tables]
    return [escape_controls(name) for name in names]


def table_rows(report: Report) -> list[tuple[str, ...]]:
    """Return each table's counts as the cells of ``TABLE_COLUMNS``."""
    stopped = report.error is not None
    return [
        _row(name, [table], table.wall_s, unsure=stopped and not table.read)
        for name, table in zip(table_names(report), report.tables, strict=True)
    ]


def _row(
    name: str, tables: Sequence[TableReport], wall_s: float, *, unsure: bool
) -> tuple[str, ...]:
    read, loaded, duplicates, rejected, skipped = (
        sum(getattr(table, count) for table in tables)
        for count in ("read", "loaded", "duplicates", "rejected", "skipped")
    )
    unsure = unsure or any(table.cut_off or table.error is not None for table in tables)
    return (
        name,
        *(f"{count:,}" for count in (read, loaded, duplicates, rejected)),
        success(loaded + skipped, read, unsure=unsure),
        duration(wall_s),
        _rate(loaded, wall_s),
    )


def _rate(rows: int, wall_s: float) -> str:
    return f"{rows / wall_s:,.0f}" if wall_s > 0 and rows else "-"


def success(part: int, whole: int, *, unsure: bool = False) -> str:
    """Write a share, rounded down: it is 100% only if nothing is missing.

    Args:
        part: how many records are in the table.
        whole: how many were read.
        unsure: there may be more that were not read.
    """
    if not whole:
        return "-" if unsure else "100%"
    share = part * _HUNDRED_PERCENT // whole
    if share == _HUNDRED_PERCENT:
        return "<100%" if unsure else "100%"
    return f"{share // 100}.{share % 100:02}%"


def _details(report: Report, *, with_fields: bool) -> Iterator[str]:
    """Describe each table that is not merely loaded, batch by batch."""
    for name, table in zip(table_names(report), report.tables, strict=True):
        losses = list(loss_lines(table))
        lines = [
            *_reasons(table),
            *_levels(table),
            *_table_notes(table, report.warnings, with_fields=with_fields),
        ]
        if losses or lines:
            # A retry counts records in the rejects, and names places in the first backup's files.
            source = "" if report.rejects == report.backup else f" of {escape_controls(table.file)}"
            read = f"{pluralize(table.read, 'record')}{source} read"
            yield f"{name}: {', '.join([*losses, read])}"
            yield from (_INDENT + line for line in lines)


def loss_lines(table: TableReport) -> Iterator[str]:
    """Yield what a table lost."""
    if table.error is not None:
        yield "stopped"
    if table.cut_off:
        yield f"{escape_controls(table.file)} is truncated"
    if table.rejected:
        yield f"{table.rejected:,} rejected"
    if table.duplicates:
        skipped = f" ({table.skipped:,} skipped, as requested)" if table.skipped else ""
        yield pluralize(table.duplicates, "duplicate") + skipped


def _levels(table: TableReport) -> Iterator[str]:
    levels = table.levels
    counts = {
        "by batch": levels.batch,
        "by split batch": levels.split,
        "row by row": levels.row,
        "as literals": levels.literal,
    }
    if levels.total > levels.batch:
        yield "loaded: " + ", ".join(f"{count:,} {how}" for how, count in counts.items() if count)


def _reasons(table: TableReport) -> Iterator[str]:
    if table.error is not None:
        yield f"stopped: {_short(table.error)}"
    if table.taken_out:
        were, refer = ("was", "it refers") if table.taken_out == 1 else ("were", "they refer")
        rows = pluralize(table.taken_out, "orphan")
        yield f"{rows} of these {were} loaded and removed again: what {refer} to is missing"
    ranked = sorted(table.reasons, key=lambda reason: -reason.count)
    shown = _MOST_REASONS if len(ranked) > _MOST_REASONS + 1 else len(ranked)
    for reason in ranked[:shown]:
        yield from _reason(reason)
    if surplus := ranked[shown:]:
        count = sum(reason.count for reason in surplus)
        yield f"{count:,} x {pluralize(len(surplus), 'other reason')}"


def _reason(reason: ReasonCount) -> Iterator[str]:
    """Write a reason: its whole message, or what the messages of several records share."""
    place = reason_place(reason)
    # The rejects have the whole row.
    example = _short(reason.example.partition(": Failing row contains")[0], _LONGEST_EXAMPLE)
    if reason.count == 1:
        words = (example or _short(reason.reason)).rstrip(".")
        yield f"1 x {words}; {place}" if place else f"1 x {words}"
        return
    common = _short(reason.reason)
    yield f"{reason.count:,} x {common}"
    detail = example.removeprefix(common).lstrip(": ")
    if place or detail:
        yield f"{_INDENT}first: {': '.join(part for part in (place, detail) if part)}"


def reason_place(reason: ReasonCount) -> str:
    """Return where the first record of a reason is; empty if that is not known."""
    if reason.first_ordinal is None:
        return ""
    byte = "" if reason.first_offset is None else f" at byte {reason.first_offset:,}"
    return f"record {reason.first_ordinal:,}{byte}"


def _table_notes(
    table: TableReport, of_report: Sequence[str], *, with_fields: bool
) -> Iterator[str]:
    yield from (_short(line) for line in table.warnings if line not in of_report)
    fields = list(table.unknown_fields.items()) if with_fields else []
    for field, count in fields[:_MOST_FIELDS]:
        yield f"no column for field {_quoted(field)}, ignored in {pluralize(count, 'record')}"
    if len(fields) > _MOST_FIELDS:
        more = "more than " if table.other_unknown_fields else ""
        yield f"no column for {more}{len(fields) - _MOST_FIELDS:,} other fields"
    for change, count in table.changed.items():
        column, _, option = change.rpartition(": ")
        values = pluralize(count, "value")
        yield f"{escape_controls(option)} changed {values} of column {_quoted(column)}"
    if table.replaced:
        yield f"{pluralize(table.replaced, 'row')} replaced"


def note_lines(report: Report) -> Iterator[str]:
    """Yield what is to be known beside the counts."""
    if report.loose_matches:
        pairs = [escape_controls(f"{name} -> {to}") for name, to in report.loose_matches.items()]
        yield f"matched by similar names: {first_few(pairs, _MOST_MATCHES)}"
    yield from map(_short, report.warnings)
    yield from (f"left out: {_short(line)}" for line in report.left_out)
    if report.stale:
        yield f"not up to date: materialized views {', '.join(map(escape_controls, report.stale))}"
    if report.peak_bytes is not None:
        yield f"peak memory: {report.peak_bytes / _MEBIBYTE:.0f} MiB"
    if report.rejects is not None:
        lost, folder = pluralize(report.lost, "record"), escape_controls(report.rejects)
        yield f"{lost} not restored; the rejects are in {folder}, with their reasons"


def _next(report: Report) -> list[str]:
    """Render the steps: a sentence each, and below it what to type, never broken over lines."""
    lines = []
    for number, step in enumerate(report.next_steps, 1):
        sentence, *typed = step.split("\n")
        marker = f"{number}. "
        lines += _wrapped(f"{_INDENT}{marker}{escape_controls(sentence)}", deeper=" " * len(marker))
        lines += [f"{_INDENT * 2}{' ' * len(marker)}{escape_controls(line)}" for line in typed]
    return ["Next", *lines] if lines else []


def _short(text: str, longest: int = _LONGEST_MESSAGE) -> str:
    return clip(escape_controls(clip(text, _LONGEST_READ)), longest)


def _quoted(field: str) -> str:
    return f"'{_short(field, _LONGEST_NAME)}'"
