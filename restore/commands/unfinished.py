"""Detects an unfinished restore that blocks a new one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from restore.errors import LoadError
from restore.journal import store as journal
from restore.journal.dropped import dropped_objects
from restore.report.next_steps import repair_command
from restore.text import pluralize

if TYPE_CHECKING:
    import psycopg

    from restore.journal.store import UnfinishedRestore
    from restore.options import Options


def find_unfinished(conn: psycopg.Connection) -> UnfinishedRestore | None:
    """Return the unfinished restore, if there is one.

    Raises:
        LoadError: its journal cannot be read.
    """
    try:
        return journal.read_unfinished(conn)
    except ValueError as error:
        raise LoadError(f"{error}: use that version, or drop schema restore_journal") from error


def check_no_unfinished_restore(conn: psycopg.Connection, options: Options) -> list[str]:
    """Raise if an unfinished restore exists.

    Otherwise rows could be loaded that a dropped key forbids, without any error.

    Returns:
        Warnings: a dry run only warns about what a restore refuses to start for.

    Raises:
        LoadError: an unfinished restore exists.
    """
    try:
        dropped = dropped_objects(conn)
        unfinished = find_unfinished(conn)
    except LoadError as error:
        if options.dry_run:
            return [str(error)]
        raise
    if not dropped and (unfinished is None or options.clean):
        return []
    kinds = ", ".join(
        pluralize(number, kind, "indexes" if kind == "index" else None)
        for kind, number in Counter(each.kind for each in dropped).items()
    )
    line = "an unfinished restore" if unfinished is None else str(unfinished)
    line += f" left objects dropped or disabled ({kinds}): " if dropped else " is unfinished: "
    resume = "continue with --resume, or " if unfinished is not None else ""
    repair = f"run `{repair_command(options)}`"
    if options.dry_run:
        return [f"{line}{resume}{repair}, before a restore; this dry run continues"]
    if dropped:
        raise LoadError(f"{line}{resume}{repair}, which recreates them")
    raise LoadError(f"{line}{resume}start over with --clean, or {repair}, which gives it up")
