"""A restore from beginning to end: plan, read, decode, copy, constraints, report."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import psycopg
from psycopg import sql

from restore import catalog
from restore.backup import find_backup
from restore.constraints import STILL_ASIDE, bring_back, put_aside
from restore.copy import prepare
from restore.errors import LoadError, RestoreError, SchemaError
from restore.ladder import Ladder
from restore.orphans import reject_orphans
from restore.plan import BOOKKEEPING, Load, Plan, make_plan, match_files
from restore.read import Batch, Reader
from restore.rejects import RejectFile
from restore.report import Report, TableReport, peak_bytes

if TYPE_CHECKING:
    from restore.backup import TableFile
    from restore.catalog import ForeignKey
    from restore.options import Options

# What the session needs: no limit on how long a statement may take, dates without a zone in UTC,
# and no wait for the disk at each batch's commit (one durable flush stands at the end).
_SESSION = """
    SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET client_encoding = 'UTF8';
    SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;
    SET synchronous_commit = off
"""
# A commit that waits for the disk waits for all that was written before it as well.
_FLUSH = """
    SET synchronous_commit = on;
    SELECT pg_logical_emit_message(true, 'restore', 'done')
"""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a restore is: the table in work, its number, what was read of it."""

    table: str
    number: int
    tables: int
    rows: int
    bytes_read: int


class Watcher(Protocol):
    """Is told of progress after every batch, from the thread that restores; must be quick."""

    def __call__(self, progress: Progress, /) -> None:
        """Take note of how far the restore is."""


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
    with connect(options.dsn) as conn:
        names = catalog.table_names(conn, options.schema)
        files, left_out = match_files(backup, names, options.exclude)
        left_out += _make_room(conn, files, options)
        _repair(conn)
        plan = make_plan(files, catalog.read_tables(conn, files), left_out)
        report.left_out += plan.left_out
        job = _Job(
            conn,
            options,
            plan,
            report,
            watch=watch,
            rejects_folder=_rejects_folder(options, backup.path),
        )
        try:
            job.run()
        except (RestoreError, psycopg.Error) as error:
            lines = [str(error), *getattr(error, "__notes__", ())]
            report.error = " ".join("; ".join(lines).split())
    if report.lost:
        report.rejects = str(job.rejects_folder)
    report.wall_s = time.monotonic() - started
    report.peak_bytes = peak_bytes()
    return report


def connect(dsn: str) -> psycopg.Connection:
    """Connect to the target, each statement its own transaction.

    Raises:
        LoadError: the connection string is none, or nobody answers. Never holds the password.
    """
    try:
        conn = psycopg.connect(dsn, autocommit=True, application_name="restore")
    except psycopg.ProgrammingError as error:
        # The message of libpq would quote the string, password and all.
        raise LoadError(
            "--dsn is no connection string: expected postgresql://user@host:5432/database"
        ) from error
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        raise LoadError(f"the database does not answer: {reason}") from error
    conn.execute(_SESSION)
    prepare(conn)
    return conn


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


class _Job:
    """The part of a restore that writes."""

    def __init__(
        self,
        conn: psycopg.Connection,
        options: Options,
        plan: Plan,
        report: Report,
        *,
        watch: Watcher,
        rejects_folder: Path,
    ) -> None:
        self.rejects_folder = rejects_folder
        self._conn = conn
        self._options = options
        self._plan = plan
        self._watch = watch
        self._reports = {load.table.oid: TableReport(table=load.table.name) for load in plan.loads}
        report.tables += self._reports.values()

    def run(self) -> None:
        """Load every table, bring the foreign keys back, and see that all of it is on disk.

        Raises:
            RestoreError: the load stopped.
        """
        aside = self._put_aside()
        with contextlib.ExitStack() as stack:
            rejects = {
                load.table.oid: stack.enter_context(
                    RejectFile(self.rejects_folder, load.table.name)
                )
                for load in self._plan.loads
            }
            try:
                for load in self._plan.loads:
                    self._load(load, rejects[load.table.oid])
                    self._finish(load)
            except BaseException as error:
                self._bring_back_after(error)
                raise
            try:
                bring_back(self._conn)
            except psycopg.errors.ForeignKeyViolation:
                reject_orphans(
                    self._conn,
                    self._plan,
                    aside,
                    rejects,
                    self._reports,
                    chunk_bytes=self._options.chunk_bytes,
                )
                bring_back(self._conn)
        self._conn.execute(_FLUSH)

    def _put_aside(self) -> tuple[ForeignKey, ...]:
        """Put foreign keys aside: all where the tables are empty, else those that must be.

        Raises:
            LoadError: the role may not, and some must be.
        """
        tables = {load.table.oid: load.table for load in self._plan.loads}
        keys = self._plan.cyclic if self._options.append else self._plan.keys
        if not keys:
            return ()
        try:
            put_aside(self._conn, tables, keys)
        except psycopg.errors.InsufficientPrivilege as error:
            if not self._plan.cyclic:
                return ()  # slower, but parents are loaded before their children
            raise LoadError(
                f"{error.diag.message_primary}: tables that refer to each other in a cycle need"
                " their owner, with the right to create a schema in the database"
            ) from error
        return keys

    def _bring_back_after(self, error: BaseException) -> None:
        """Bring the foreign keys back after a load that failed, if that can be."""
        if self._conn.broken:
            return
        try:
            bring_back(self._conn)
        except (psycopg.Error, RestoreError):
            error.add_note(STILL_ASIDE)

    def _load(self, load: Load, rejects: RejectFile) -> None:
        report = self._reports[load.table.oid]
        ladder = Ladder(self._conn, load.table, rejects, report)
        started = time.monotonic()
        number = list(self._reports).index(load.table.oid) + 1
        with contextlib.closing(load.file.open()) as stream:
            reader = Reader(stream, self._options.chunk_bytes, ladder.decode)
            try:
                for found in reader:
                    if isinstance(found, Batch):
                        ladder.load(found)
                    else:
                        ladder.damage(found)
                    self._watch(
                        Progress(
                            load.table.name,
                            number,
                            len(self._reports),
                            report.read,
                            reader.bytes_read,
                        )
                    )
            except RestoreError as error:
                report.error = " ".join(str(error).split())
                raise
            finally:
                report.wall_s = time.monotonic() - started
        if stream.fault is not None:
            report.warnings.append(stream.fault)
        if reader.cut_off_at is not None:
            report.warnings.append(
                f"{load.file.path.name} is cut off at byte {reader.cut_off_at:,}: its array is not"
                " closed, so records may be missing that nobody can name"
            )

    def _finish(self, load: Load) -> None:
        """Set a table's sequences behind its highest values, and gather its statistics."""
        for sequence in load.table.sequences:
            self._conn.execute(
                sql.SQL(
                    "SELECT setval({sequence}, max({column})) FROM {table}"
                    " HAVING max({column}) > (SELECT last_value FROM {name})"
                ).format(
                    sequence=sql.Literal(
                        sql.Identifier(sequence.schema, sequence.name).as_string(self._conn)
                    ),
                    name=sql.Identifier(sequence.schema, sequence.name),
                    column=sql.Identifier(sequence.column),
                    table=load.table.identifier,
                )
            )
        self._conn.execute(sql.SQL("ANALYZE {}").format(load.table.identifier))
