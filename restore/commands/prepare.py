"""What stands before a load: files find their tables, rights are checked, tables are emptied.

All that can be refused is refused before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import psycopg

from restore.commands.resume import resumed_plan
from restore.commands.truncate import empty
from restore.commands.unfinished import find_begun, see_nothing_begun
from restore.errors import BackupError, SchemaError
from restore.plan.dry_run import shadow_plan
from restore.plan.event_triggers import check_event_triggers
from restore.plan.fit import check_fit
from restore.plan.matching import BOOKKEEPING, match_files, shown
from restore.plan.order import make_plan
from restore.plan.preflight import (
    check_deletes,
    check_may_empty,
    check_merges,
    check_owner,
    check_rights,
    read_server,
    shown_target,
)
from restore.report.events import Stage
from restore.target import catalog
from restore.target.connection import be_alone
from restore.target.deletion import keepers
from restore.target.relations import ancestors, count_rows, has_rows, read_relations, referrers

if TYPE_CHECKING:
    from restore.journal.store import Begun, LoadedTable
    from restore.options import Options
    from restore.plan.matching import Match
    from restore.plan.order import Plan
    from restore.report.events import ProgressCallback
    from restore.report.model import Report
    from restore.source.discovery import Backup
    from restore.target.relations import Relation

Confirm = Callable[[dict[str, int]], bool]
"""Is asked whether the rows of these tables, so many each, may go."""


@dataclass(frozen=True, slots=True)
class Room:
    """What is emptied: the backup's tables because of the ``filled`` ones, and ``others``."""

    filled: list[Relation] = field(default_factory=list)
    others: list[Relation] = field(default_factory=list)


class Prepared(NamedTuple):
    """What is to be loaded, and how far that is, by the tables' oids; ``begun``: it was begun."""

    plan: Plan
    begun: Begun | None
    loaded: dict[int, LoadedTable]


def prepare(
    conn: psycopg.Connection,
    backup: Backup,
    options: Options,
    report: Report,
    *,
    watch: ProgressCallback,
    confirm: Confirm | None = None,
) -> Prepared:
    """Match the files with the tables, see that the load may be, make room, and plan.

    Args:
        conn: a connection that commits each statement.
        backup: what is restored.
        options: how.
        report: takes the target, what is left out, and warnings.
        watch: is told of progress.
        confirm: is asked whether tables that are not empty may be emptied; None: they may not.

    Raises:
        RestoreError: backup and database do not fit, or the role may not do what is needed.
        psycopg.Error: the server refused.
    """
    server = read_server(conn)
    report.target = shown_target(conn, server)
    report.server = f"PostgreSQL {server.version}"
    if not options.dry_run:
        be_alone(conn)
    begun = find_begun(conn) if options.resume else None
    if begun is None:
        report.warnings += see_nothing_begun(conn, options)
        if options.resume:
            report.warnings.append("there is nothing to resume: the restore begins anew")
    matches = match_files(backup, read_relations(conn, options.schema), options)
    found = matches.by_oid
    report.left_out += [*backup.left_out, *matches.left_out]
    report.warnings += [*backup.warnings, *matches.warnings]
    report.warnings += _check_inheritance(conn, found)
    check_rights(conn, server, found, options)
    check_event_triggers(conn, options)
    if begun is not None:
        if begun.backup != str(backup.path.absolute()):
            raise BackupError(f"the restore to be resumed is of {begun.backup}: give that")
        kept = keepers(conn, found, triggers=options.triggers)
        plan, loaded = resumed_plan(conn, begun, found, options, fixed=kept.keys())
        check_fit(plan, report.left_out)
        check_owner(conn, server, plan, options)
        return Prepared(plan, begun, loaded)
    report.left_out += _leave_out_books(conn, found, options)
    room = _survey(conn, found, options)
    if room.filled and (options.clean or confirm is not None):
        check_may_empty(conn, server, [*found, *(r.oid for r in room.others)])
    kept = keepers(conn, found, triggers=options.triggers)
    plan = _plan(conn, found, kept)
    check_fit(plan, report.left_out)
    check_owner(conn, server, plan, options)
    check_deletes(plan, kept, {r.oid for r in room.filled}, options)
    if options.on_conflict != "reject":
        check_merges(conn, plan, options)
    if options.atomic and room.others:
        raise SchemaError("--atomic empties the backup's tables alone: give it without --cascade")
    _agree(conn, room, options, None if options.dry_run else confirm)
    if options.dry_run:
        report.warnings += [f"would be emptied: {line}" for line in _counted(conn, room)]
        plan, warnings = shadow_plan(conn, plan, append=options.append)
        report.warnings += warnings
        return Prepared(plan, None, {})
    report.warnings += _empty(conn, found, room, options, watch)
    return Prepared(plan, None, {})


def _plan(conn: psycopg.Connection, found: dict[int, Match], kept: dict[int, str]) -> Plan:
    files = {oid: match.file for oid, match in found.items()}
    return make_plan(files, catalog.read_tables(conn, files), fixed=kept.keys())


def _check_inheritance(conn: psycopg.Connection, found: dict[int, Match]) -> list[str]:
    """See that no rows come twice, in a table's file and in that of a table above it.

    Raises:
        SchemaError: a partition and what it is a partition of are both in the backup.
    """
    warnings = []
    for lower, upper, partition in ancestors(conn, found):
        low, up = found[lower], found[upper]
        if partition:
            raise SchemaError(
                f"table {low.relation.shown} is a partition of {up.relation.shown}, and both are in"
                f" the backup, so its rows would come twice: leave it out with --exclude"
                f" {low.file.table}"
            )
        warnings.append(
            f"table {low.relation.shown} inherits from {up.relation.shown}: if {shown(up.file)} was"
            " not written from ONLY that table, its rows come twice"
        )
    return warnings


def _leave_out_books(
    conn: psycopg.Connection, found: dict[int, Match], options: Options
) -> list[str]:
    """Take migration tools' own tables out that the target has filled already.

    Returns:
        A line for each file that was taken out of ``found``.
    """
    if options.append:
        return []
    books = [
        oid
        for oid, match in found.items()
        if match.file.table in BOOKKEEPING - options.tables and has_rows(conn, match.relation)
    ]
    return [f"{shown(found.pop(oid).file)}: a migration tool's own table, filled" for oid in books]


def _survey(conn: psycopg.Connection, found: dict[int, Match], options: Options) -> Room:
    """See which tables hold rows, and whether they may be emptied. Nothing is written.

    Raises:
        SchemaError: tables outside the backup refer to them.
    """
    if options.append:
        return Room()
    filled = [match.relation for match in found.values() if has_rows(conn, match.relation)]
    links = referrers(conn, found) if filled else []
    others = list({link.relation.oid: link.relation for link in links}.values())
    if others and options.clean and not options.cascade:
        said = "; ".join(
            f'Table "{link.relation.shown}" references "{link.parent}"'
            f" {_amount(conn, link.relation)}"
            for link in links
        )
        raise SchemaError(
            f"--clean would orphan rows outside the backup: {said}. Empty these tables too with"
            " --cascade, or add them to the backup"
        )
    return Room(filled, others)


def _amount(conn: psycopg.Connection, relation: Relation) -> str:
    try:
        rows = count_rows(conn, relation)
    except psycopg.errors.InsufficientPrivilege:
        return "(rows not shown to this role)"
    if not rows:
        return "(it is empty; PostgreSQL refuses to empty what it references all the same)"
    return f"({rows:,} rows)" if rows > 1 else "(1 row)"


def _agree(conn: psycopg.Connection, room: Room, options: Options, confirm: Confirm | None) -> None:
    """Stop where tables hold rows that nobody allowed to go.

    Raises:
        SchemaError: tables hold rows.
    """
    if not room.filled or options.clean:
        return
    names = ", ".join(relation.shown for relation in room.filled)
    refusal = SchemaError(
        f"not empty: {names}; --clean empties the backup's tables first, --append loads beside"
        " what is there"
    )
    if confirm is None or room.others:
        raise refusal
    if not confirm({r.shown: count_rows(conn, r) for r in room.filled}):
        raise refusal


def _counted(conn: psycopg.Connection, room: Room) -> list[str]:
    return [f"{r.shown} {_amount(conn, r)}" for r in (*room.filled, *room.others)]


def _empty(
    conn: psycopg.Connection,
    found: dict[int, Match],
    room: Room,
    options: Options,
    watch: ProgressCallback,
) -> list[str]:
    """Empty all tables of the backup, if one of them holds rows.

    With --atomic that is left to the transaction that loads them.

    Returns:
        Warnings that name the tables that were emptied beside them, and their rows.
    """
    if not room.filled or options.atomic:
        return []
    warnings = [f"--cascade emptied {r.shown} {_amount(conn, r)}" for r in room.others]
    relations = [*(match.relation for match in found.values()), *room.others]
    empty(conn, relations, options, lambda line: watch(Stage(line)))
    return warnings
