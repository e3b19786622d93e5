"""What goes on beside a trial is seen: on a real server, with a real process that is in the way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil

from harness.trial.observer import _server_s, cached_share, observe

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from harness.servers import RunningServer

SPINNER = "import time\nwhile time.process_time() < 0.4: pass"


def test_another_process_is_seen(server: RunningServer) -> None:
    """Its parent ends at once, so that it is no child of ours."""
    orphan = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SPINNER!r}])"
    with server.connect() as connection:
        ended = observe(connection, server.pid, ())
        began = time.monotonic()
        # The orphan holds our end of its output, so that this returns when it has ended.
        subprocess.run([sys.executable, "-c", orphan], check=True, stdout=subprocess.PIPE)
        heard, took_s = ended(), time.monotonic() - began
    assert heard.other_cores is not None
    assert heard.other_cores * took_s > 0.3


def test_the_time_of_a_session_that_ends_while_the_server_is_read_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy = f"{SPINNER}\nprint(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", busy], stdin=-1, stdout=-1, text=True) as child:
        assert child.stdout is not None
        before_s = _server_s(os.getpid())
        child.stdout.readline()
        cpu_times = psutil.Process.cpu_times

        def end_the_child_afterwards(process: psutil.Process) -> Any:
            times = cpu_times(process)
            if child.returncode is None:
                child.communicate("\n")
            return times

        monkeypatch.setattr(psutil.Process, "cpu_times", end_the_child_afterwards)
        assert _server_s(os.getpid()) - before_s > 0.3


def test_a_checkpoint_that_is_asked_for_is_counted(server: RunningServer) -> None:
    with server.connect() as connection, server.connect() as other:
        ended = observe(connection, server.pid, ())
        other.execute("CHECKPOINT")
        heard = ended()
    assert heard.checkpoints is not None
    assert heard.checkpoints >= 1
    assert heard.load is not None
    assert heard.swapped_bytes is not None


def test_the_page_cache_is_looked_into(tmp_path: Path) -> None:
    file = tmp_path / "users.json"
    file.write_bytes(b"x" * (1 << 20))
    assert cached_share([file]) == 1.0
    assert cached_share([]) is None
    assert cached_share([tmp_path / "missing"]) is None
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    assert cached_share([file]) == 0.0
