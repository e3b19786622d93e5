"""Runs a restore: prepare, load, inspect, report; resumes after a lost connection."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from psycopg.pq import TransactionStatus

from restore.commands.job import RestoreJob
from restore.commands.prepare import prepare
from restore.commands.resume import rejects_folder_of
from restore.decode import packer
from restore.errors import BackupError, ConnectionLostError, Interrupted, RestoreError
from restore.rejects.folder import SUFFIX
from restore.rejects.upload import upload_rejects
from restore.remote.path import RemotePath
from restore.remote.upload import check_free
from restore.report.events import BackupFound, WarningEvent
from restore.report.model import Report, peak_bytes
from restore.report.next_steps import next_steps
from restore.schedule.threads import ThreadExecutor
from restore.source.discovery import find_backup
from restore.source.standard_input import STANDARD_INPUT, kept_standard_input
from restore.target.connection import connect, connect_for
from restore.target.diagnostics import checkpoint_warning, forced_checkpoints, stale_views
from restore.target.dsn import dsn_warnings
from restore.target.locks import lock_error
from restore.target.sequences import set_sequences
from restore.target.sqlstate import describe, is_lost, to_load_error, wait_until_available
from restore.text import clip

if TYPE_CHECKING:
    from restore.commands.prepare import Confirm
    from restore.journal.store import UnfinishedRestore
    from restore.options import Options
    from restore.plan.order import Plan
    from restore.remote.path import BackupPath
    from restore.report.events import ProgressCallback
    from restore.schedule.cluster import Cluster
    from restore.schedule.executor import ExecutorFactory


# Give up after this many outages in a row in which nothing was loaded.
_MOST_OUTAGES = 3


class _Attempt(NamedTuple):
    """Outcome of one attempt, and the options for the next.

    ``lost``: it stopped because the connection was lost.
    """

    report: Report
    lost: bool
    options: Options


def restore(
    options: Options, watch: ProgressCallback = lambda _: None, confirm: Confirm | None = None
) -> Report:
    """Restore a backup into a database whose schema exists.

    Args:
        options: the backup, the target, and how to restore.
        watch: receives progress.
        confirm: is asked if tables that hold rows may be emptied, where neither ``clean`` nor
            ``append`` is chosen, and receives their names and row counts; None: they may not.

    Returns:
        The outcome of every record. If the load itself failed, ``error`` says why, and the counts
        are of what was committed by then.

    Raises:
        RestoreError: nothing was written: the backup, the database or both do not fit.
    """
    with contextlib.ExitStack() as stack:
        if options.backup == STANDARD_INPUT:
            if options.resume:
                raise BackupError(
                    "--resume needs a backup on disk: what came by standard input is gone"
                )
            options = replace(options, backup=stack.enter_context(kept_standard_input()))
        cluster = None
        if options.is_distributed:
            # Dask takes half a second to import, and few restores need it.
            from restore.schedule.cluster import open_cluster, with_jobs  # noqa: PLC0415

            cluster = stack.enter_context(open_cluster(options))
            options = with_jobs(options, cluster)
            options = replace(options, backup=options.backup.absolute())  # as workers find it
        return _restore(options, watch, confirm, cluster)


def _restore(
    options: Options,
    watch: ProgressCallback,
    confirm: Confirm | None,
    cluster: Cluster | None,
) -> Report:
    started = time.monotonic()
    if isinstance(options.rejects, RemotePath) and not options.resume:
        check_free(options.rejects, SUFFIX)
    done = _attempt(options, watch, confirm, cluster)
    outages = 0
    while done.lost and done.report.resumable and outages < _MOST_OUTAGES:
        before = done.report
        if not wait_until_available(options.retry_for_s, lambda: connect(options.dsn).close()):
            break
        watch(WarningEvent(f"{before.error}; the connection is restored, and the restore resumes"))
        try:
            done = _attempt(replace(done.options, resume=True), watch, None, cluster)
        except ConnectionLostError:
            outages += 1
            continue
        done.report.warnings = list(dict.fromkeys([*before.warnings, *done.report.warnings]))
        # An outage that comes again and again at the same place is no outage.
        outages = 0 if _read(done.report) > _read(before) else outages + 1
    report = done.report
    report.wall_s = time.monotonic() - started
    report.peak_bytes = peak_bytes()
    if isinstance(options.rejects, RemotePath) and not report.resumable:
        upload_rejects(report, options.rejects)
    report.next_steps = next_steps(report, replace(done.options, resume=options.resume))
    return report


def _read(report: Report) -> int:
    return sum(table.read for table in report.tables)


def _attempt(
    options: Options,
    watch: ProgressCallback,
    confirm: Confirm | None,
    cluster: Cluster | None,
) -> _Attempt:
    """Run a restore once, until it is done or stops.

    Raises:
        RestoreError: nothing was written.
    """
    backup = find_backup(options.backup, options.format)
    report = Report(
        backup=str(backup.path),
        dry_run=options.dry_run,
        native=packer.IS_BUILT,
    )
    report.warnings += dsn_warnings(options.dsn)
    given = options
    with connect_for(options) as conn:
        try:
            with contextlib.ExitStack() as undo:
                if options.create:
                    # It takes a tenth of a second to import, and few restores need it.
                    from restore.commands.create import create_tables  # noqa: PLC0415

                    options = create_tables(conn, backup, options, watch, undo)
                executor: ExecutorFactory = ThreadExecutor
                if cluster is not None:
                    executor = cluster.executor(conn, options, backup.files)
                prepared = prepare(conn, backup, options, report, watch=watch, confirm=confirm)
                rejects = _rejects_folder(options, backup.path, prepared.unfinished)
                tables = len(prepared.plan.loads)
                watch(BackupFound(path=str(backup.path), newest=backup.newest, tables=tables))
                for warning in report.warnings:
                    watch(WarningEvent(warning))
                if not options.atomic:
                    undo.pop_all()
                job = RestoreJob(
                    *(conn, options, prepared, report),
                    watch=watch,
                    rejects_folder=rejects,
                    make_executor=executor,
                )
                done = _load(conn, options, job, prepared.plan, report, watch=watch)
                if report.error is None:
                    undo.pop_all()
                elif options.atomic:  # the tables are dropped, and made again by the next attempt
                    done = done._replace(options=given)
        except psycopg.Error as error:
            raise to_load_error(error) from error
    if report.lost:
        report.rejects = str(rejects)
    return done


def _load(
    conn: psycopg.Connection,
    options: Options,
    job: RestoreJob,
    plan: Plan,
    report: Report,
    *,
    watch: ProgressCallback,
) -> _Attempt:
    """Run the load, then inspect the database even if it failed."""
    lost = False
    checkpoints = forced_checkpoints(conn)
    try:
        with conn.transaction() if plan.mode.is_atomic else contextlib.nullcontext():
            job.run()
    except KeyboardInterrupt as interrupt:
        raise Interrupted(needs_repair=job.needs_repair, resumable=job.resumable) from interrupt
    except psycopg.errors.LockNotAvailable as error:
        stopped = lock_error(conn, error, plan.tables, "ACCESS EXCLUSIVE")
        for note in getattr(error, "__notes__", ()):
            stopped.add_note(note)
        report.error = clip(describe(stopped))
    except (RestoreError, psycopg.Error) as error:
        report.error, lost = clip(describe(error)), is_lost(error)
    report.resumable = report.error is not None and job.resumable
    report.needs_repair = job.needs_repair
    done = _Attempt(report, lost, options)
    is_idle = not conn.closed and conn.info.transaction_status is TransactionStatus.IDLE
    if not (plan.mode.writes_target and is_idle):
        return done
    try:
        if report.error is not None:
            for load in plan.loads:
                report.warnings += set_sequences(conn, load.table)
        report.stale += stale_views(conn, plan.tables)
        warning = checkpoint_warning(conn, checkpoints)
    except psycopg.Error as error:
        warning = f"cannot inspect the database after the load: {describe(error)}"
    if warning is not None:
        report.warnings.append(warning)
        watch(WarningEvent(warning))
    return done


def _rejects_folder(
    options: Options, backup: BackupPath, unfinished: UnfinishedRestore | None
) -> Path:
    """Return the local folder for rejects; never one that may hold those of another restore.

    What belongs into a store is written there, and uploaded at the end.
    """
    if unfinished is not None:
        return rejects_folder_of(unfinished, options)
    if isinstance(options.rejects, Path):
        return options.rejects
    now = datetime.now(tz=UTC).strftime("%Y%m%dT%H%M%SZ")
    return Path("rejects") / f"{backup.name}-{now}"
