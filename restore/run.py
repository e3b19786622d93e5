"""A restore from beginning to end: plan, read, decode, copy, constraints, report."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg.pq import TransactionStatus

from restore import native
from restore.advice import next_steps
from restore.aftermath import checkpoint_warning, forced_checkpoints, stale_views
from restore.backup import find_backup
from restore.catalog import read_tables
from restore.errors import LoadError, RestoreError
from restore.job import Job
from restore.locks import lock_error
from restore.prepare import prepare
from restore.progress import Found, Warned
from restore.report import Report, peak_bytes
from restore.sequences import set_sequences
from restore.session import connect
from restore.transient import describe

if TYPE_CHECKING:
    from restore.options import Options
    from restore.plan import Plan
    from restore.prepare import Confirm
    from restore.progress import Watcher


def restore(
    options: Options, watch: Watcher = lambda _: None, confirm: Confirm | None = None
) -> Report:
    """Restore a backup into a database whose schema exists.

    Args:
        options: what, where to, and how.
        watch: is told of progress.
        confirm: is asked, where tables hold rows and neither ``clean`` nor ``append`` is chosen,
            whether they may be emptied, and given their names and rows; None: they may not.

    Returns:
        What became of every record. Where the load itself failed, ``error`` says why, and the
        counts are those of what had arrived by then.

    Raises:
        RestoreError: nothing was written: the backup, the database or both do not fit.
    """
    started = time.monotonic()
    backup = find_backup(options.backup)
    report = Report(
        backup=str(backup.path),
        dry_run=options.dry_run,
        native=native.is_used(options.without),
    )
    rejects = _rejects_folder(options, backup.path)
    with connect(
        options.dsn, timezone=options.timezone, lock_timeout_s=options.lock_timeout_s
    ) as conn:
        try:
            plan = prepare(conn, backup, options, report, confirm)
        except psycopg.Error as error:
            raise LoadError(describe(error)) from error
        watch(Found(path=str(backup.path), newest=backup.newest, tables=len(plan.loads)))
        for warning in report.warnings:
            watch(Warned(warning))
        others = _load(conn, options, plan, report, watch=watch, rejects=rejects)
    if report.lost:
        report.rejects = str(rejects)
    report.wall_s = time.monotonic() - started
    own = peak_bytes()
    report.peak_bytes = None if own is None else own + others
    report.next_steps = next_steps(report, options)
    return report


def _load(
    conn: psycopg.Connection,
    options: Options,
    plan: Plan,
    report: Report,
    *,
    watch: Watcher,
    rejects: Path,
) -> int:
    """Load what was planned; then, whatever came of it, see to the database as it is now.

    Returns:
        The peak memory of the processes that loaded beside this one, in bytes.
    """
    names = _names(conn, plan)
    checkpoints = forced_checkpoints(conn)
    job = Job(conn, options, plan, report, watch=watch, rejects_folder=rejects, names=names)
    try:
        job.run()
    except psycopg.errors.LockNotAvailable as error:
        stopped = lock_error(conn, error, plan.tables, "ACCESS EXCLUSIVE")
        for note in getattr(error, "__notes__", ()):
            stopped.add_note(note)
        report.error = describe(stopped)
    except (RestoreError, psycopg.Error) as error:
        report.error = describe(error)
    if options.dry_run or conn.info.transaction_status is not TransactionStatus.IDLE:
        return job.workers_peak_bytes
    try:
        if report.error is not None:
            for load in plan.loads:
                report.warnings += set_sequences(conn, load.table)
        report.stale += stale_views(conn, plan.tables)
        warning = checkpoint_warning(conn, checkpoints)
    except psycopg.Error as error:
        warning = f"the database could not be looked at after the load: {describe(error)}"
    if warning is not None:
        report.warnings.append(warning)
        watch(Warned(warning))
    return job.workers_peak_bytes


def _names(conn: psycopg.Connection, plan: Plan) -> dict[int, tuple[str, str]]:
    """Return schema and name of the tables, of those behind a dry run's shadows too, by oid."""
    tables = read_tables(conn, plan.tables)
    return {oid: (table.schema, table.name) for oid, table in tables.items()}


def _rejects_folder(options: Options, backup: Path) -> Path:
    """Return where the rejects go: never a folder that may hold those of another restore."""
    if options.rejects is not None:
        return options.rejects
    now = datetime.now(tz=UTC).strftime("%Y%m%dT%H%M%SZ")
    return Path("rejects") / f"{backup.name}-{now}"
