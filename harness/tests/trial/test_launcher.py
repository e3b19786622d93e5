"""The launcher, against processes whose time, memory and children are known."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.model.errors import HarnessError
from harness.model.outcome import End, Outcome
from harness.tests.processes import ends_soon
from harness.trial import launcher, meter, sampling
from harness.trial.meter import Command, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
LAUNCHER = Path(launcher.__file__)
# Written in one go, so that processes that share an output do not write into each other's lines.
OWN_PEAK = (
    "import os; os.write(1, [l.split()[1].encode() + b'\\n' for l in open('/proc/self/status')"
    " if l.startswith('VmHWM')][0])"
)

needs_proc = pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no /proc here")


def run(folder: Path, code: str, *, timeout_s: float = 60, limit: int | None = None) -> Outcome:
    return meter.run(command(folder, sys.executable, "-c", code), Limits(timeout_s, limit))


def command(folder: Path, *argv: str) -> Command:
    return Command(argv, folder, dict(os.environ), folder / "stdout", folder / "stderr")


def read_soon(path: Path) -> str:
    """Return what a file holds once it holds something."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.02)
    raise AssertionError(f"nothing in {path}")


def test_the_clock_agrees_with_the_process(tmp_path: Path) -> None:
    # It says itself how long it slept, so that a busy machine makes both longer.
    slept = "import time; a = time.monotonic(); time.sleep(0.5); print(time.monotonic() - a)"
    outcome = run(tmp_path, slept)
    assert outcome.wall_s is not None
    assert outcome.wall_s >= float((tmp_path / "stdout").read_text())


def test_processor_time_is_the_processs_own(tmp_path: Path) -> None:
    outcome = run(tmp_path, "import time\nwhile time.process_time() < 0.5: pass")
    assert outcome.user_s is not None
    assert outcome.system_s is not None
    assert 0.5 <= outcome.user_s + outcome.system_s <= (outcome.wall_s or 0) + 0.1


@needs_proc
def test_the_peak_is_the_kernels(tmp_path: Path) -> None:
    spike = f"b = b'x' * {200 * MIB}; del b; import time; time.sleep(1); {OWN_PEAK}"
    outcome = run(tmp_path, spike)
    own = int((tmp_path / "stdout").read_text()) * 1024
    assert outcome.peak_source == sampling.EXACT
    assert outcome.peak_bytes == pytest.approx(own, rel=0.02)
    assert own > 200 * MIB


@needs_proc
def test_the_peak_is_not_that_of_whoever_started_it(tmp_path: Path) -> None:
    ballast = b"x" * (150 * MIB)  # getrusage would report it for the child, too
    outcome = run(tmp_path, "import time; time.sleep(1)")
    assert outcome.peak_bytes is not None
    assert outcome.peak_bytes < 50 * MIB < len(ballast)


@pytest.mark.slow
@needs_proc
def test_the_memory_of_children_is_summed(tmp_path: Path) -> None:
    child = f"b = b'x' * {60 * MIB}; import time; time.sleep(2); {OWN_PEAK}"
    parent = (
        "import subprocess, sys\n"
        f"all = [subprocess.Popen([sys.executable, '-c', {child!r}]) for _ in range(3)]\n"
        f"[one.wait() for one in all]; {OWN_PEAK}"
    )
    outcome = run(tmp_path, parent)
    each = [int(line) * 1024 for line in (tmp_path / "stdout").read_text().split()]
    assert outcome.peak_source == sampling.TREE
    assert outcome.peak_bytes is not None
    assert 180 * MIB < outcome.peak_bytes < sum(each)


@needs_proc
def test_what_is_allocated_at_the_very_end_is_in_the_peak(tmp_path: Path) -> None:
    outcome = run(tmp_path, f"import os; b = b'x' * {90 * MIB}; os._exit(0)")
    assert outcome.peak_source == sampling.EXACT
    assert outcome.peak_bytes is not None
    assert 90 * MIB < outcome.peak_bytes < 130 * MIB
    assert outcome.curve is not None
    assert max(outcome.curve.bytes) == outcome.peak_bytes


@needs_proc
def test_the_processor_time_of_children_is_in_the_curve(tmp_path: Path) -> None:
    busy = "import time\nwhile time.process_time() < 0.5: pass"
    parent = (
        "import subprocess, sys, time\n"
        f"subprocess.run([sys.executable, '-c', {busy!r}])\n"
        f"{busy}\ntime.sleep(0.5)"
    )
    outcome = run(tmp_path, parent)
    assert outcome.cpu_curve is not None
    at_s, cpu_ms = outcome.cpu_curve.at_s, outcome.cpu_curve.cpu_ms
    assert outcome.user_s is not None
    assert outcome.system_s is not None
    assert cpu_ms[-1] == pytest.approx(1000 * (outcome.user_s + outcome.system_s), abs=20)
    assert list(cpu_ms) == sorted(cpu_ms)
    assert any(400 < value < 900 for value in cpu_ms)  # while the child was, or had been, running
    assert outcome.wall_s is not None
    assert at_s[-1] == pytest.approx(outcome.wall_s, abs=0.01)
    assert outcome.server_cpu_curve is None


@needs_proc
def test_a_program_smaller_than_the_launcher_has_its_own_peak(tmp_path: Path) -> None:
    """The kernel's mark includes what the launcher held when it forked."""
    command = meter.Command(
        ("sleep", "0.3"), tmp_path, dict(os.environ), tmp_path / "out", tmp_path / "err"
    )
    outcome = meter.run(command, Limits(60))
    assert outcome.peak_source == sampling.ONE_PROCESS
    assert outcome.peak_bytes is not None
    assert outcome.peak_bytes < 8 * MIB


def test_psutil_meters_where_there_is_no_proc(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", f"b = b'x' * {80 * MIB}; input()"], stdin=-1
    ) as it:
        watch = sampling.PsutilMeter(it.pid)
        deadline = time.monotonic() + 20
        while watch.peak_bytes < 80 * MIB and time.monotonic() < deadline:
            watch.sample(0.0)
        it.communicate(b"\n")
    assert watch.peak_bytes > 80 * MIB
    assert "psutil" in watch.peak_source


@pytest.mark.parametrize("limit", [100 * MIB, None])
def test_the_memory_limit_stops_who_goes_over_it(tmp_path: Path, limit: int | None) -> None:
    sleep_s = 600 if limit else 0  # it has to be seen before it ends
    code = f"b = b'x' * {200 * MIB}; import time; time.sleep({sleep_s})"
    outcome = run(tmp_path, code, limit=limit)
    assert outcome.end is (End.OOM if limit else End.EXITED)


def test_a_timeout_is_kept(tmp_path: Path) -> None:
    outcome = run(tmp_path, "import time; time.sleep(600)", timeout_s=0.3)
    assert outcome.end is End.TIMEOUT
    assert outcome.exit_code is None
    assert outcome.wall_s is not None
    assert 0.3 <= outcome.wall_s < 30


@pytest.mark.parametrize(
    ("code", "end", "exit_code", "number"),
    [
        ("pass", End.EXITED, 0, None),
        ("import sys; sys.exit(3)", End.EXITED, 3, None),
        ("import os; os.kill(os.getpid(), 9)", End.SIGNALLED, None, 9),
        ("import os; os.abort()", End.SIGNALLED, None, 6),
    ],
)
def test_how_a_process_ended_is_told(
    tmp_path: Path, code: str, end: End, exit_code: int | None, number: int | None
) -> None:
    outcome = run(tmp_path, code)
    assert (outcome.end, outcome.exit_code, outcome.signal) == (end, exit_code, number)


@pytest.mark.parametrize("program", ["/no/such/program", "/etc/passwd"])
def test_what_cannot_be_executed_is_told(tmp_path: Path, program: str) -> None:
    outcome = meter.run(command(tmp_path, program), Limits(60))
    assert outcome.end is End.NOT_STARTED
    assert program in (outcome.error or "")


def test_an_engine_has_what_a_program_expects(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "print(repr(sys.stdin.read()), os.getsid(0) == os.getpid(), os.getcwd())\n"
        "print(sorted(os.listdir('/proc/self/fd'))[:-1] if os.path.isdir('/proc') else '')"
    )
    run(tmp_path, code)
    first, second = (tmp_path / "stdout").read_text().splitlines()
    assert first == f"'' True {tmp_path}"
    assert second in {
        "['0', '1', '2']",
        "",
    }  # nothing of the launcher's or the harness's stays open


def test_a_launcher_that_fails_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "LAUNCHER", tmp_path / "missing.py")
    with pytest.raises(HarnessError, match="launcher"):
        run(tmp_path, "pass")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_an_engine_that_kills_or_stops_its_launcher_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(meter, "LAUNCHER_PATIENCE_S", 0.5)
    code = f"import os, time; os.kill(os.getppid(), {number:d}); time.sleep(30)"
    outcome = run(tmp_path, code, timeout_s=1)
    assert outcome.end is End.SIGNALLED
    assert outcome.error == "its launcher ended by SIGKILL"


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int, int]]:
    """Have a launcher, its engine, and a child of the engine that left the session."""
    grandchild = "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(600)"
    engine = (
        "import os, subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {grandchild!r}])\n"
        "print(os.getpid(), flush=True)\n"
        "time.sleep(600)"
    )
    order = meter._order(command(tmp_path, sys.executable, "-c", engine), Limits(600))
    with subprocess.Popen(
        [sys.executable, "-I", "-S", LAUNCHER, order],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as started:
        deadline = time.monotonic() + 20
        while len(pids := read_soon(tmp_path / "stdout").split()) < 2:
            assert time.monotonic() < deadline
        yield started, int(pids[0]), int(pids[1])
        started.kill()


def test_it_stops_the_whole_tree_when_asked(
    launched: tuple[subprocess.Popen[bytes], int, int],
) -> None:
    started, *engine = launched
    started.send_signal(signal.SIGTERM)
    told, _ = started.communicate(timeout=20)
    assert json.loads(told)["end"] == "interrupted"
    assert all(map(ends_soon, engine))


def test_it_stops_the_whole_tree_when_the_harness_lets_go(
    launched: tuple[subprocess.Popen[bytes], int, int],
) -> None:
    started, *engine = launched
    assert started.stdin is not None
    started.stdin.close()
    assert started.wait(20) == 0
    assert all(map(ends_soon, engine))


@needs_proc
def test_an_engine_does_not_outlive_a_launcher_that_is_killed(
    launched: tuple[subprocess.Popen[bytes], int, int],
) -> None:
    started, *engine = launched
    started.kill()
    started.wait(20)
    assert any(map(ends_soon, engine))  # at least the engine itself; its children are its own
    for pid in engine:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_harness_that_is_killed_takes_everything_with_it(tmp_path: Path) -> None:
    engine = "import os, time; print(os.getpid(), os.getppid(), flush=True); time.sleep(600)"
    harness = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from harness.trial.meter import Command, Limits, run\n"
        f"here = Path({str(tmp_path)!r})\n"
        f"argv = (sys.executable, '-c', {engine!r})\n"
        "run(Command(argv, here, dict(os.environ), here / 'stdout', here / 'stderr'), Limits(600))"
    )
    with subprocess.Popen([sys.executable, "-c", harness], cwd=LAUNCHER.parents[2]) as started:
        pids = [int(pid) for pid in read_soon(tmp_path / "stdout").split()]
        started.kill()
    assert len(pids) == 2
    assert all(map(ends_soon, pids))
