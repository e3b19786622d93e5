"""pgloader: CSV on its standard input, table after table, with triggers disabled.

pgloader reads no JSON, so a small program makes CSV of each file, in a pipe. pgloader commits each
batch of 25,000 rows, and the foreign keys here have a cycle, so ``disable triggers`` leaves them
unchecked, as its documentation advises for tables that exist. Rows that PostgreSQL
rejects go to files of pgloader, and it goes on; its exit code does not tell.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from harness.engines.shared.command import Files, main
from harness.engines.shared.database import connect, parents_first, set_sequences

_TO_CSV = (sys.executable, "-P", "-m", "harness.engines.peers.pgloader.to_csv")
_PGLOADER = shutil.which("pgloader") or "pgloader"
_COMMAND = """
LOAD CSV FROM stdin INTO {url} TARGET TABLE "public"."{table}"
WITH quote identifiers, {options},
    fields optionally enclosed by '"', fields escaped by double-quote, fields terminated by ',';
"""


def restore(dsn: str, files: Files, read: dict[str, int]) -> None:
    """Load all tables, parents first."""
    with connect(dsn) as connection:
        tables = parents_first(connection, files)
    for table in tables:
        read[table] = load(dsn, table, files[table], "disable triggers")
    with connect(dsn) as connection:
        set_sequences(connection, tables)


def load(dsn: str, table: str, file: Path, options: str) -> int:
    """Load a table, and return how many of its rows were accepted.

    Raises:
        RuntimeError: pgloader fails, or the file cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        command, summary = Path(folder, "command.load"), Path(folder, "summary.csv")
        text = _COMMAND.format(url=url(dsn), table=table, options=options)
        command.write_text(text, encoding="utf-8")
        with subprocess.Popen((*_TO_CSV, dsn, table, str(file)), stdout=subprocess.PIPE) as lines:  # noqa: S603
            done = subprocess.run(  # noqa: S603 - no shell
                (_PGLOADER, "--root-dir", folder, "--summary", str(summary), str(command)),
                stdin=lines.stdout,
                capture_output=True,
                text=True,
                check=False,
            )
            if lines.stdout is not None:
                lines.stdout.close()
        loaded = rows(summary) if summary.is_file() else None
        if done.returncode != 0 or loaded is None:
            raise RuntimeError(f"pgloader failed: table {table}, exit code {done.returncode}")
        if lines.returncode != 0:
            raise RuntimeError(f"{file.name} cannot be read")
    return loaded


def rows(summary: Path) -> int | None:
    """Return the number of rows of the table in pgloader's summary, or None if it has no table."""
    with summary.open(encoding="utf-8", newline="") as stream:
        for name, _, accepted, *_ in csv.reader(
            stream, delimiter=";", escapechar="\\", doublequote=False
        ):
            if name.startswith('"'):
                return int(accepted)
    return None


def url(dsn: str) -> str:
    """Return the URL of the target as pgloader reads it."""
    parts: dict[str, Any] = conninfo_to_dict(dsn)
    host = str(parts.get("host", "localhost"))
    host = f"unix:{host}" if host.startswith("/") else host
    password = parts.get("password") or os.environ.get("PGPASSWORD")
    secret = f":{str(password).replace('@', '@@').replace(':', '::')}" if password else ""
    return (
        f"postgresql://{parts['user']}{secret}@{host}:{parts.get('port', 5432)}/{parts['dbname']}"
    )


if __name__ == "__main__":
    sys.exit(main(restore, "pgloader"))
