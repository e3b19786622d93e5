"""The command line of engines in Python: arguments, exit codes, and the report."""

from __future__ import annotations

import argparse
import contextlib
import functools
import gzip
import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

import psycopg
from psycopg.conninfo import conninfo_to_dict

from harness.model.errors import ExitCode, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Files = dict[str, Path]
_STAMP = re.compile(r"\d{8}_\d{6}")
_REPORT_SCHEMA = 2


class Restore(Protocol):
    """Restores a backup."""

    def __call__(self, dsn: str, files: Files, read: dict[str, int]) -> None:
        """Restore ``files`` (by table), and count in ``read`` the records of each table."""


class ParallelRestore(Protocol):
    """Restores a backup over several connections."""

    def __call__(self, dsn: str, files: Files, read: dict[str, int], *, jobs: int) -> None:
        """Restore ``files``, as ``Restore`` does, over ``jobs`` connections."""


def main(restore: Restore, engine: str, arguments: Sequence[str] | None = None) -> int:
    """Restore a backup as ``engine``, write the report and return the exit code."""
    return _run(restore, engine, _parser(restore, engine).parse_args(arguments))


def parallel_main(
    restore: ParallelRestore, engine: str, arguments: Sequence[str] | None = None
) -> int:
    """Restore a backup as ``main`` does, over as many connections as ``--jobs`` says."""
    parser = _parser(restore, engine)
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="connections (default 1)")
    options = parser.parse_args(arguments)
    return _run(functools.partial(restore, jobs=options.jobs), engine, options)


def _parser(restore: Restore | ParallelRestore, engine: str) -> argparse.ArgumentParser:
    about = (sys.modules[restore.__module__].__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog=engine, description=about)
    parser.add_argument("backup", type=Path, help="a backup folder, or a root of stamped ones")
    parser.add_argument("--dsn", required=True, help="the target, its tables empty")
    parser.add_argument("--report", type=Path, help="write what was done as JSON")
    return parser


def _run(restore: Restore, engine: str, options: argparse.Namespace) -> int:
    read: dict[str, int] = {}
    started_s = time.monotonic()
    error, code = None, ExitCode.OK
    try:
        check_dsn(options.dsn)
        restore(options.dsn, table_files(options.backup), read)
    except InputError as problem:
        error, code = str(problem), ExitCode.USAGE
    except KeyboardInterrupt:
        error, code = "stopped; nothing was restored", ExitCode.FAILED
    except Exception as problem:  # noqa: BLE001 - after any error nothing is restored
        error, code = _one_line(problem), ExitCode.FAILED
    if error is not None:
        print(f"{engine}: {error}", file=sys.stderr)
    if options.report is not None:
        report = _report(engine, read, error) | {"wall_s": time.monotonic() - started_s}
        options.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return code


def _report(engine: str, read: dict[str, int], error: str | None) -> dict[str, object]:
    failed = error is not None
    tables = [
        {
            "table": table,
            "read": count,
            "loaded": 0 if failed else count,
            "duplicates": 0,
            "rejected": count if failed else 0,
        }
        for table, count in read.items()
    ]
    return {"schema": _REPORT_SCHEMA, "engine": engine, "tables": tables, "error": error}


def _one_line(problem: Exception) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0]


def check_dsn(dsn: str) -> None:
    """Refuse what libpq cannot read in our own words: its own may quote parts of a password."""
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        parts = {"port": "?"}
    if not re.fullmatch(r"[\d,]*", str(parts.get("port") or "")) or "@" in str(parts.get("host")):
        raise InputError("--dsn is not a connection string: write postgresql://user@host:5432/name")


def table_files(backup: Path) -> Files:
    """Return the files of a backup, or of the newest in a root of backups, by their table."""
    if not backup.is_dir():
        raise InputError(f"no backup at {backup}: name a folder of .json files")
    stamped = [path for path in backup.iterdir() if path.is_dir() and _STAMP.fullmatch(path.name)]
    folder = max(stamped, default=backup, key=lambda path: path.name)
    files = {path.name.split(".json")[0]: path for path in sorted(folder.glob("*.json*"))}
    files.pop("manifest", None)
    if not files or any(path.suffix not in {".json", ".gz"} for path in files.values()):
        raise InputError(f"{folder} holds other files than .json and .json.gz, or none")
    return files


@contextlib.contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """Open a table's file, decompressed."""
    with file.open("rb") as stream:
        if file.suffix == ".gz":
            with gzip.open(stream) as unpacked:
                yield unpacked  # type: ignore[misc]  # it reads as one
        else:
            yield stream
