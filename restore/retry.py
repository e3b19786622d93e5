"""Rejects, repaired by hand, get another try: what goes in leaves its reject file.

A reject file is a table file of another kind: its records stand in ``raw``, which a person has
edited, or has replaced by the object itself. They go up the same ladder, beside the rows that are
there and with every constraint in force. What is refused again stays in the file, with its reason
of now. Tables are tried again as long as that helps, since a record may refer to another one.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg

from restore import catalog
from restore.advice import next_steps
from restore.backup import TableFile
from restore.destination import destination_for
from restore.errors import BackupError, LoadError, RestoreError, SchemaError
from restore.finish import finish
from restore.ladder import Ladder
from restore.limits import Limits
from restore.matching import Match
from restore.plan import make_plan
from restore.preflight import check_rights, read_server, shown_target
from restore.progress import TableDone
from restore.read import Damage, RawRecord
from restore.rejects import SUFFIX, RejectFile
from restore.relations import read_relations
from restore.report import Levels, Report, TableReport, peak_bytes
from restore.scan import DECODE_ERRORS
from restore.session import be_alone, connect, flush
from restore.single import fields_of
from restore.transient import describe
from restore.values import Converter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from restore.options import Options
    from restore.plan import Load
    from restore.progress import Watcher

_BATCH_RECORDS = 500
_BATCH_BYTES = 1 << 19
_FOREIGN_KEY_VIOLATION = "23503"
# The file that a try writes, until it takes the place of the one that it reads.
_NEW = ".retry"


class _Line(msgspec.Struct):
    """What of a line of a reject file is needed to try its record again."""

    table: str
    schema: str | None = None
    ordinal: int | None = None
    offset: int | None = None
    sqlstate: str | None = None
    raw: msgspec.Raw = msgspec.Raw(b"null")
    raw_base64: str | None = None


_lines = msgspec.json.Decoder(_Line)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line, and the record in it."""

    line: bytes
    record: RawRecord


@dataclass(frozen=True, slots=True)
class _Batch:
    """Records for the ladder, as a batch of a table file is."""

    data: bytes
    entries: list[_Entry]
    rows: Any | None = None

    @property
    def count(self) -> int:
        return len(self.entries)

    def record(self, index: int) -> RawRecord:
        return self.entries[index].record


def retry(path: Path, options: Options, watch: Watcher = lambda _: None) -> Report:
    """Restore the records of reject files into the tables that they were meant for.

    Args:
        path: a folder of reject files, or one of them. What is restored is taken out of them.
        options: where to, and how; ``backup`` and ``rejects`` are not looked at.
        watch: is told of progress.

    Returns:
        What became of every record. Where the load itself failed, ``error`` says why.

    Raises:
        RestoreError: nothing was written: the files, the database or both do not fit.
    """
    started = time.monotonic()
    files = _reject_files(path)
    report = Report(backup=str(path), rejects=str(path))
    with connect(
        options.dsn, timezone=options.timezone, lock_timeout_s=options.lock_timeout_s
    ) as conn:
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
            report.error = describe(error)
    report.wall_s = time.monotonic() - started
    report.peak_bytes = peak_bytes()
    report.next_steps = next_steps(report, options, retry=True)
    return report


def _reject_files(path: Path) -> dict[Path, _Line]:
    """Return the reject files, each with its first line, once every line is known to be sound."""
    if not path.exists():
        raise BackupError(f"no rejects at {path}: give a folder of <table>{SUFFIX}, or such a file")
    paths = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
    files = {}
    try:
        for file in paths:
            first = None
            for line in _checked_lines(file):
                first = first or line
            if first is not None:
                files[file] = first
    except OSError as error:
        raise BackupError(f"cannot read {error.filename}: {error.strerror}") from error
    if not files:
        raise BackupError(f"no rejects in {path}: nothing to restore")
    return files


def _checked_lines(path: Path) -> Iterator[_Line]:
    table = None
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                entry = _lines.decode(line)
                _raw_of(entry)
            except (*DECODE_ERRORS, binascii.Error) as error:
                raise BackupError(f"{path}, line {number}: {error}; repair the line") from error
            if table is not None and table != (entry.schema, entry.table):
                raise BackupError(f"{path}, line {number}: another table than in the lines before")
            table = entry.schema, entry.table
            yield entry


def _raw_of(line: _Line) -> bytes:
    """Return the bytes of a line's record: an object as it stands, or what a string holds."""
    raw = bytes(line.raw)
    if raw.startswith(b'"'):
        return msgspec.json.decode(raw, type=str).encode()
    if raw == b"null" and line.raw_base64 is not None:
        return base64.b64decode(line.raw_base64, validate=True)
    return raw


def _match(
    conn: psycopg.Connection, files: dict[Path, _Line], options: Options, report: Report
) -> tuple[Load, ...]:
    """Find the table of each file, parents first, and see that the role may write there.

    Raises:
        SchemaError: there is none.
    """
    relations = [r for r in read_relations(conn, options.schema) if not r.not_loadable]
    found: dict[int, Match] = {}
    for path, line in files.items():
        named = [r for r in relations if r.name == line.table]
        schema = options.schema or line.schema
        meant = [r for r in named if (r.visible if schema is None else r.schema == schema)]
        if not meant:
            raise SchemaError(f"no table {line.table} in the database for {path}: see --schema")
        if meant[0].oid in found:
            other = found[meant[0].oid].file.path
            raise SchemaError(f"{path} and {other} are both for table {meant[0].shown}")
        found[meant[0].oid] = Match(TableFile(path, line.table, None), meant[0])
    server = read_server(conn)
    report.target = shown_target(conn, server)
    report.server = f"PostgreSQL {server.version}"
    report.warnings += check_rights(conn, server, found, options)
    be_alone(conn)
    matched = {oid: match.file for oid, match in found.items()}
    return make_plan(matched, catalog.read_tables(conn, matched)).loads


class _Retry:
    """Tries tables again as long as that helps."""

    def __init__(
        self,
        conn: psycopg.Connection,
        loads: tuple[Load, ...],
        options: Options,
        reports: list[TableReport],
        watch: Watcher,
    ) -> None:
        self._watch = watch
        self._conn = conn
        self._options = replace(options, append=True, clean=False, cascade=False)
        self._limits = Limits(self._options, reports)
        self._loads = dict(zip((load.table.oid for load in loads), loads, strict=True))
        self._reports = dict(zip(self._loads, reports, strict=True))

    def run(self) -> None:
        """Try every table, and those again that wait for a parent, until nothing moves.

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

    def _try(self, load: Load, total: TableReport) -> int:
        """Try one table's rejects; return how many a foreign key still keeps out."""
        path = load.file.path
        if not path.exists():
            return 0
        started = time.monotonic()
        report = TableReport(table=total.table, schema=total.schema, file=total.file)
        new = RejectFile(path.parent, load.table.schema, load.table.name, path.name + _NEW)
        ladder = self._ladder(load, report, new)
        entries = _entries(path)
        try:
            for group in entries:
                self._try_group(ladder, group, report, new)
        except BaseException:
            for group in entries:
                _keep_lines(new, group)
            raise
        finally:
            new.close()
            _add(total, report)
            total.wall_s += time.monotonic() - started
            new.path.replace(path) if new.used else path.unlink()
        return sum(r.count for r in report.reasons if r.sqlstate == _FOREIGN_KEY_VIOLATION)

    def _ladder(self, load: Load, report: TableReport, rejects: RejectFile) -> Ladder:
        options = self._options
        return Ladder(
            self._conn,
            load.table,
            destination=destination_for(self._conn, load.table, options.on_conflict),
            converter=Converter(options.timezone),
            options=options,
            rejects=rejects,
            report=report,
            limits=self._limits,
        )

    def _try_group(
        self, ladder: Ladder, group: list[_Entry], report: TableReport, new: RejectFile
    ) -> None:
        before = report.decided
        try:
            for found in _batches(group):
                if isinstance(found, Damage):
                    ladder.damage(found)
                else:
                    ladder.load(found)
        except BaseException:
            _keep_lines(new, group[report.decided - before :])
            raise


def _keep_lines(file: RejectFile, entries: list[_Entry]) -> None:
    for entry in entries:
        file.write_line(entry.line)


def _entries(path: Path) -> Iterator[list[_Entry]]:
    """Yield a reject file's entries, so many at a time as make a batch."""
    group: list[_Entry] = []
    size = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines):
            if not line.strip():
                continue
            found = _lines.decode(line)
            ordinal = number if found.ordinal is None else found.ordinal
            record = RawRecord(_raw_of(found), found.offset or 0, ordinal)
            group.append(_Entry(line.rstrip(b"\r\n"), record))
            size += len(line)
            if len(group) >= _BATCH_RECORDS or size >= _BATCH_BYTES:
                yield group
                group, size = [], 0
    if group:
        yield group


def _batches(group: list[_Entry]) -> Iterator[_Batch | Damage]:
    """Part entries, in their order, into batches of records and what is still none."""
    whole: list[_Entry] = []
    for entry in group:
        try:
            fields_of(entry.record.raw)
        except DECODE_ERRORS as error:
            if whole:
                yield _batch(whole)
                whole = []
            yield Damage(entry.record, str(error))
        else:
            whole.append(entry)
    if whole:
        yield _batch(whole)


def _batch(entries: list[_Entry]) -> _Batch:
    return _Batch(b"[%b]" % b",".join(entry.record.raw for entry in entries), entries)


def _add(total: TableReport, tried: TableReport) -> None:
    """Add one try's counts to a table's: what was refused before and went in now is loaded."""
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
    total.warnings = sorted({*total.warnings, *tried.warnings})
