"""Takes the schema of a dataset: from a database, by ``pg_dump``, or from a file of SQL."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import psutil

from harness.model.errors import HarnessError, InputError
from harness.servers import address

_TIMEOUT_S = 300.0
# Left out is what depends on roles, disks and other servers, and not on the rows.
_OPTIONS = (
    *("--schema-only", "--no-owner", "--no-privileges", "--no-tablespaces"),
    *("--no-publications", "--no-subscriptions", "--no-security-labels"),
)
# A command of psql's alone on its line: psql reads it, a server does not.
_META = re.compile(r"^\\(?:restrict|unrestrict|connect|c)\b.*$", re.MULTILINE)
_COPY = re.compile(r"^COPY .* FROM stdin;$", re.MULTILINE)


def from_file(path: Path) -> str:
    """Return the schema in a file, such as ``pg_dump --schema-only`` writes.

    Raises:
        InputError: it cannot be read, or has data.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--schema {path} cannot be read: {error}") from error
    if _COPY.search(text):
        raise InputError(f"--schema {path} has data; write it by pg_dump --schema-only")
    return _META.sub("", text)


def from_database(dsn: str, server_pid: int | None) -> str:
    """Return the schema of a database.

    Args:
        dsn: the database; it is only read.
        server_pid: a server of ours, whose ``pg_dump`` is used; else the one of the system.

    Raises:
        InputError: the DSN is invalid, or there is no ``pg_dump``.
        HarnessError: ``pg_dump`` fails.
    """
    try:
        where = address.parse(dsn)
    except InputError:
        raise InputError(
            "--dsn is invalid; write it as postgresql://user@host:port/database"
        ) from None
    own = Path(psutil.Process(server_pid).exe()).with_name("pg_dump") if server_pid else None
    program = own if own is not None and own.is_file() else shutil.which("pg_dump")
    if program is None:
        raise InputError("--dsn needs pg_dump; install it, or give a --schema")
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program, no shell
        [str(program), *_OPTIONS, f"--dbname={where.url(where.database)}"],
        env={**os.environ, **where.env},
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no output"]
        raise HarnessError(
            f"pg_dump of --dsn failed ({lines[-1]}); check that its role may read the schema"
        )
    return _META.sub("", done.stdout)
