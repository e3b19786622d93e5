"""Retries repaired rejects; a record that loads is removed from its reject file.

A reject file is a table file: its records are in ``raw``, which the user edits or replaces by the
object. They are loaded by the same ladder, beside existing rows and with every constraint in force.
A record that is refused again stays in the file with the new reason. Tables are retried as long as
that helps, since a record may refer to another one.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, cast

import psycopg

from restore.commands.fields import with_fields
from restore.commands.unfinished import check_no_unfinished_restore
from restore.constraints.finalize import finish
from restore.decode import packer
from restore.decode.convert import Converter
from restore.decode.shapes import ShapeLearner
from restore.errors import BackupError, LoadError, RestoreError, SchemaError
from restore.journal.checkpoints import NoCheckpoints
from restore.load.ladder import Ladder
from restore.load.upsert import make_destination
from restore.plan.columns import check_map_column
from restore.plan.matching import Match
from restore.plan.order import make_plan, with_policies
from restore.plan.preflight import check_rights, check_scattered, describe_target, read_server
from restore.plan.sample import sample_of
from restore.plan.values import decide
from restore.rejects.limits import RejectLimits
from restore.rejects.reader import (
    RejectEntry,
    RejectLine,
    read_entries,
    read_reject_files,
    to_batches,
)
from restore.rejects.writer import RejectFile
from restore.remote.path import RemotePath
from restore.report.events import TableDone
from restore.report.model import Levels, Report, TableReport, peak_bytes
from restore.report.next_steps import next_steps
from restore.source.discovery import TableFile
from restore.source.records import Damage
from restore.target import catalog
from restore.target.connection import connect_for, flush, users_search_path
from restore.target.own_rows import temporary_write_log
from restore.target.relations import read_relations
from restore.target.session_locks import acquire_restore_lock
from restore.target.sqlstate import describe
from restore.text import clip

if TYPE_CHECKING:
    from pathlib import Path

    from restore.options import Options
    from restore.plan.order import Load
    from restore.remote.path import BackupPath
    from restore.report.events import ProgressCallback

_FOREIGN_KEY_VIOLATION = "23503"
# The file that a try writes, until it takes the place of the one that it reads.
_NEW = ".retry"
_SAMPLED = 1_000


def retry(path: BackupPath, options: Options, watch: ProgressCallback = lambda _: None) -> Report:
    """Restore the records of reject files to their tables.

    Args:
        path: a folder of reject files, or one of them. What is restored is taken out of them.
        options: the target, and how to restore; ``backup`` and ``rejects`` are ignored.
        watch: receives progress.

    Returns:
        The outcome of every record. If the load itself failed, ``error`` says why.

    Raises:
        RestoreError: nothing was written: the files, the database or both do not fit.
    """
    started = time.monotonic()
    if isinstance(path, RemotePath):
        raise BackupError(
            f"cannot retry {path}: what is restored is taken out of the files; copy them to a"
            " local folder, and retry that"
        )
    files = read_reject_files(path)
    report = Report(backup=str(path), rejects=str(path), native=packer.IS_BUILT)
    with connect_for(options) as conn:
        try:
            loads = _match(conn, files, options, report)
        except psycopg.Error as error:
            raise LoadError(describe(error)) from error
        report.tables = [
            TableReport(table=load.table.name, schema=load.table.schema, file=load.file.path.name)
            for load in loads
        ]
        try:
            _Retry(conn, loads, options, report.tables, watch).run()
            flush(conn)
        except (RestoreError, psycopg.Error) as error:
            report.error = clip(describe(error))
    report.wall_s = time.monotonic() - started
    report.peak_bytes = peak_bytes()
    report.next_steps = next_steps(report, options, retry=True)
    return report


def _match(
    conn: psycopg.Connection, files: dict[Path, RejectLine], options: Options, report: Report
) -> tuple[Load, ...]:
    """Find the table of each file, parents first, and check the role's rights.

    Raises:
        SchemaError: there is none.
    """
    relations = [r for r in read_relations(conn, options.schema) if not r.unsupported_kind]
    found: dict[int, Match] = {}
    for path, line in files.items():
        named = [r for r in relations if r.name == line.table]
        schema = options.schema or line.schema
        meant = [r for r in named if (r.visible if schema is None else r.schema == schema)]
        if not meant:
            raise SchemaError(
                f"no table {line.table} in the database for {path}: create it, or name its schema"
                " with --schema"
            )
        if meant[0].oid in found:
            other = found[meant[0].oid].file.path
            raise SchemaError(f"{path} and {other} are both for table {meant[0].display_name}")
        found[meant[0].oid] = Match(TableFile(path, line.table, None), meant[0])
    server = read_server(conn)
    report.target = describe_target(conn, server)
    report.server = f"PostgreSQL {server.version}"
    check_rights(conn, server, found, options)
    relations = [match.relation for match in found.values()]
    check_scattered(conn, relations, replace(options, triggers=True), report)
    acquire_restore_lock(conn)
    check_no_unfinished_restore(conn, options)
    matched = {oid: match.file for oid, match in found.items()}
    tables = catalog.read_tables(conn, matched)
    check_map_column(tables.values(), options)
    policies = {}
    for oid, file in matched.items():
        entries = islice(chain.from_iterable(read_entries(_local(file))), _SAMPLED)
        raws = [entry.record.raw for entry in entries]
        tables[oid] = with_fields(tables[oid], sample_of(raws), options, report, file=file.name)
        policies[oid] = decide(tables[oid], raws, options, may_infer=False)
    return with_policies(make_plan(matched, tables), policies).loads


def _local(file: TableFile) -> Path:
    """Return the path of a reject file, which is a local one."""
    return cast("Path", file.path)


class _Retry:
    """Retries the rejects of tables as long as that loads any."""

    def __init__(
        self,
        conn: psycopg.Connection,
        loads: tuple[Load, ...],
        options: Options,
        reports: list[TableReport],
        watch: ProgressCallback,
    ) -> None:
        self._watch = watch
        self._conn = conn
        merges = options.on_conflict != "reject"
        self._writes = temporary_write_log(conn) if merges else None
        self._options = replace(options, append=True, clean=False, cascade=False)
        self._limits = RejectLimits(self._options, lambda: reports)
        self._loads = dict(zip((load.table.oid for load in loads), loads, strict=True))
        self._reports = dict(zip(self._loads, reports, strict=True))

    def run(self) -> None:
        """Retry every table, and repeat those that wait for a parent.

        Raises:
            RestoreError: the load stopped; what is undecided is still in the reject files.
        """
        waiting = set(self._loads)
        while waiting:
            loaded = 0
            orphans: dict[int, int] = defaultdict(int)
            for oid, load in self._loads.items():
                if oid in waiting:
                    before = self._reports[oid].loaded
                    orphans[oid] = self._try(load, self._reports[oid])
                    loaded += self._reports[oid].loaded - before
            waiting = {oid for oid, count in orphans.items() if count and loaded}
        for number, (oid, load) in enumerate(self._loads.items(), 1):
            finish(self._conn, load.table)
            self._watch(TableDone(number, len(self._loads), self._reports[oid]))
        self._limits.at_end()

    def _try(self, load: Load, total: TableReport) -> int:
        """Retry one table's rejects; return how many a foreign key still refuses."""
        path = _local(load.file)
        if not path.exists():
            return 0
        started = time.monotonic()
        report = TableReport(table=total.table, schema=total.schema, file=total.file)
        new = RejectFile(path.parent, load.table.schema, load.table.name, path.name + _NEW)
        ladder = self._ladder(load, report, new)
        entries = read_entries(path)
        try:
            with users_search_path(self._conn):
                for group in entries:
                    self._try_group(ladder, group, report, new)
        except BaseException:
            for group in entries:
                _keep_lines(new, group)
            raise
        finally:
            new.sync()
            new.close()
            _add(total, report)
            total.wall_s += time.monotonic() - started
            if not self._try_flush():  # all records stay in their file
                new.path.unlink(missing_ok=True)
            elif new.has_rejects:
                new.path.replace(path)
            else:
                path.unlink()
        return sum(r.count for r in report.reasons if r.sqlstate == _FOREIGN_KEY_VIOLATION)

    def _try_flush(self) -> bool:
        """Flush the rows to the server's disk; tell if that worked."""
        try:
            flush(self._conn)
        except psycopg.Error:
            return False
        return True

    def _ladder(self, load: Load, report: TableReport, rejects: RejectFile) -> Ladder:
        options = self._options
        converter = Converter(options.timezone, load.policies)
        return Ladder(
            self._conn,
            load.table,
            destination=make_destination(self._conn, load.table, options, self._writes),
            converter=converter,
            shapes=ShapeLearner(load.table, converter),
            options=options,
            rejects=rejects,
            report=report,
            limits=self._limits,
            log=NoCheckpoints(self._conn, load.table.oid, self._writes),
        )

    def _try_group(
        self, ladder: Ladder, group: list[RejectEntry], report: TableReport, new: RejectFile
    ) -> None:
        before = report.accounted
        try:
            for found in to_batches(group):
                if isinstance(found, Damage):
                    ladder.damage(found)
                else:
                    ladder.load(found)
        except BaseException:
            _keep_lines(new, group[report.accounted - before :])
            raise


def _keep_lines(file: RejectFile, entries: list[RejectEntry]) -> None:
    for entry in entries:
        file.write_line(entry.line)


def _add(total: TableReport, tried: TableReport) -> None:
    """Add one attempt's counts to a table's: a record that was refused before is now loaded."""
    if not total.read:
        total.read = tried.read
    total.loaded += tried.loaded
    total.levels = Levels(
        **{
            name: getattr(total.levels, name) + getattr(tried.levels, name)
            for name in Levels.__struct_fields__
        }
    )
    total.skipped += tried.skipped
    total.replaced += tried.replaced
    total.rejected = tried.rejected
    total.duplicates = tried.duplicates - tried.skipped + total.skipped
    total.reasons = tried.reasons
    total.unknown_fields |= tried.unknown_fields
    total.other_unknown_fields = max(total.other_unknown_fields, tried.other_unknown_fields)
    for change, count in tried.changed.items():
        total.count_changes([change], count)
    total.warnings = sorted({*total.warnings, *tried.warnings})
