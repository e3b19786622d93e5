"""The command ``python -m restore``: arguments, exit codes, and all that is printed."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from restore.errors import BackupError, RestoreError
from restore.options import DEFAULT_CHUNK_BYTES, Options
from restore.progress import Progress
from restore.render import render
from restore.run import restore

if TYPE_CHECKING:
    from restore.progress import Event
    from restore.report import Report

_EXIT_OK = 0
_EXIT_FAILED = 1
_EXIT_REJECTS = 3
_PROGRESS_EVERY_S = 2.0


# Rows are no cycles, and there are many: with Python's own threshold, looking for cycles among them
# took 7% of the time of a restore of 100,000 records.
_GC_THRESHOLD = 50_000


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code. See docs/formats.md."""
    # psycopg warns of every connection that an interrupt ended; our own line says that.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)
    parser = _parser()
    given = parser.parse_args(arguments)
    dsn = given.dsn or os.environ.get("DATABASE_URL")
    if not dsn:
        parser.error("where to? give --dsn postgresql://user@host/database, or set DATABASE_URL")
    try:
        options = Options(
            backup=given.backup,
            dsn=dsn,
            rejects=given.rejects,
            schema=given.schema,
            exclude=frozenset(given.exclude),
            clean=given.clean,
            append=given.append,
            chunk_bytes=given.chunk_bytes,
        )
        _check_writable(given.report)
        report = restore(options, _Narrator())
    except RestoreError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _say(
            "interrupted; the tables hold a part of the backup, and some of their indexes and"
            " foreign keys may be aside: restore it again with --clean, which puts all that right"
        )
        return _EXIT_FAILED
    print(render(report))
    return _write_report(given.report, report) or _verdict(report)


def _write_report(path: Path | None, report: Report) -> int:
    """Write the report where one is wanted; return an exit code other than 0 if that fails."""
    try:
        if path is not None:
            path.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    except OSError as error:
        _say(f"cannot write the report {path}: {error.strerror}")
        return _EXIT_FAILED
    return _EXIT_OK


def _verdict(report: Report) -> int:
    if report.error is not None:
        _say(f"stopped before the end: {report.error}")
        return _EXIT_FAILED
    return _EXIT_OK if report.complete else _EXIT_REJECTS


def _say(line: str) -> None:
    print(f"restore: {line}", file=sys.stderr)


def _check_writable(path: Path | None) -> None:
    """See before a long restore that its report can be written after it."""
    if path is not None and not os.access(path.parent, os.W_OK):
        raise BackupError(f"cannot write the report {path}: its folder is not there or not ours")


class _Narrator:
    """Prints a plain line now and then, and one when a table begins."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._table = ""

    def __call__(self, progress: Event, /) -> None:
        if not isinstance(progress, Progress):
            return
        now = time.monotonic()
        if progress.table == self._table and now - self._last < _PROGRESS_EVERY_S:
            return
        self._table, self._last = progress.table, now
        print(
            f"[{progress.number}/{progress.tables}] {progress.table}: {progress.rows:,} records,"
            f" {progress.bytes_read / 1e6:,.1f} MB read",
            file=sys.stderr,
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m restore",
        description="Restore a JSON backup into a PostgreSQL database whose schema exists.",
        epilog="Exit codes: 0 all restored; 3 finished, with rejects; 1 failed, or stopped before"
        " the end; 2 usage or input that makes no sense.",
    )
    parser.add_argument(
        "backup",
        type=Path,
        help="a folder of table files (users.json, .jsonl, .ndjson, each also .gz or .zst), a root"
        " of folders named YYYYMMDD_HHMMSS, of which the newest is taken, or one table file",
    )
    parser.add_argument(
        "--dsn",
        metavar="URL",
        help="the target: postgresql://user@host/database; a password is better given in PGPASSWORD"
        " (default: $DATABASE_URL)",
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the report as JSON")
    parser.add_argument(
        "--rejects",
        type=Path,
        metavar="DIR",
        help="where records go that could not be restored (default: a new folder in rejects/)",
    )
    parser.add_argument(
        "--schema", help="the schema of the tables (default: what the search path finds)"
    )
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="TABLE", help="leave a table's file out"
    )
    parser.add_argument("--clean", action="store_true", help="empty the backup's tables first")
    parser.add_argument(
        "--append", action="store_true", help="load beside the rows that the tables hold"
    )
    parser.add_argument(
        "--chunk-bytes",
        type=int,
        default=DEFAULT_CHUNK_BYTES,
        metavar="N",
        help="how much is decoded, and sent as one COPY, at a time (default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
