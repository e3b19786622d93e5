"""Prepares a load: matches files to tables, checks rights, plans, empties tables.

All that can be refused is refused before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from msgspec import Struct, field

from restore.commands.fields import with_fields
from restore.commands.resume import resumed_plan
from restore.commands.truncate import empty
from restore.commands.unfinished import check_no_unfinished_restore, find_unfinished
from restore.errors import BackupError, SchemaError
from restore.plan.columns import check_map_column
from restore.plan.dry_run import shadow_plan
from restore.plan.fit import check_fit
from restore.plan.matching import MIGRATION_TABLES, display_name, match_files
from restore.plan.order import LoadMode, make_plan, with_policies, with_target_columns
from restore.plan.preflight import (
    Server,
    check_deletable,
    check_event_triggers,
    check_on_conflict,
    check_ownership,
    check_rights,
    check_scattered,
    check_truncate_rights,
    describe_target,
    read_server,
)
from restore.plan.sample import Samples
from restore.plan.values import read_policies
from restore.report.events import Stage
from restore.source.export import check_exports
from restore.target import catalog
from restore.target.deletion import undeletable_tables
from restore.target.relations import (
    ancestors,
    count_rows,
    has_rows,
    read_relations,
    referencing_tables,
)
from restore.target.session_locks import acquire_restore_lock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from restore.journal.store import TableProgress, UnfinishedRestore
    from restore.options import Options
    from restore.plan.matching import Match
    from restore.plan.order import Plan
    from restore.report.events import ProgressCallback
    from restore.report.model import Report
    from restore.source.discovery import Backup
    from restore.target.relations import Relation

Confirm = Callable[[dict[str, int]], bool]
"""Asks if tables may be emptied, given how many rows each holds."""


class TruncatePlan(Struct, frozen=True):
    """Tables to empty: the backup's, if some are ``filled``, and ``others`` that refer to them."""

    filled: list[Relation] = field(default_factory=list)
    others: list[Relation] = field(default_factory=list)


class Prepared(NamedTuple):
    """What to load, and each table's progress by oid if an unfinished restore is resumed."""

    plan: Plan
    unfinished: UnfinishedRestore | None
    loaded: dict[int, TableProgress]


def prepare(
    conn: psycopg.Connection,
    backup: Backup,
    options: Options,
    report: Report,
    *,
    watch: ProgressCallback,
    confirm: Confirm | None = None,
) -> Prepared:
    """Match the files to tables, check that they may be loaded, plan, and empty the tables.

    Args:
        conn: a connection that commits each statement.
        backup: the backup.
        options: the restore's options.
        report: receives the target, what is left out, and warnings.
        watch: receives progress.
        confirm: asks if tables that hold rows may be emptied; None: they may not.

    Raises:
        RestoreError: backup and database do not fit, or the role may not do what is needed.
        psycopg.Error: the server refused.
    """
    server = read_server(conn)
    report.target = describe_target(conn, server)
    report.server = f"PostgreSQL {server.version}"
    report.warnings += server.warnings
    if not options.dry_run:
        acquire_restore_lock(conn)
    unfinished = find_unfinished(conn) if options.resume else None
    if unfinished is None:
        report.warnings += check_no_unfinished_restore(conn, options)
        if options.resume:
            report.warnings.append("no unfinished restore to resume: starting a new one")
    samples = Samples(conn)
    matches = match_files(backup, read_relations(conn, options.schema), options, samples)
    found = matches.by_oid
    report.left_out += [*backup.left_out, *matches.left_out]
    report.warnings += [*backup.warnings, *matches.warnings]
    report.loose_matches |= matches.loose
    report.warnings += _check_inheritance(conn, found)
    check_rights(conn, server, found, options)
    check_event_triggers(conn, options)
    if unfinished is None:
        plan = _plan_new(
            *(conn, server, found, options, report),
            samples=samples,
            watch=watch,
            confirm=confirm,
        )
        return Prepared(plan, None, {})
    if unfinished.backup != str(backup.path.absolute()):
        raise BackupError(
            f"cannot resume: the unfinished restore is of {unfinished.backup}; pass that backup, or"
            " start over with --clean"
        )
    kept = undeletable_tables(conn, found, triggers=options.triggers)
    scattered = check_scattered(conn, (m.relation for m in found.values()), options, report)
    plan, loaded = resumed_plan(
        conn, unfinished, found, options, fixed=kept.keys() | scattered.keys()
    )
    for load in plan.loads:  # matched as in the beginning, and reported again
        sample, file = samples.of(load.file), display_name(load.file)
        with_fields(load.table, sample, options, report, file=file)
    check_fit(plan, report.left_out, samples, options)
    check_ownership(conn, server, plan, options)
    plan = with_policies(plan, read_policies(plan, options))
    return Prepared(plan, unfinished, loaded)


def _plan_new(
    conn: psycopg.Connection,
    server: Server,
    found: dict[int, Match],
    options: Options,
    report: Report,
    *,
    samples: Samples,
    watch: ProgressCallback,
    confirm: Confirm | None,
) -> Plan:
    """Plan a restore from its beginning, and empty the tables or make their shadows."""
    mode = LoadMode.of(options)
    report.left_out += _skip_migration_tables(conn, found, options)
    to_truncate = _find_nonempty(conn, found, options)
    if to_truncate.filled and (options.clean or confirm is not None):
        check_truncate_rights(conn, server, [*found, *(r.oid for r in to_truncate.others)])
    kept = undeletable_tables(conn, found, triggers=options.triggers)
    tables = catalog.read_tables(conn, found)
    files = with_target_columns({oid: match.file for oid, match in found.items()}, tables)
    check_exports(files.values())
    check_map_column(tables.values(), options)
    for oid, file in files.items():
        sample = samples.of(file)
        tables[oid] = with_fields(tables[oid], sample, options, report, file=display_name(file))
    scattered = check_scattered(conn, (m.relation for m in found.values()), options, report)
    plan = make_plan(files, tables, fixed=kept.keys() | scattered.keys(), mode=mode)
    check_fit(plan, report.left_out, samples, options)
    policies = read_policies(plan, options)
    check_ownership(conn, server, plan, options)
    check_deletable(plan, kept, {r.oid for r in to_truncate.filled}, scattered)
    if options.on_conflict != "reject":
        check_on_conflict(conn, plan, options)
    if mode.is_atomic and to_truncate.others:
        raise SchemaError("--atomic empties the backup's tables alone: give it without --cascade")
    _confirm_truncate(conn, to_truncate, options, confirm if mode.writes_target else None)
    if not mode.writes_target:
        rows = _counted(conn, [*to_truncate.filled, *to_truncate.others])
        report.warnings += [f"would be emptied: {line}" for line in rows]
        plan, warnings = shadow_plan(conn, plan, append=options.append)
        report.warnings += warnings
    elif to_truncate.filled and not mode.is_atomic:
        # An atomic load empties them in its transaction.
        report.warnings += [
            f"--cascade emptied {line}" for line in _counted(conn, to_truncate.others)
        ]
        relations = [*(match.relation for match in found.values()), *to_truncate.others]
        empty(conn, relations, options, lambda line: watch(Stage(line)))
    return with_policies(plan, policies)


def _check_inheritance(conn: psycopg.Connection, found: dict[int, Match]) -> list[str]:
    """Check that no rows are in two files: a table's and that of its parent table.

    Returns:
        A warning for each pair of tables of which one inherits from the other.

    Raises:
        SchemaError: a partition and its partitioned table are both in the backup.
    """
    warnings = []
    for lower, upper, partition in ancestors(conn, found):
        low, up = found[lower], found[upper]
        if partition:
            raise SchemaError(
                f"table {low.relation.display_name} is a partition of"
                f" {up.relation.display_name}, and both are in"
                f" the backup, so its rows would come twice: leave it out with --exclude"
                f" {low.file.table}"
            )
        warnings.append(
            f"table {low.relation.display_name} inherits from {up.relation.display_name}: if"
            f" {display_name(up.file)} was"
            " not written from ONLY that table, its rows come twice"
        )
    return warnings


def _skip_migration_tables(
    conn: psycopg.Connection, found: dict[int, Match], options: Options
) -> list[str]:
    """Leave out the tables of migration tools that hold rows in the target.

    Returns:
        A line for each file that was removed from ``found``.
    """
    if options.append:
        return []
    books = [
        oid
        for oid, match in found.items()
        if match.file.table in MIGRATION_TABLES - options.tables and has_rows(conn, match.relation)
    ]
    return [
        f"{display_name(found.pop(oid).file)}: a migration tool's own table that has rows"
        for oid in books
    ]


def _find_nonempty(
    conn: psycopg.Connection, found: dict[int, Match], options: Options
) -> TruncatePlan:
    """Find the tables that hold rows, and check that they may be emptied.

    Raises:
        SchemaError: tables outside the backup refer to them.
    """
    if options.append:
        return TruncatePlan()
    filled = [match.relation for match in found.values() if has_rows(conn, match.relation)]
    links = referencing_tables(conn, found) if filled else []
    others = list({link.relation.oid: link.relation for link in links}.values())
    if others and options.clean and not options.cascade:
        said = "; ".join(
            f'Table "{link.relation.display_name}" references "{link.parent}"'
            f" {_amount(conn, link.relation)}"
            for link in links
        )
        raise SchemaError(
            f"--clean would orphan rows outside the backup: {said}. Empty these tables too with"
            " --cascade, or add them to the backup"
        )
    return TruncatePlan(filled, others)


def _amount(conn: psycopg.Connection, relation: Relation) -> str:
    try:
        rows = count_rows(conn, relation)
    except psycopg.errors.InsufficientPrivilege:
        return "(rows not shown to this role)"
    if not rows:
        return "(empty, but PostgreSQL does not truncate a table that it references)"
    return f"({rows:,} rows)" if rows > 1 else "(1 row)"


def _confirm_truncate(
    conn: psycopg.Connection, to_truncate: TruncatePlan, options: Options, confirm: Confirm | None
) -> None:
    """Raise if tables hold rows and the user did not allow to delete these.

    Raises:
        SchemaError: tables hold rows.
    """
    if not to_truncate.filled or options.clean:
        return
    names = ", ".join(relation.display_name for relation in to_truncate.filled)
    refusal = SchemaError(
        f"not empty: {names}; --clean empties the backup's tables first, --append loads beside"
        " what is there"
    )
    if confirm is None or to_truncate.others:
        raise refusal
    if not confirm({r.display_name: count_rows(conn, r) for r in to_truncate.filled}):
        raise refusal


def _counted(conn: psycopg.Connection, relations: Iterable[Relation]) -> list[str]:
    return [f"{relation.display_name} {_amount(conn, relation)}" for relation in relations]
