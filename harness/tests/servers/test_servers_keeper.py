"""The keeper of the embedded server: however the harness ends, nothing stays behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from harness.servers import ServerError, open_server
from harness.tests.processes import comes_true, ended

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 30.0

# A harness that has a server and a database, says which, and goes on until it is stopped.
HARNESS = """
import sys, time
from harness.servers import open_server
with open_server(sys.argv[1], announce=lambda _: None) as server, server.database() as dsn:
    with server.connect("postgres") as connection:
        folder = connection.execute("SHOW data_directory").fetchone()[0]
        print(server.pid, folder, flush=True)
        time.sleep(600)
"""


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for all temporary files, also of child processes.

    Not ``tmp_path``: another pytest on this machine closes that to the user that root's server
    runs as.
    """
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def gone(*paths_and_pids: str | int) -> bool:
    return not any(
        not ended(thing) if isinstance(thing, int) else Path(thing).exists()
        for thing in paths_and_pids
    )


def eventually_gone(*paths_and_pids: str | int) -> bool:
    return comes_true(lambda: gone(*paths_and_pids), PATIENCE_S)


@contextlib.contextmanager
def another_harness() -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    harness = subprocess.Popen(
        [sys.executable, "-c", HARNESS, "embedded"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parents[3],
        process_group=0,
    )
    assert harness.stdout is not None
    try:
        yield harness, harness.stdout.readline().split()
    finally:
        harness.kill()
        harness.wait()
        harness.stdout.close()


@pytest.mark.slow
def test_closing_leaves_no_process_and_no_file() -> None:
    with open_server("embedded", announce=print) as server:
        with server.connect("postgres") as connection:
            row = connection.execute("SHOW data_directory").fetchone()
        assert row is not None
        assert server.pid is not None
        folder = Path(row[0]).parent
        assert not gone(server.pid)
        assert not gone(str(folder))
    assert gone(server.pid, str(folder))


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_harness_that_is_stopped_leaves_no_server_and_no_folder(how: signal.Signals) -> None:
    with another_harness() as (harness, (pid, folder)):
        os.killpg(harness.pid, how)  # as a terminal does: the whole foreground group
        harness.wait(PATIENCE_S)
        assert eventually_gone(int(pid), folder, str(Path(folder).parent))


@pytest.mark.slow
def test_a_harness_killed_while_its_server_starts_leaves_nothing(
    temporary: Path,
) -> None:
    harness = subprocess.Popen(
        [sys.executable, "-c", HARNESS, "embedded"], cwd=Path(__file__).parents[3]
    )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not list(temporary.glob("restorebench-*")) and time.monotonic() < deadline:
            time.sleep(0.01)
        (folder,) = temporary.glob("restorebench-*")
    finally:
        harness.kill()
        harness.wait()
    assert eventually_gone(str(folder))
    assert not [
        process for process in psutil.process_iter(["cmdline"]) if str(folder) in str(process.info)
    ]


@pytest.mark.slow
def test_a_folder_name_too_long_for_a_socket_works(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = temporary / ("d" * 120)
    deep.mkdir()
    monkeypatch.setenv("TMPDIR", str(deep))
    with open_server("embedded", announce=print) as server, server.database() as dsn:
        assert str(deep) not in dsn
    assert not list(deep.iterdir())


def test_a_keeper_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.servers.lease.KEEPER", "harness.servers.no_such_keeper")
    expected = "the keeper of the server exited before the server started"
    with pytest.raises(ServerError, match=expected), open_server("embedded", announce=print):
        pass


@pytest.mark.slow
def test_a_server_that_does_not_start_shows_the_last_line_of_its_log(
    temporary: Path,
) -> None:
    expected = "the embedded server exited during start .*unrecognized configuration parameter"
    wrong = {"no_such_setting": "1"}
    with (
        pytest.raises(ServerError, match=expected),
        open_server("embedded", announce=print, settings=wrong),
    ):
        pass
    assert not list(temporary.iterdir())
