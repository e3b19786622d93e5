"""PgBouncer before a test's server, on a Unix socket."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from psycopg.conninfo import conninfo_to_dict

from restore.tests.support.waiting import await_server

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
PORT = 6432
START_S = 20.0


@contextlib.contextmanager
def bouncer(database: Any, mode: str, **settings: Any) -> Iterator[str]:
    """Start PgBouncer in a pool mode; yield the URL that leads through it to the database.

    A test is skipped if there is no PgBouncer, and fails if one is required.
    """
    if not Path(PROGRAM).exists():
        if os.environ.get("RESTOREBENCH_REQUIRE_PGBOUNCER"):
            pytest.fail("no pgbouncer, and RESTOREBENCH_REQUIRE_PGBOUNCER is set", pytrace=False)
        pytest.skip("needs pgbouncer")
    target = {k: str(v) for k, v in conninfo_to_dict(database.dsn).items() if v is not None}
    user = target.get("user", "postgres")
    target["password"] = database.server.env.get("PGPASSWORD", target.get("password", ""))
    place = " ".join(f"{k}={target[k]}" for k in ("host", "port", "password") if target.get(k))
    with tempfile.TemporaryDirectory(prefix="bouncer-", dir="/tmp") as folder:
        lines = {
            "unix_socket_dir": folder,
            "listen_port": PORT,
            "auth_type": "any",
            "pool_mode": mode,
            "ignore_startup_parameters": "extra_float_digits",
            **settings,
        }
        config = Path(folder, "pgbouncer.ini")
        config.write_text(
            f"[databases]\n* = {place} user={user}\n[pgbouncer]\n"
            + "".join(f"{name} = {value}\n" for name, value in lines.items()),
            encoding="utf-8",
        )
        owner = _owner(target.get("host", ""))
        for path in (Path(folder), config):
            os.chown(path, owner, -1)
        with _started(config, owner) as log:
            url = f"postgresql://{user}@/{target['dbname']}?host={quote(folder)}&port={PORT}"
            await_server(url, log, START_S)
            yield url


def _owner(host: str) -> int:
    """Return a user who reaches the server's socket; PgBouncer does not run as root."""
    if os.geteuid() != 0:
        return os.geteuid()
    owner = Path(host).stat().st_uid if host.startswith("/") else 0
    return owner or 65_534


@contextlib.contextmanager
def _started(config: Path, owner: int) -> Iterator[Path]:
    log = config.with_name("log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [PROGRAM, str(config)],
            stdout=output,
            stderr=output,
            user=owner if owner != os.geteuid() else None,
        )
    try:
        yield log
    finally:
        process.kill()
        process.wait()
