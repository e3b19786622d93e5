"""Sling: one replication of all files into a staging schema, from which SQL moves the rows.

Each file is a stream, and ``flatten: 1`` makes a column of each field, with nested values as
documents; by default, Sling would load each record as one document. It guesses the types of columns
from the first records, so they are given by ``columns``, as its documentation advises, and follow
the target's. It makes tables of its own and has no types for enums and arrays, so the rows are
moved. Sling decodes a file that is an array as a whole.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from sling_linux_amd64 import SLING_BIN

from harness.engines.shared import staging
from harness.engines.shared.command import Files, main
from harness.engines.shared.database import columns_of, connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# What Sling calls the types of columns; others are text.
TYPES = {
    **dict.fromkeys(("int2", "int4", "int8"), "bigint"),
    **dict.fromkeys(("float4", "float8"), "float"),
    **dict.fromkeys(("json", "jsonb", "_text"), "json"),
    "bool": "bool",
    "date": "timestampz",  # which JavaScript writes as an instant
    "numeric": "decimal",
    "timestamp": "timestampz",
    "timestamptz": "timestampz",
    "uuid": "uuid",
}
VALUES = {
    "_text": "CASE WHEN {0} IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text({0})) END",
    "bytea": "decode({0}, 'base64')",
}
_TABLES = "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = ANY(%s)"
_COUNT = sql.SQL("SELECT count(*) FROM {}")
_POLL_S = 0.05
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
REPLICATION = {
    "source": "LOCAL",
    "target": "TARGET",
    "defaults": {
        "mode": "full-refresh",
        "source_options": {"flatten": 1},
        "target_options": {"column_casing": "source"},
    },
}


def restore(dsn: str, files: Files, read: dict[str, int]) -> None:
    """Replicate all files into the staging schema, then move the rows."""
    with staging.dropped_afterwards(dsn):
        replicate(dsn, files)
        read.update(counts(dsn, files))
        staging.move(dsn, read, VALUES)


def replicate(
    dsn: str,
    files: Files,
    settings: Mapping[str, str] = MappingProxyType({}),
    feeder: subprocess.Popen[bytes] | None = None,
) -> None:
    """Load files into their staging tables, one after another.

    Args:
        dsn: the target.
        files: by table.
        settings: variables of Sling's environment.
        feeder: writes the files, if they are pipes.

    Raises:
        RuntimeError: Sling fails, or the feeder; the message is the line of output that says why.
    """
    streams = {
        f"file://{file.resolve()}": {"object": target(table), "columns": columns(dsn, table)}
        for table, file in files.items()
    }
    with tempfile.TemporaryDirectory() as home:
        path, log = Path(home, "replication.json"), Path(home, "log")
        path.write_text(json.dumps({**REPLICATION, "streams": streams}), encoding="utf-8")
        environment = {
            **os.environ,
            **settings,
            "SLING_DISABLE_TELEMETRY": "true",
            "SLING_HOME_DIR": home,
            "TARGET": url(dsn),
        }
        with (
            log.open("wb") as output,
            subprocess.Popen(  # noqa: S603 - no shell
                (SLING_BIN, "run", "--replication", str(path)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            ) as process,
        ):
            try:
                wait(process, feeder)
            finally:
                process.kill()
        if process.returncode != 0:
            raise RuntimeError(f"sling failed: {cause(log)}")


def wait(process: subprocess.Popen[bytes], feeder: subprocess.Popen[bytes] | None) -> None:
    """Wait for Sling, which would wait for ever for a feeder that has died."""
    while feeder is not None and process.poll() is None:
        if feeder.poll():
            raise RuntimeError("a file cannot be read")
        time.sleep(_POLL_S)
    process.wait()


def cause(log: Path) -> str:
    """Return the line of Sling's output that says why it failed."""
    lines = _COLOURS.sub("", log.read_text(encoding="utf-8")).splitlines()
    causes = [line for line in lines if line.startswith(("~ ", "pq: "))]
    return (causes or lines or ["no output"])[-1]


def target(table: str) -> str:
    """Return the name of a table's staging table as Sling reads it."""
    return f'{staging.SCHEMA}."{table}"'


def columns(dsn: str, table: str) -> dict[str, str]:
    """Return the types of a table's columns, as Sling names them."""
    with connect(dsn) as connection:
        found = columns_of(connection, table)
    return {name: TYPES.get(kind, "text") for name, kind in found.items()}


def url(dsn: str) -> str:
    """Return the URL of the target with the password that libpq takes from the environment."""
    parts: dict[str, Any] = conninfo_to_dict(dsn)
    password = parts.get("password") or os.environ.get("PGPASSWORD", "")
    user = f"{quote(str(parts.get('user', '')), safe='')}:{quote(str(password), safe='')}"
    query = "&".join(
        f"{name}={quote(str(parts[name]), safe='/')}"
        for name in ("host", "port", "sslmode")
        if name in parts
    )
    return f"postgresql://{user}@/{quote(str(parts['dbname']), safe='')}?{query}"


def counts(dsn: str, tables: Iterable[str]) -> dict[str, int]:
    """Return how many rows the staging tables have; Sling makes none for an empty file."""
    with connect(dsn) as connection:
        made = connection.execute(_TABLES, [staging.SCHEMA, list(tables)]).fetchall()
        found = {}
        for (table,) in made:
            count = _COUNT.format(sql.Identifier(staging.SCHEMA, table))
            [(found[table],)] = connection.execute(count).fetchall()
    return found


if __name__ == "__main__":
    sys.exit(main(restore, "sling"))
