"""Starts one engine, meters it from outside, and prints its outcome as a line of JSON.

It is a script run by path that imports only the standard library and the meters beside it, for
three reasons. It is small, so that the engine is not forked from a harness of a hundred MB. It
watches its standard input, so that if the harness dies, even by SIGKILL, the engine's whole process
tree is killed. And it is the engine's only parent, so that what it waits for and counts is exact.

    launcher.py '{"argv": [...], "cwd": "...", "stdout": "...", "stderr": "...",
                  "timeout_s": 60, "memory_limit_bytes": null,
                  "server_pid": null, "server_cgroup": null}'

The engine gets the launcher's environment, a session of its own and an empty standard input. Memory
is sampled; the engine's and the server's by the same loop, on the same clock. Of one process the
kernel keeps the peak itself (``ru_maxrss`` of ``wait4``). That survives exec, so it includes the
size of the forking process: of this launcher, which is small, and below which it is not used.
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
from typing import TYPE_CHECKING, NamedTuple, NoReturn

if TYPE_CHECKING:
    import resource

if TYPE_CHECKING or __package__:
    from harness.trial import sampling
else:  # run by path: only the files beside it are importable
    sys.path.insert(0, os.path.dirname(__file__))  # noqa: PTH120 - pathlib is slow to import
    import sampling

    del sys.path[0]

# SIGKILL cannot be caught, but a process in an uninterruptible system call dies late.
KILL_PATIENCE_S = 10.0

LIFELINE = 0  # standard input: a pipe whose other end closes if the harness dies

_MAXRSS_BYTES = 1024  # the unit of ru_maxrss on Linux, the only system where it is used

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class LaunchOrder:
    """The command to run, and its limits."""

    argv: list[str]
    cwd: str
    stdout: str
    stderr: str
    timeout_s: float
    memory_limit_bytes: int | None
    server_pid: int | None
    server_cgroup: str | None


@dataclass(frozen=True)
class RunningEngine:
    """An engine that has been started."""

    pid: int
    at: float


class Exit(NamedTuple):
    """The end of an engine, as reported by ``wait4``."""

    at: float
    wait_status: int
    usage: resource.struct_rusage


class Meters:
    """The meters of a trial, and the peak of the sum of their memory; some sample less often."""

    def __init__(
        self,
        engine: sampling.Meter,
        server: sampling.Meter | None,
        cpu: tuple[sampling.CpuMeter, ...],
    ) -> None:
        self.engine = engine
        self.total_peak_bytes = 0
        self._server = server
        self._cpu = cpu
        self._samples = 0

    def sample(self, at_s: float) -> None:
        """Take a sample, ``at_s`` after the engine's start."""
        self.engine.sample(at_s)
        if self._server is not None and self._samples % sampling.SAMPLES_PER_SERVER == 0:
            self._server.sample(at_s)
        if self._samples % sampling.SAMPLES_PER_CPU == 0:
            for meter in self._cpu:
                meter.sample(at_s)
        self._samples += 1
        if self._server is not None and self._server.held_bytes:
            total_bytes = self.engine.held_bytes + self._server.held_bytes
            self.total_peak_bytes = max(self.total_peak_bytes, total_bytes)


def main(argv: list[str]) -> None:
    """Run the order in ``argv[1]`` and print its outcome."""
    order = LaunchOrder(**json.loads(argv[1]))
    signals = _watch_signals()
    _adopt_orphans()
    ooms = _kernel_oom_kills()
    try:
        engine = start(order)
    except OSError as error:
        _print_outcome({"end": "not_started", "error": f"{order.argv[0]}: {error.strerror}"})
        return
    meter = sampling.engine_meter(engine.pid)
    server = sampling.server_meter(order.server_pid, order.server_cgroup)
    cpu = sampling.engine_cpu(engine.pid)
    server_cpu = sampling.server_cpu(order.server_pid)
    meters = Meters(meter, server, tuple(filter(None, (cpu, server_cpu))))
    end, exit_ = watch(engine, order, meters, signals)
    wall_s, used_s = exit_.at - engine.at, exit_.usage.ru_utime + exit_.usage.ru_stime
    meter.finish(wall_s, exit_.usage.ru_maxrss * _MAXRSS_BYTES)
    if cpu is not None:
        cpu.finish(wall_s, round(1000 * used_s))
    if server_cpu is not None:
        server_cpu.sample(wall_s)
    kill_tree(engine.pid)
    by_itself = end == "exited"
    if by_itself and os.WIFSIGNALED(exit_.wait_status):
        killed = os.WTERMSIG(exit_.wait_status) == signal.SIGKILL
        end = "oom" if killed and _kernel_oom_kills() > ooms else "signalled"
    _print_outcome(
        {
            "end": end,
            "exit_code": os.WEXITSTATUS(exit_.wait_status) if end == "exited" else None,
            "signal": os.WTERMSIG(exit_.wait_status) if by_itself and end != "exited" else None,
            "wall_s": wall_s,
            "user_s": exit_.usage.ru_utime,
            "system_s": exit_.usage.ru_stime,
            **_memory(meter, ""),
            **(_memory(server, "server_") if server is not None else {}),
            "total_peak_bytes": meters.total_peak_bytes or None,
            "cpu_curve": cpu.curve.to_dict("cpu_ms") if cpu else None,
            "server_cpu_curve": server_cpu.curve.to_dict("cpu_ms") if server_cpu else None,
        }
    )


def _memory(meter: sampling.Meter, whose: str) -> dict[str, object]:
    """Return the readings of a meter; empty if it has none."""
    if not meter.peak_bytes:
        return {}
    return {
        f"{whose}peak_bytes": meter.peak_bytes,
        f"{whose}peak_source": meter.peak_source,
        f"{whose}curve": meter.curve.to_dict(),
    }


def watch(
    engine: RunningEngine, order: LaunchOrder, meters: Meters, signals: int
) -> tuple[str, Exit]:
    """Meter the engine until it ends or reaches a limit, at which it is killed.

    Returns:
        ``exited``, or why it was stopped: ``timeout``, ``oom``, ``interrupted``; and its exit.
    """
    deadline = engine.at + order.timeout_s
    limit_bytes = order.memory_limit_bytes or sys.maxsize
    parent = os.getppid()
    while True:
        meters.sample(time.monotonic() - engine.at)
        ready, _, _ = select.select([signals, LIFELINE], [], [], sampling.SAMPLE_INTERVAL_S)
        if ready and (exit_ := _poll(engine.pid)):
            return "exited", exit_
        if _must_stop(ready, signals, parent):
            reason = "interrupted"
        elif time.monotonic() >= deadline:
            reason = "timeout"
        elif meters.engine.peak_bytes > limit_bytes:
            reason = "oom"
        else:
            continue
        os.kill(engine.pid, signal.SIGKILL)
        _, wait_status, usage = os.wait4(engine.pid, 0)
        return reason, Exit(time.monotonic(), wait_status, usage)


def start(order: LaunchOrder) -> RunningEngine:
    """Fork and exec the engine; it is running when this returns.

    Raises:
        OSError: the program cannot be executed.
    """
    libc = _libc()
    parent = os.getpid()
    readable, writable = os.pipe()  # closed by exec: end of file means success
    pid = os.fork()
    if pid == 0:
        _exec_engine(order, writable, parent, libc)
    os.close(writable)
    with os.fdopen(readable, "rb") as pipe:
        began, _, failure = pipe.read().partition(b"!")
    if failure or not began:
        os.waitpid(pid, 0)
        number = int(failure or errno.ECHILD)
        raise OSError(number, os.strerror(number))
    return RunningEngine(pid, float(began))


def _exec_engine(
    order: LaunchOrder, status_pipe: int, parent: int, libc: ctypes.CDLL | None
) -> NoReturn:
    """Execute the engine in this forked process; its clock starts just before exec."""
    try:
        os.setsid()
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # the launcher died before the signal was set
                os._exit(1)
        # Python ignores these two; a program expects the defaults.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        _redirect(order)
        os.chdir(order.cwd)
        os.write(status_pipe, repr(time.monotonic()).encode())
        os.execvp(order.argv[0], order.argv)  # noqa: S606 - no shell wanted
    except OSError as error:
        os.write(status_pipe, b"!%d" % (error.errno or errno.EIO))
    finally:
        os._exit(127)


def _redirect(order: LaunchOrder) -> None:
    """Give the engine an empty input, and files for its output."""
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(order.stdout, write, 0o600), 1)
    os.dup2(os.open(order.stderr, write, 0o600), 2)


def _poll(pid: int) -> Exit | None:
    """Return the engine's exit if it has ended."""
    ended, wait_status, usage = os.wait4(pid, os.WNOHANG)
    if not ended:
        return None
    return Exit(time.monotonic(), wait_status, usage)


def kill_tree(pid: int) -> None:
    """Kill the rest of the engine: its process group, and processes that left it."""
    deadline = time.monotonic() + KILL_PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        left = sampling.descendants(os.getpid())
        for child in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not left:
            return
        time.sleep(sampling.SAMPLE_INTERVAL_S)


def _watch_signals() -> int:
    """Return a descriptor from which signals can be read, one byte each."""
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return readable


def _must_stop(ready: list[int], signals: int, parent: int) -> bool:
    """Return whether the harness has gone or asked to stop.

    A process that the harness forked can hold the pipe open, so the parent is checked as well.
    """
    asked = set(os.read(signals, 64)) - {signal.SIGCHLD} if signals in ready else set()
    return (
        bool(asked) or (LIFELINE in ready and not os.read(LIFELINE, 64)) or os.getppid() != parent
    )


def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None


def _adopt_orphans() -> None:
    """Become the parent of orphaned processes, so that all are counted."""
    libc = _libc()
    if libc is not None:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _kernel_oom_kills() -> int:
    """Return how many processes the kernel has killed since boot for lack of memory."""
    try:
        with open("/proc/vmstat", "rb") as file:  # noqa: PTH123 - pathlib is slow to import
            _, _, rest = file.read().partition(b"\noom_kill ")
    except OSError:
        return 0
    return int(rest.split(maxsplit=1)[0]) if rest else 0


def _print_outcome(outcome: dict[str, object]) -> None:
    """Print the outcome; the harness may be gone."""
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(outcome).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv)
