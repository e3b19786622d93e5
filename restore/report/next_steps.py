"""What to type after a restore: the next steps that a report and its options lead to."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from restore.options import MaxRejects, Options
from restore.target.dsn import without_password
from restore.text import option, program, quoted, safe

if TYPE_CHECKING:
    from restore.report.model import Report, TableReport

# Nobody reads more commands of one kind; the report as JSON has all the facts.
_MOST = 5
# What a retry must be told again, lest it reads a record in another way.
_NAME_BYTES = 63  # PostgreSQL cuts longer names off
_RETRIED_ALIKE = frozenset({"timezone", "triggers", "unknown_fields", "lock_timeout_s"})


def next_steps(report: Report, options: Options, *, retry: bool = False) -> list[str]:
    """Say what to do now.

    Args:
        report: what the restore did.
        options: what it was told.
        retry: it was no restore of a backup, but of its rejects.

    Returns:
        The steps in order: each a sentence, and after a newline what to type, if anything. No
        password is in them.
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
    """Write the command line of a restore, less the password.

    Args:
        report: knows which backup it was.
        options: what the restore was told.
        changes: what of it is to be different.
    """
    options = dataclasses.replace(options, **changes)  # type: ignore[arg-type]
    return " ".join([program(), quoted(report.backup), *_dsn(options), *_options(options)])


def repair_command(options: Options, *, empty: bool = False) -> str:
    """Write the command line that brings back what is aside, less the password."""
    return " ".join([program(), "repair", *_dsn(options), *(["--empty"] if empty else [])])


def still_aside() -> str:
    """Say that something is still aside, and how to bring it back."""
    return (
        "some of the tables' indexes, keys or triggers are still aside, noted in"
        f" restore_journal.aside: --resume goes on, or `{program()} repair` brings them back"
    )


def _dsn(options: Options) -> list[str]:
    return ["--dsn", quoted(without_password(options.dsn))] if options.dsn else []


def _options(options: Options, only: frozenset[str] | None = None) -> list[str]:
    """Write the options that differ from their defaults, or of them ``only`` these."""
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
            words += [option(flag, name) for name in sorted(value)]
        elif isinstance(value, dict):
            words += [option(flag, f"{file}={table}") for file, table in value.items()]
        elif isinstance(value, MaxRejects):
            words.append(f"{flag} {str(value).replace(',', '')}")
        else:
            words.append(option(flag, str(value)))
    return words


def _step(sentence: str, *typed: str) -> str:
    return "\n".join([sentence, *typed])


def _after_failure(report: Report, options: Options) -> list[str]:
    if report.error is None:
        return []
    if options.atomic:
        again = command(report, options)
        return [_step("Nothing was written. Put right what stopped it, and restore again:", again)]
    if report.resumable:
        again = command(report, options, resume=True)
        return [_step("Put right what stopped the restore. Then go on where it stopped:", again)]
    if options.append:
        return [
            *_bring_back(report, options),
            _step(
                "Put right what stopped the restore. Then load what is missing; rows whose key is"
                " there are left as they are:",
                command(report, options, on_conflict="skip"),
            ),
        ]
    return [
        *_bring_back(report, options),
        _step(
            "Put right what stopped the restore. Then restore from the beginning; --clean empties"
            " the backup's tables first:",
            command(report, options, clean=True),
        ),
    ]


def _bring_back(report: Report, options: Options) -> list[str]:
    """Say how to bring back what is aside."""
    if not report.needs_repair:
        return []
    if options.append:
        return [_step("Bring back what is aside:", repair_command(options))]
    return [
        _step(
            "Bring back what is aside; --empty empties its tables, which hold a part of the"
            " backup:",
            repair_command(options, empty=True),
        )
    ]


def _after_retry(report: Report, options: Options) -> list[str]:
    if report.error is None:
        return _rejects(report, options)
    return [
        _step(
            "Put right what stopped it, and try again; records that went in are left as they are:",
            f"{_retry(report, options)} --on-conflict skip",
        )
    ]


def _retry(report: Report, options: Options) -> str:
    path = quoted(report.rejects or report.backup)
    return " ".join(
        [program(), "retry", path, *_dsn(options), *_options(options, only=_RETRIED_ALIKE)]
    )


def _cut_off(report: Report, options: Options) -> list[str]:
    files = [safe(table.file) for table in report.tables if table.cut_off]
    if not files:
        return []
    return [
        _step(
            f"Get a whole copy of {', '.join(files)} (cut off), and restore again:",
            command(report, options, clean=True, append=False, on_conflict="reject"),
        )
    ]


def _rejects(report: Report, options: Options) -> list[str]:
    """Say how to look at the rejects, and, if the restore went to its end, to get them in."""
    if report.rejects is None or not report.lost:
        return []
    losers = [t for t in report.tables if t.rejected + t.duplicates - t.skipped]
    looks = [f"less {quoted(_reject_file(report.rejects, table))}" for table in losers]
    steps = [
        _step(
            "See the records that were kept out, one a line, each with its reason:", *_first(looks)
        )
    ]
    if report.error is not None:
        return steps
    if not any(table.rejected for table in losers):
        steps.append(
            "All of them are duplicates: of the records with one key, the first in the file is in"
            " the table. Nothing is to do, if that is the right one."
        )
        return steps
    return [
        *steps,
        _step(
            'Repair them in these files, under "raw", or the database that refused them; delete the'
            " lines that you can do without. Then restore them:",
            _retry(report, options),
        ),
    ]


def _reject_file(folder: str, table: TableReport) -> str:
    whole = Path(folder)
    return table.rejects or str(
        whole if whole.suffix == ".jsonl" else whole / f"{table.table}.jsonl"
    )


def _unknown_fields(report: Report) -> list[str]:
    """Say how to get fields in that no column took."""
    columns = [
        f"ALTER TABLE {_name(table)} ADD COLUMN {_identifier(field)} text;"
        for table in report.tables
        for field in table.unknown_fields
        if field.isprintable() and len(field.encode()) <= _NAME_BYTES
    ]
    if not columns:
        return []
    one = len(columns) == 1
    more = "more than " if any(table.other_unknown_fields for table in report.tables) else ""
    return [
        _step(
            f"{more}{len(columns):,} {'field has' if one else 'fields have'} no column and"
            f" {'was' if one else 'were'} left out. For what should be kept, add a column, of the"
            " right type, and restore again with --clean:",
            *_first(columns),
        )
    ]


def _first(commands: list[str]) -> list[str]:
    """Return the first few; the report as JSON has the facts for all."""
    surplus = len(commands) - _MOST
    return [*commands[:_MOST], f"(and {surplus:,} more)"] if surplus > 0 else commands


def _stale(report: Report) -> list[str]:
    if not report.stale:
        return []
    refresh = [f"REFRESH MATERIALIZED VIEW {safe(name)};" for name in report.stale]
    return [_step("Bring the materialised views up to date, in psql:", *refresh)]


def _name(table: TableReport) -> str:
    names = [table.table] if table.schema in {"", "public"} else [table.schema, table.table]
    return ".".join(map(_identifier, names))


def _identifier(name: str) -> str:
    return '"{}"'.format(safe(name).replace('"', '""'))
