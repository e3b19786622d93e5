"""Tells a table's columns which fields they are read from, and reports how these were matched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restore.plan.columns import match_fields
from restore.text import first_few, shell_option

if TYPE_CHECKING:
    from restore.options import Options
    from restore.plan.columns import FieldMatches
    from restore.plan.sample import Sample
    from restore.report.model import Report
    from restore.target.catalog import Table

_MOST_NAMED = 6


def with_fields(
    table: Table, sample: Sample, options: Options, report: Report, *, file: str
) -> Table:
    """Return a table whose columns know their fields.

    Args:
        table: the table, as the catalog has it.
        sample: the first records of its file.
        options: maps, and if similar names match.
        report: receives what was matched by similar names, and what was not matched.
        file: the file's name to show.

    Raises:
        SchemaError: a field may be for several columns, or a column for several fields.
    """
    found = match_fields(table, sample, options)
    name = table.name
    report.loose_matches |= {f"{name}.{field}": column for field, column in found.loose.items()}
    if found.omitted:
        report.null_columns += [f"{name}.{column}" for column in found.omitted]
        report.warnings.append(
            f"{file} seems to leave out nulls, so {first_few(found.omitted, _MOST_NAMED)} of table"
            f" {name} hold NULL, not their defaults, in records without them: --absent-fields"
            " default or null decides"
        )
    if found.defaulted:
        report.warnings.append(
            f"{file}: {first_few(found.defaulted, _MOST_NAMED)} of table {name} take their default"
            " in records without them; if the export leaves nulls out, pass --absent-fields null"
        )
    if options.unknown_fields == "ignore":
        return found.table
    report.nested_relations += [f"{name}.{field}" for field in found.nested]
    if found.unmatched and found.unfilled:
        option = shell_option("--map-column", f"{name}.{_likely_pair(found)}")
        report.warnings.append(
            f"{file}: no column fits {first_few(found.unmatched, _MOST_NAMED)}, and no field fills"
            f" {first_few(found.unfilled, _MOST_NAMED)} of table {name}: if they belong together,"
            f" name them with {option}"
        )
    return found.table


def _likely_pair(found: FieldMatches) -> str:
    """Return a field and a column that look alike, as ``--map-column`` takes them."""
    from difflib import get_close_matches  # noqa: PLC0415 - 10 ms, and few restores need it

    for field in found.unmatched:
        for column in get_close_matches(field, found.unfilled, 1):
            return f"{field}={column}"
    if len(found.unmatched) == len(found.unfilled) == 1:
        return f"{found.unmatched[0]}={found.unfilled[0]}"
    return "FIELD=COLUMN"
