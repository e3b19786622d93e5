"""The figures of a trial beside those of somebody else who looks at its process, from outside."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.engines.engine import Engine
from harness.tests.processes import comes_true, status
from harness.trial.attempt import TrialContext, attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model.outcome import Attempt

SIZE_BYTES = 150 << 20
PATIENCE_S = 60
LOOKS = 10

# Holds so much memory, says who it is, and ends when it is told to.
HOLDER = """
import os, pathlib, sys, time
told, go = map(pathlib.Path, sys.argv[1:3])
held = b"x" * int(sys.argv[3])
told.with_suffix(".new").write_text(str(os.getpid()))
told.with_suffix(".new").rename(told)
while not go.exists():
    time.sleep(0.01)
"""


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no /proc here")
def test_an_observer_sees_the_same_time_and_memory(
    dataset: Path, tmp_path: Path, context_of: Callable[..., TrialContext]
) -> None:
    told, go, script = tmp_path / "told", tmp_path / "go", tmp_path / "holder.py"
    script.write_text(HOLDER)
    engine = Engine("holder", (sys.executable, *map(str, (script, told, go, SIZE_BYTES))))
    made: list[Attempt] = []
    trial = threading.Thread(target=lambda: made.append(attempt(engine, context_of(dataset))))
    before = time.monotonic()
    trial.start()
    assert comes_true(told.exists, PATIENCE_S)
    pid, seen = int(told.read_text()), time.monotonic()
    launcher = status(pid, "PPid")
    # Until it has been looked at a few times: each time, its launcher falls asleep again.
    slept = status(launcher, "voluntary_ctxt_switches")
    assert comes_true(
        lambda: status(launcher, "voluntary_ctxt_switches") > slept + LOOKS, PATIENCE_S
    )
    peak_bytes, released = status(pid, "VmHWM") * 1024, time.monotonic()
    go.touch()
    trial.join(PATIENCE_S)
    after = time.monotonic()
    [outcome] = [each.outcome for each in made]
    assert peak_bytes > SIZE_BYTES
    assert outcome.peak_bytes == pytest.approx(peak_bytes, rel=0.02)
    assert outcome.wall_s is not None
    assert released - seen <= outcome.wall_s <= after - before
