"""Start one engine, meter it from outside, and say in one line of JSON how it ended.

A script of its own and whole in one file, run by its path with nothing imported but the standard
library, for three reasons. It is small, so that the engine is not forked from a harness of a
hundred megabytes. It watches its standard input, so that when the harness dies, even by SIGKILL,
the engine's whole tree dies with it. And it is the engine's only parent, so that what it waits for
and counts is exact.

    launcher.py '{"argv": [...], "cwd": "...", "stdout": "...", "stderr": "...",
                  "timeout_s": 60, "memory_limit_bytes": null}'

The engine gets the launcher's environment, a session of its own and nothing on its standard input.
Memory is the kernel's own high-water mark (``VmHWM``), which only ever grows, so that the last
sample before the end counts. The peak of ``getrusage`` is no measure here: it survives exec, and so
reports the size of whoever forked.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import select
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn, Protocol

# How often the engine's peak is read. A sample costs the launcher about 150 us, most of it waking
# up (2-core VM, Linux 6.18): 2 % of one core at 10 ms, 3.3 % at 5 ms, 4.7 % at 2 ms. What an
# engine allocates in its last 10 ms can be missed, no more: the kernel keeps the peak until then.
SAMPLE_INTERVAL_S = 0.010

# Each fifth sample looks at the engine's children too, which costs another 70 us a process.
SAMPLES_PER_TREE = 5

# SIGKILL cannot be refused, but a process in an uninterruptible system call dies late.
KILL_PATIENCE_S = 10.0

LIFELINE = 0  # standard input: the harness holds its other end, and closes it by dying

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc/self").is_dir()
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Order:
    """What the harness asks for."""

    argv: list[str]
    cwd: str
    stdout: str
    stderr: str
    timeout_s: float
    memory_limit_bytes: int | None


@dataclass(frozen=True)
class Started:
    """An engine that runs."""

    pid: int
    at: float


class Exit(NamedTuple):
    """An engine that has ended, as ``wait4`` reports it."""

    at: float
    wait_status: int
    user_s: float
    system_s: float


class Meter(Protocol):
    """Watches the memory of a process and its children."""

    peak_bytes: int
    peak_source: str

    def sample(self) -> None:
        """Look once."""


class ProcMeter:
    """Reads ``/proc``: the engine's own high-water mark, and the sum over its tree now and then.

    The sum counts pages that processes share once for each of them: it errs against engines with
    workers. ``Pss`` would divide them, but reading it walks the page tables under the lock that the
    engine's own allocations need.
    """

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self.peak_source = "VmHWM"
        self._own_bytes = 0
        self._tree_bytes = 0
        self._samples = 0
        self._status = os.open(f"/proc/{pid}/status", os.O_RDONLY)

    def sample(self) -> None:
        """Look once."""
        self._own_bytes = self._read_own() or self._own_bytes
        if self._samples % SAMPLES_PER_TREE == 0:
            self._tree_bytes = max(self._tree_bytes, _tree_bytes())
        self._samples += 1
        self.peak_bytes = max(self._own_bytes, self._tree_bytes)
        self.peak_source = "VmHWM" if self.peak_bytes == self._own_bytes else "tree RSS"

    def _read_own(self) -> int | None:
        """Return ``VmHWM``; None once the process has given its memory back."""
        try:
            status = os.pread(self._status, 8192, 0)
        except ProcessLookupError:
            return None
        _, found, rest = status.partition(b"\nVmHWM:")
        return int(rest.split(maxsplit=1)[0]) * 1024 if found else None


class PsutilMeter:
    """Reads resident memory through psutil, where there is no ``/proc``; spikes can be missed."""

    def __init__(self, pid: int) -> None:
        import psutil  # noqa: PLC0415 - no part of the standard library, and only needed here

        self.peak_bytes = 0
        self.peak_source = "tree RSS (psutil)"
        self._psutil = psutil
        self._process = psutil.Process(pid)

    def sample(self) -> None:
        """Look once."""
        total = 0
        with contextlib.suppress(self._psutil.Error):
            for process in [self._process, *self._process.children(recursive=True)]:
                total += process.memory_info().rss
        self.peak_bytes = max(self.peak_bytes, total)


def main(argv: list[str]) -> None:
    """Run the order in ``argv[1]`` and print how it ended."""
    order = Order(**json.loads(argv[1]))
    signals = _watch_signals()
    _adopt_orphans()
    ooms = _kernel_oom_kills()
    try:
        engine = start(order)
    except OSError as error:
        _tell({"end": "not_started", "error": f"{order.argv[0]}: {error.strerror}"})
        return
    meter: Meter = ProcMeter(engine.pid) if _PROC else PsutilMeter(engine.pid)
    end, exit_ = watch(engine, order, meter, signals)
    kill_tree(engine.pid)
    by_itself = end == "exited"
    if by_itself and os.WIFSIGNALED(exit_.wait_status):
        killed = os.WTERMSIG(exit_.wait_status) == signal.SIGKILL
        end = "oom" if killed and _kernel_oom_kills() > ooms else "signalled"
    _tell(
        {
            "end": end,
            "exit_code": os.WEXITSTATUS(exit_.wait_status) if end == "exited" else None,
            "signal": os.WTERMSIG(exit_.wait_status) if by_itself and end != "exited" else None,
            "wall_s": exit_.at - engine.at,
            "user_s": exit_.user_s,
            "system_s": exit_.system_s,
            "peak_bytes": meter.peak_bytes or None,
            "peak_source": meter.peak_source if meter.peak_bytes else None,
        }
    )


def watch(engine: Started, order: Order, meter: Meter, signals: int) -> tuple[str, Exit]:
    """Meter the engine until it ends, or until it must; then it has ended when this returns.

    Returns:
        ``exited``, or why it was stopped: ``timeout``, ``oom``, ``interrupted``; and its exit.
    """
    deadline = engine.at + order.timeout_s
    limit_bytes = order.memory_limit_bytes or sys.maxsize
    parent = os.getppid()
    while True:
        meter.sample()
        ready, _, _ = select.select([signals, LIFELINE], [], [], SAMPLE_INTERVAL_S)
        if ready and (exit_ := _poll(engine.pid)):
            return "exited", exit_
        if _must_stop(ready, signals, parent):
            reason = "interrupted"
        elif time.monotonic() >= deadline:
            reason = "timeout"
        elif meter.peak_bytes > limit_bytes:
            reason = "oom"
        else:
            continue
        os.kill(engine.pid, signal.SIGKILL)
        _, wait_status, usage = os.wait4(engine.pid, 0)
        return reason, Exit(time.monotonic(), wait_status, usage.ru_utime, usage.ru_stime)


def start(order: Order) -> Started:
    """Fork and exec the engine; it has begun when this returns.

    Raises:
        OSError: the program cannot be executed.
    """
    libc = _libc()
    parent = os.getpid()
    readable, writable = os.pipe()  # closed by exec, so that its end says that exec worked
    pid = os.fork()
    if pid == 0:
        _become(order, writable, parent, libc)
    os.close(writable)
    with os.fdopen(readable, "rb") as pipe:
        began, _, failure = pipe.read().partition(b"!")
    if failure or not began:
        os.waitpid(pid, 0)
        number = int(failure or errno.ECHILD)
        raise OSError(number, os.strerror(number))
    return Started(pid, float(began))


def _become(order: Order, told: int, parent: int, libc: ctypes.CDLL | None) -> NoReturn:
    """Turn this forked process into the engine. The clock starts at the last moment before exec."""
    try:
        os.setsid()
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died before it could be watched
                os._exit(1)
        # Python ignores these two; a program expects them as they are by default.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        _redirect(order)
        os.chdir(order.cwd)
        os.write(told, repr(time.monotonic()).encode())
        os.execvp(order.argv[0], order.argv)  # noqa: S606 - no shell is what we want
    except OSError as error:
        os.write(told, b"!%d" % (error.errno or errno.EIO))
    finally:
        os._exit(127)


def _redirect(order: Order) -> None:
    """Give the engine empty input, and files for what it says."""
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(order.stdout, write, 0o600), 1)
    os.dup2(os.open(order.stderr, write, 0o600), 2)


def _poll(pid: int) -> Exit | None:
    """Return the exit of the engine if it has ended."""
    ended, wait_status, usage = os.wait4(pid, os.WNOHANG)
    if not ended:
        return None
    return Exit(time.monotonic(), wait_status, usage.ru_utime, usage.ru_stime)


def kill_tree(pid: int) -> None:
    """Kill all that is left of the engine: its process group, and whatever escaped from it."""
    deadline = time.monotonic() + KILL_PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        left = descendants(os.getpid())
        for child in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not left:
            return
        time.sleep(SAMPLE_INTERVAL_S)


def descendants(pid: int) -> list[int]:
    """Return the processes below ``pid``; none where the kernel does not list children."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.scandir(f"/proc/{pid}/task"):
            found += map(int, _read(f"{task.path}/children").split())
    return found + [below for child in found for below in descendants(child)]


def _tree_bytes() -> int:
    """Sum resident memory over all that runs below the launcher; 0 for an engine all by itself."""
    tree = descendants(os.getpid())
    if len(tree) < 2:  # noqa: PLR2004 - one process is no tree; its own high-water mark is exact
        return 0
    return sum(map(_resident_bytes, tree))


def _resident_bytes(pid: int) -> int:
    try:
        return int(_read(f"/proc/{pid}/statm").split()[1]) * _PAGE_BYTES
    except OSError:  # it has ended since
        return 0


def _read(path: str) -> bytes:
    """Read one of the small files of ``/proc``, without pathlib: this is the hot loop."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 65536)
    finally:
        os.close(descriptor)


def _watch_signals() -> int:
    """Make signals readable from the descriptor that is returned, one byte each."""
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return readable


def _must_stop(ready: list[int], signals: int, parent: int) -> bool:
    """Say whether the harness has gone, or asked to stop.

    A process that the harness forked can hold the lifeline open, so its parent counts as well.
    """
    asked = set(os.read(signals, 64)) - {signal.SIGCHLD} if signals in ready else set()
    return (
        bool(asked) or (LIFELINE in ready and not os.read(LIFELINE, 64)) or os.getppid() != parent
    )


def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None


def _adopt_orphans() -> None:
    """Become the parent of processes whose parent dies, so that none escapes the count."""
    libc = _libc()
    if libc is not None:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _kernel_oom_kills() -> int:
    """Return how many processes the kernel has killed for want of memory since it started."""
    try:
        _, _, rest = _read("/proc/vmstat").partition(b"\noom_kill ")
    except OSError:
        return 0
    return int(rest.split(maxsplit=1)[0]) if rest else 0


def _tell(outcome: dict[str, object]) -> None:
    """Print the outcome; nobody may be left to read it."""
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(outcome).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv)
