"""A restore from beginning to end: plan, read, decode, copy, constraints, report."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from restore import catalog
from restore.backup import find_backup
from restore.constraints import STILL_ASIDE, bring_back
from restore.errors import LoadError, RestoreError, SchemaError
from restore.job import Job
from restore.plan import BOOKKEEPING, make_plan, match_files
from restore.report import Report, peak_bytes
from restore.session import connect

if TYPE_CHECKING:
    from restore.backup import Backup, TableFile
    from restore.options import Options
    from restore.plan import Plan
    from restore.progress import Watcher


def restore(options: Options, watch: Watcher = lambda _: None) -> Report:
    """Restore a backup into a database whose schema exists.

    Args:
        options: what, where to, and how.
        watch: is told of progress.

    Returns:
        What became of every record. Where the load itself failed, ``error`` says why, and the
        counts are those of what had arrived by then.

    Raises:
        RestoreError: nothing was written: the backup, the database or both do not fit.
    """
    started = time.monotonic()
    backup = find_backup(options.backup)
    report = Report(backup=str(backup.path))
    rejects = _rejects_folder(options, backup.path)
    with connect(options.dsn) as conn:
        try:
            plan = _prepare(conn, backup, options)
        except psycopg.Error as error:
            raise LoadError(_one_line(error)) from error
        report.left_out += plan.left_out
        try:
            Job(conn, options, plan, report, watch=watch, rejects_folder=rejects).run()
        except (RestoreError, psycopg.Error) as error:
            report.error = _one_line(error)
    if report.lost:
        report.rejects = str(rejects)
    report.wall_s = time.monotonic() - started
    report.peak_bytes = peak_bytes()
    return report


def _prepare(conn: psycopg.Connection, backup: Backup, options: Options) -> Plan:
    """Match the files with the tables, make room, and plan.

    Raises:
        RestoreError: backup and database do not fit.
        psycopg.Error: the role may not read or empty a table.
    """
    names = catalog.table_names(conn, options.schema)
    files, left_out = match_files(backup, names, options.exclude)
    left_out += _make_room(conn, files, options)
    _repair(conn)
    return make_plan(files, catalog.read_tables(conn, files), left_out)


def _one_line(error: Exception) -> str:
    lines = [str(error), *getattr(error, "__notes__", ())]
    return " ".join("; ".join(lines).split())


def _make_room(
    conn: psycopg.Connection, files: dict[int, TableFile], options: Options
) -> list[str]:
    """Empty the tables if that was asked for; else see that they are empty.

    Returns:
        A line for each file that was taken out of ``files``: a migration tool's books, which the
        target has already.

    Raises:
        SchemaError: tables hold rows, or others refer to them.
    """
    tables = catalog.identifiers(conn, files)
    filled = [oid for oid in files if not options.append and _has_rows(conn, tables[oid])]
    books = [oid for oid in filled if files[oid].table in BOOKKEEPING]
    left_out = [f"{files.pop(o).path.name}: a migration tool's own table, filled" for o in books]
    filled = [oid for oid in filled if oid in files]
    if filled and not options.clean:
        names = ", ".join(files[oid].table for oid in filled)
        raise SchemaError(
            f"not empty: {names}; --clean empties the backup's tables first, --append loads beside"
            " what is there"
        )
    if filled:
        _truncate(conn, [tables[oid] for oid in files])
    return left_out


def _repair(conn: psycopg.Connection) -> None:
    """Bring back what a killed restore left aside.

    Raises:
        LoadError: there are orphans.
    """
    try:
        bring_back(conn)
    except psycopg.errors.ForeignKeyViolation as error:
        raise LoadError(f"{error.diag.message_detail} {STILL_ASIDE}") from error


def _has_rows(conn: psycopg.Connection, table: sql.Identifier) -> bool:
    query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(table)
    return conn.execute(query).fetchone() == (True,)


def _truncate(conn: psycopg.Connection, tables: list[sql.Identifier]) -> None:
    try:
        conn.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(tables)))
    except psycopg.errors.FeatureNotSupported as error:
        raise SchemaError(
            f"--clean would orphan rows outside the backup: {error.diag.message_detail} Empty that"
            " table yourself, or add it to the backup"
        ) from error


def _rejects_folder(options: Options, backup: Path) -> Path:
    """Return where the rejects go: never a folder that may hold those of another restore."""
    if options.rejects is not None:
        return options.rejects
    now = datetime.now(tz=UTC).strftime("%Y%m%dT%H%M%SZ")
    return Path("rejects") / f"{backup.name}-{now}"
