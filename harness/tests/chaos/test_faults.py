"""Each kind of fault lands on what it says, with real processes, and on nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from harness.chaos import restorer
from harness.chaos.choices import FaultChoice
from harness.chaos.faults import KINDS, Hit, Scene
from harness.chaos.proxy import HOST, Proxy
from harness.tests.processes import ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack

    from harness.chaos.target import Target

    Eventually = Callable[[Callable[[], bool]], bool]

VICTIM = Path(__file__).with_name("victim.py")
CHOICE = FaultChoice(kind="", fraction=0.0, victim=0.0, hold_s=0.5, retry_for_s=0)

# In a process of its own: the mounts are that process's.
DISKS = """
import errno, pathlib, sys
from harness.chaos import disk
try:
    disk.separate()
    small = disk.mount(pathlib.Path(sys.argv[1]) / "small")
except disk.NoDiskError as error:
    sys.exit(f"cannot: {error}")
(small.folder / "before").write_bytes(b"x" * 100_000)
small.fill()
try:
    (small.folder / "more").write_bytes(b"x" * 100_000)
except OSError as error:
    assert error.errno == errno.ENOSPC, error
else:
    sys.exit("there was room")
small.free()
(small.folder / "more").write_bytes(b"x" * 100_000)
disk.unmount(small)
assert list(small.folder.iterdir()) == []
"""


@pytest.fixture
def scene(
    mortal: Target, database: str, tmp_path: Path, closing: ExitStack, eventually: Eventually
) -> Iterator[Scene]:
    """A victim that runs, its session through a proxy."""
    proxy = closing.enter_context(Proxy(mortal.socket).serving())
    dsn = mortal.dsn_through(HOST, proxy.port, database)
    mark = restorer.new_mark()
    argv = (sys.executable, str(VICTIM), dsn)
    process = restorer.start(argv, os.environ, mark, tmp_path / "log")
    closing.callback(restorer.end, mark)
    assert eventually(lambda: (tmp_path / "log").read_text().endswith("\n"))
    yield Scene(mortal, proxy, None, database, process)
    process.process.kill()
    process.process.wait()


def worker_and_session(scene: Scene) -> tuple[int, int]:
    worker, session = scene.restorer.log.read_text().splitlines()[0].split()
    return int(worker), int(session)


def land(kind: str, scene: Scene) -> Hit:
    hit = KINDS[kind].inject(scene, CHOICE)
    assert hit is not None
    return hit


def end(scene: Scene) -> tuple[int, str]:
    """Return how the victim ended, and what it said last."""
    code = scene.restorer.process.wait(timeout=60)
    return code, scene.restorer.log.read_text().splitlines()[-1]


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("restorer-sigkill", signal.SIGKILL),
        ("restorer-sigterm", signal.SIGTERM),
        ("restorer-sigint", signal.SIGINT),
    ],
)
def test_a_signal_reaches_the_restorer_alone(
    scene: Scene, kind: str, number: signal.Signals, eventually: Eventually
) -> None:
    worker, _ = worker_and_session(scene)
    hit = land(kind, scene)
    assert str(scene.restorer.pid) in hit.text
    assert end(scene)[0] == -number
    if number != signal.SIGINT:  # which lets it clean up
        assert runs(worker)
        assert [process.pid for process in restorer.marked_processes(scene.restorer.mark)] == [
            worker
        ]
    restorer.end(scene.restorer.mark)
    assert eventually(lambda: not runs(worker))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["restorer-sigkill", "restorer-sigterm", "restorer-sigint"])
def test_a_restorer_that_has_ended_is_not_hit(scene: Scene, kind: str) -> None:
    os.kill(scene.restorer.pid, signal.SIGKILL)
    # It has ended, and nobody has asked yet how.
    os.waitid(os.P_PID, scene.restorer.pid, os.WEXITED | os.WNOWAIT)
    assert KINDS[kind].inject(scene, CHOICE) is None


def test_a_session_is_ended_as_an_administrator_does(scene: Scene) -> None:
    before = scene.target.processes()[0]
    _, session = worker_and_session(scene)
    assert land("session-terminated", scene).text == f"session pid {session}"
    code, said = end(scene)
    assert (code, said.split(":")[0]) == (1, "lost 57P01") or "terminating" in said
    assert scene.target.processes()[0] == before
    assert KINDS["session-terminated"].inject(scene, CHOICE) is None


def test_a_session_that_is_killed_takes_all_others_with_it(scene: Scene) -> None:
    before = scene.target.processes()[0]
    _, session = worker_and_session(scene)
    with scene.target.connect() as bystander:
        assert land("session-sigkill", scene).text == f"session pid {session}"
        assert end(scene)[0] == 1
        with scene.target.connect():  # once it is back
            assert bystander.closed or not psutil.pid_exists(bystander.info.backend_pid)
    assert scene.target.processes()[0] == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["server-stopped", "server-killed"])
def test_a_server_that_is_gone_comes_back(scene: Scene, kind: str) -> None:
    before = scene.target.processes()
    with scene.target.connect(scene.database) as connection:
        connection.execute("INSERT INTO t VALUES (7)")
    hit = land(kind, scene)
    assert hit.text.startswith(f"server pid {before[0].pid}")
    assert end(scene)[0] == 1
    with scene.target.connect(scene.database) as connection:
        assert connection.execute("SELECT a FROM t").fetchall() == [(7,)]
    after = scene.target.processes()
    assert after[0].pid != before[0].pid
    assert all(ended(process.pid) for process in before)


@pytest.mark.parametrize("kind", ["connection-reset", "network-down"])
def test_a_connection_is_lost(scene: Scene, kind: str) -> None:
    hit = land(kind, scene)
    assert hit.text.startswith("1 connection")
    assert end(scene)[0] == 1
    assert scene.proxy.connections == 0
    assert KINDS[kind].inject(scene, CHOICE) is None
    if hit.end is not None:
        hit.end()


def test_a_connection_that_stalls_stays(scene: Scene, eventually: Eventually) -> None:
    _, session = worker_and_session(scene)
    hit = land("connection-stalled", scene)
    assert hit.hold_s == CHOICE.hold_s
    scene.target.terminate(session)
    assert eventually(lambda: scene.target.sessions(scene.database) == [])
    assert scene.restorer.exit_code is None  # it has not heard of it
    assert hit.end is not None
    hit.end()
    assert end(scene)[0] == 1


def test_without_small_disks_none_is_filled(scene: Scene) -> None:
    assert KINDS["disk-full-tables"].inject(scene, CHOICE) is None
    assert KINDS["disk-full-rejects"].inject(scene, CHOICE) is None


def test_a_small_disk_is_full_and_has_room_again(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DISKS, str(tmp_path)], check=False, capture_output=True, text=True
    )
    if done.stderr.startswith("cannot: "):
        pytest.skip(done.stderr.strip())
    assert (done.returncode, done.stderr) == (0, "")
    assert list((tmp_path / "small").iterdir()) == []  # nothing of it was ever seen from here
