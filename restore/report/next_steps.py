"""Next steps after a restore: what to do and what to type."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from restore.options import MaxRejects, Options
from restore.remote.path import is_url
from restore.target.dsn import mask_password
from restore.text import escape_controls, program, quote_word, shell_option

if TYPE_CHECKING:
    from restore.report.model import Report, TableReport

# More commands of one kind are not read; the report as JSON has all the facts.
_MOST = 5
_NAME_BYTES = 63  # PostgreSQL truncates longer names
# Options that a retry must repeat so that it reads a record in the same way.
_RETRIED_ALIKE = frozenset(
    {
        *("absent_fields", "lock_timeout_s", "map_column", "match", "timezone", "triggers"),
        "unknown_fields",
        *("epoch", "date_format", "json_strings", "bytea", "nul", "empty_string", "zero_date"),
        "fraction",
    }
)


def next_steps(report: Report, options: Options, *, retry: bool = False) -> list[str]:
    """List what to do now.

    Args:
        report: what the restore did.
        options: its options.
        retry: it was a retry of rejects.

    Returns:
        The steps in order: each a sentence and, on the next lines, what to type. They hold no
        password.
    """
    if report.dry_run:
        again = command(report, options, dry_run=False)
        return [f"Nothing was written. To restore:\n{again}"]
    if retry:
        return [*_after_retry(report, options), *_stale(report)]
    steps = [*_rejects(report, options), *_cut_off(report, options)]
    if options.unknown_fields != "ignore":
        steps += _unknown_fields(report)
    return [*steps, *_after_failure(report, options), *_stale(report)]


def command(report: Report, options: Options, **changes: object) -> str:
    """Write the command line of a restore, without the password.

    Args:
        report: names the backup.
        options: the options of the restore.
        changes: options to change.
    """
    options = dataclasses.replace(options, **changes)  # type: ignore[arg-type]
    return " ".join([program(), quote_word(report.backup), *_dsn(options), *_options(options)])


def repair_command(options: Options, *, empty: bool = False) -> str:
    """Write the command line that recreates what is dropped, without the password."""
    return " ".join([program(), "repair", *_dsn(options), *(["--empty"] if empty else [])])


def still_dropped() -> str:
    """Say that something is still dropped, and how to recreate it."""
    return (
        "some of the tables' indexes, keys or triggers are dropped, recorded in"
        f" restore_journal.aside: continue with --resume, or run `{program()} repair`"
    )


def _dsn(options: Options) -> list[str]:
    return ["--dsn", quote_word(mask_password(options.dsn))] if options.dsn else []


def _options(options: Options, only: frozenset[str] | None = None) -> list[str]:
    """Write the options that differ from their defaults, or ``only`` these of them."""
    words = []
    for field in dataclasses.fields(Options):
        if only is not None and field.name not in only:
            continue
        value = getattr(options, field.name)
        flag = "--" + field.name.removesuffix("_s").replace("_", "-")
        if field.name in {"backup", "dsn"} or value in (field.default, None, frozenset(), {}):
            continue
        if value is True:
            words.append(flag)
        elif isinstance(value, frozenset):
            words += [shell_option(flag, name) for name in sorted(value)]
        elif isinstance(value, dict):
            pairs = [f"{name}={of}" if name else of for name, of in value.items()]
            words += [shell_option(flag, pair) for pair in pairs]
        elif isinstance(value, MaxRejects):
            words.append(f"{flag} {str(value).replace(',', '')}")
        else:
            words.append(shell_option(flag, str(value)))
    return words


def _after_failure(report: Report, options: Options) -> list[str]:
    if report.error is None:
        return []
    if options.atomic:
        again = command(report, options)
        return [f"Nothing was written. Fix what stopped the restore, then repeat it:\n{again}"]
    if report.resumable:
        again = command(report, options, resume=True)
        return [f"Fix what stopped the restore. Then continue it:\n{again}"]
    first, repair = [], repair_command(options, empty=not options.append)
    if options.append:
        first = [f"Recreate what is dropped:\n{repair}"]
        again = command(report, options, on_conflict="skip")
        then = f"load what is missing; rows whose key exists are kept:\n{again}"
    else:
        empties = "--empty empties its tables, which hold a part of the backup"
        first = [f"Recreate what is dropped; {empties}:\n{repair}"]
        again = command(report, options, clean=True)
        then = f"restore from the beginning; --clean empties the backup's tables first:\n{again}"
    return [*(first if report.needs_repair else []), f"Fix what stopped the restore. Then {then}"]


def _after_retry(report: Report, options: Options) -> list[str]:
    if report.error is None:
        return _rejects(report, options)
    again = f"{_retry(report, options)} --on-conflict skip"
    return [
        f"Fix what stopped the retry, and run it again; rows that were loaded are kept:\n{again}"
    ]


def _retry(report: Report, options: Options) -> str:
    path = quote_word(report.rejects or report.backup)
    if report.null_columns:  # the rejects alone may not show that
        options = dataclasses.replace(options, absent_fields="null")
    words = [*_dsn(options), *_options(options, only=_RETRIED_ALIKE)]
    return " ".join([program(), "retry", path, *words])


def _cut_off(report: Report, options: Options) -> list[str]:
    files = [escape_controls(table.file) for table in report.tables if table.cut_off]
    again = command(report, options, clean=True, append=False, on_conflict="reject")
    copies = f"Get a whole copy of {', '.join(files)} (truncated), and restore again:\n{again}"
    return [copies] if files else []


def _rejects(report: Report, options: Options) -> list[str]:
    """Say how to look at the rejects and, if the restore is finished, how to load them."""
    if report.rejects is None or not report.lost:
        return []
    if is_url(report.rejects):
        place = escape_controls(report.rejects)
        look = f"The rejected records, one a line, each with its reason, are in {place}."
        then = f"To restore them, copy the files to a local folder: `{program()} retry FOLDER`"
        return [look, then]
    tables = [t for t in report.tables if t.rejected + t.duplicates - t.skipped]
    looks = [f"less {quote_word(_reject_file(report.rejects, table))}" for table in tables]
    look = _step("See the rejected records, one a line, each with its reason:", looks)
    if report.error is not None:
        return [look]
    if not any(table.rejected for table in tables):
        then = (
            "All of them are duplicates: of the records with one key, the first in the file is in"
            " the table. There is nothing to do, if that is the right one."
        )
    else:
        then = (
            'Repair them in these files, under "raw", or the database that refused them; delete the'
            f" lines that you do not need. Then restore them:\n{_retry(report, options)}"
        )
    return [look, then]


def _reject_file(folder: str, table: TableReport) -> str:
    whole = Path(folder)
    return table.rejects or str(
        whole if whole.suffix == ".jsonl" else whole / f"{table.table}.jsonl"
    )


def _unknown_fields(report: Report) -> list[str]:
    """Say how to load fields that have no column."""
    columns = [
        f"ALTER TABLE {_name(table)} ADD COLUMN {_identifier(field)} text;"
        for table in report.tables
        for field in table.unknown_fields
        if field.isprintable() and len(field.encode()) <= _NAME_BYTES
    ]
    if not columns:
        return []
    more = "more than " if any(table.other_unknown_fields for table in report.tables) else ""
    fields = (
        "field has no column and was" if len(columns) == 1 else "fields have no column and were"
    )
    sentence = (
        f"{more}{len(columns):,} {fields} left out. For what should be kept, add a column, of the"
        " right type, and restore again with --clean:"
    )
    return [_step(sentence, columns)]


def _step(sentence: str, commands: list[str]) -> str:
    """Write a step with its first few commands; the report as JSON has all the facts."""
    surplus = len(commands) - _MOST
    more = [f"(and {surplus:,} more)"] if surplus > 0 else []
    return "\n".join([sentence, *commands[:_MOST], *more])


def _stale(report: Report) -> list[str]:
    refresh = [f"REFRESH MATERIALIZED VIEW {escape_controls(name)};" for name in report.stale]
    return ["\n".join(["Refresh the materialized views, in psql:", *refresh])] if refresh else []


def _name(table: TableReport) -> str:
    names = [table.table] if table.schema in {"", "public"} else [table.schema, table.table]
    return ".".join(map(_identifier, names))


def _identifier(name: str) -> str:
    return '"{}"'.format(escape_controls(name).replace('"', '""'))
