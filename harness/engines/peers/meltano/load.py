"""Meltano: `meltano run` of a tap and of its target-postgres, from whose tables SQL moves the rows.

The target makes tables of its own, so it loads into the staging schema. The schemas that the tap
declares follow the target's catalog. What target-postgres has no types for (times with a zone,
enums, bytes) is text there, and is cast as the rows are moved.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL

from harness.engines.shared import staging
from harness.engines.shared.command import Files, main
from harness.engines.shared.database import columns_of, connect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.engines.shared.database import Connection

_TAP, _TARGET = "tap-json", "target-postgres"
_INTEGER = {"type": ["integer", "null"]}
_NUMBER = {"type": ["number", "null"]}
_DOCUMENT = {"type": ["object", "array", "string", "number", "boolean", "null"]}
_TEXT = {"type": ["string", "null"]}
# What a stream declares of a column, by its type; others are text.
_SCHEMAS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("int2", "int4", "int8"), _INTEGER),
    **dict.fromkeys(("numeric", "float4", "float8"), _NUMBER),
    **{name: _TEXT | {"format": "date-time"} for name in ("date", "timestamp")},
    **dict.fromkeys(("json", "jsonb"), _DOCUMENT),
    "bool": {"type": ["boolean", "null"]},
    "uuid": _TEXT | {"format": "uuid"},
    "_text": {"type": ["array", "null"], "items": _TEXT},
}
# The target writes a null as the document null where a column is of documents.
VALUES = {"bytea": "decode({0}, 'base64')", "jsonb": "nullif({0}, 'null')"}
_KEYS = """
    SELECT a.attname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a
        ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
    WHERE i.indisprimary AND i.indrelid = %s::regclass
"""


def restore(dsn: str, files: Files, read: dict[str, int]) -> None:
    """Load all files into the staging schema, then move the rows."""
    with staging.dropped_afterwards(dsn):
        load(dsn, files, read, {})
        staging.move(dsn, files, VALUES)


def load(dsn: str, files: Files, read: dict[str, int], settings: Mapping[str, Any]) -> None:
    """Run tap and target, with settings of the target, and count the rows of its tables.

    Raises:
        RuntimeError: tap or target failed.
    """
    with connect(dsn) as connection:
        streams = [_stream(connection, table, file) for table, file in files.items()]
    with tempfile.TemporaryDirectory() as folder:
        _run(Path(folder), dsn, streams, settings)
    with connect(dsn) as connection:
        for table in files:
            name = sql.Identifier(staging.SCHEMA, table)
            counted = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(name))
            read[table] = counted.fetchall()[0][0]


def _stream(connection: Connection, table: str, file: Path) -> dict[str, Any]:
    """Return the tap's configuration of a file."""
    columns = columns_of(connection, table)
    name = sql.Identifier(table).as_string(connection)
    properties = {column: _SCHEMAS.get(kind, _TEXT) for column, kind in columns.items()}
    return {
        "name": table,
        "path": str(file.absolute()),
        "schema": {"type": "object", "properties": properties},
        "key_properties": [key for (key,) in connection.execute(_KEYS, [name]).fetchall()],
    }


def _run(
    folder: Path, dsn: str, streams: list[dict[str, Any]], settings: Mapping[str, Any]
) -> None:
    """Run a pipeline in a project of its own, which lies in ``folder``."""
    programs = Path(sys.executable).parent
    tap = folder / _TAP
    tap.write_text(_script(), encoding="utf-8")
    tap.chmod(0o700)
    project = _project(tap, programs / _TARGET, streams, settings)
    (folder / "meltano.yml").write_text(json.dumps(project), encoding="utf-8")  # JSON is YAML too
    done = subprocess.run(  # noqa: S603 - no shell
        [str(programs / "meltano"), "run", _TAP, _TARGET],
        cwd=folder,
        env={**os.environ, "TARGET_POSTGRES_SQLALCHEMY_URL": _url(dsn), "PGTZ": "UTC"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        said = [line for line in done.stdout.splitlines() if f"] {_TARGET}" in line]
        reason = said[-1].partition(_TARGET)[2].strip() if said else "no output of the target"
        raise RuntimeError(f"meltano run failed: exit code {done.returncode}: {reason}")


def _script() -> str:
    """Return the program of the tap: Meltano hides PYTHONPATH from the programs that it calls."""
    paths = os.pathsep.join(filter(None, sys.path))
    call = [sys.executable, "-P", "-m", "harness.engines.peers.meltano.tap"]
    return f'#!/bin/sh\nPYTHONPATH={shlex.quote(paths)} exec {shlex.join(call)} "$@"\n'


def _project(
    tap: Path, target: Path, streams: list[dict[str, Any]], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a project of two custom plugins, whose programs are there."""
    configured = {"default_target_schema": staging.SCHEMA, **settings}
    extractor = {
        "name": _TAP,
        "namespace": "tap_json",
        "executable": str(tap),
        "capabilities": ["catalog", "discover"],
        "settings": [{"name": "files", "kind": "array"}],
        "config": {"files": streams},
    }
    loader = {
        "name": _TARGET,
        "namespace": "target_postgres",
        "executable": str(target),
        "settings": [{"name": name} for name in ("sqlalchemy_url", *configured)],
        "config": configured,
    }
    return {
        "default_environment": "restore",
        "environments": [{"name": "restore"}],
        "send_anonymous_usage_stats": False,
        "plugins": {"extractors": [extractor], "loaders": [loader]},
    }


def _url(dsn: str) -> str:
    """Return the address of the target in SQLAlchemy's form, with the driver that COPY needs."""
    words = {name: str(value) for name, value in conninfo_to_dict(dsn).items()}
    user, password = words.pop("user", None), words.pop("password", None)
    database = words.pop("dbname", None)
    url = URL.create("postgresql+psycopg", user, password, database=database, query=words)
    return url.render_as_string(hide_password=False)


if __name__ == "__main__":
    sys.exit(main(restore, "meltano"))
