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
        raise LoadError(f"{error}: go on with that one, or drop schema restore_journal") from error


def check_no_unfinished_restore(conn: psycopg.Connection, options: Options) -> list[str]:
    """Raise if an unfinished restore exists.

    Rows would go in that a key that is aside forbids, and nobody would find out.

    Returns:
        Warnings: what a restore refuses to start for, a dry run only tells.

    Raises:
        LoadError: a restore did not end.
    """
    try:
        asides = dropped_objects(conn)
        unfinished = find_unfinished(conn)
    except LoadError as error:
        if options.dry_run:
            return [str(error)]
        raise
    if not asides and (unfinished is None or options.clean):
        return []
    kinds = ", ".join(
        pluralize(number, kind, "indexes" if kind == "index" else None)
        for kind, number in Counter(aside.kind for aside in asides).items()
    )
    what = "a restore that did not end" if unfinished is None else str(unfinished)
    line = f"{what} left something aside ({kinds}): " if asides else f"{what} did not end: "
    line += "--resume goes on with it; " if unfinished is not None else ""
    repair = f"`{repair_command(options)}`"
    if options.dry_run:
        return [f"{line}or run {repair}, which a restore needs; this dry run does not"]
    if asides:
        raise LoadError(f"{line}or run {repair}, which brings it back")
    raise LoadError(f"{line}--clean begins anew, or run {repair}, which gives it up")
