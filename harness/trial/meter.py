"""Runs a command through the launcher, and returns its outcome.

``launcher.py`` measures, in a process of its own; this is the harness's side of it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.model.errors import HarnessError
from harness.model.outcome import End, Outcome
from harness.trial.sampling import PROC

LAUNCHER = Path(__file__).with_name("launcher.py")

# Isolated from the user's Python settings, and without site-packages unless psutil is needed (no
# /proc): the launcher starts in 40 ms and stays under 12 MB.
_LAUNCHER_FLAGS = ("-I", "-S") if PROC else ("-I",)

# The launcher enforces the time limit; this long after it, the launcher itself is hanging.
LAUNCHER_PATIENCE_S = 30.0

Interruptible = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits at which a trial is stopped."""

    timeout_s: float
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """A command. ``env`` is the whole environment; ``stdout`` and ``stderr`` are files."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    stdout: Path
    stderr: Path


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """The server of a trial, whose memory is metered as well.

    Args:
        pid: its postmaster, if all its processes are on this machine.
        cgroup: the folder of its control group, if it has one of its own.
    """

    pid: int | None = None
    cgroup: str | None = None


NO_SERVER = ServerProcess()


def run(
    command: Command,
    limits: Limits,
    *,
    server: ServerProcess = NO_SERVER,
    interruptible: Interruptible = contextlib.nullcontext,
) -> Outcome:
    """Run a command until it ends or reaches a limit.

    A command can stop or kill its launcher, too; that is its end, and its time is not known.

    Args:
        command: the command.
        limits: its limits.
        server: the server to meter as well.
        interruptible: context entered while waiting; an exception that it raises stops the
            command's whole process tree, and is then raised from here.

    Raises:
        HarnessError: the launcher itself failed.
    """
    with subprocess.Popen(  # noqa: S603 - our own script, no shell
        [sys.executable, *_LAUNCHER_FLAGS, str(LAUNCHER), _order(command, limits, server)],
        env=dict(command.env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # a Ctrl-C at the terminal is the harness's to handle
    ) as launcher:
        try:
            with interruptible():
                line = _answer(launcher, limits.timeout_s + LAUNCHER_PATIENCE_S)
        finally:
            _stop(launcher)
    if not line and launcher.returncode < 0:
        number = -launcher.returncode
        name = signal.Signals(number).name
        return Outcome(end=End.SIGNALLED, signal=number, error=f"its launcher ended by {name}")
    return _outcome(line)


def _order(command: Command, limits: Limits, server: ServerProcess = NO_SERVER) -> str:
    """Write what ``launcher.LaunchOrder`` reads."""
    order = {
        "argv": command.argv,
        "cwd": os.fspath(command.cwd),
        "stdout": os.fspath(command.stdout),
        "stderr": os.fspath(command.stderr),
        "timeout_s": limits.timeout_s,
        "memory_limit_bytes": limits.memory_bytes,
        "server_pid": server.pid,
        "server_cgroup": server.cgroup,
    }
    return msgspec.json.encode(order).decode()


def _answer(launcher: subprocess.Popen[bytes], patience_s: float) -> bytes:
    """Wait for the launcher's line; empty if it ends or hangs without one."""
    if launcher.stdout is None:  # pragma: no cover - it is a pipe
        return b""
    with selectors.DefaultSelector() as selector:
        selector.register(launcher.stdout, selectors.EVENT_READ)
        return launcher.stdout.readline() if selector.select(patience_s) else b""


def _stop(launcher: subprocess.Popen[bytes]) -> None:
    """Close the launcher's input, upon which it kills a running engine and exits."""
    if launcher.stdin is not None:
        launcher.stdin.close()
    try:
        launcher.wait(LAUNCHER_PATIENCE_S)
    except subprocess.TimeoutExpired:
        launcher.kill()
        launcher.wait()


def _outcome(line: bytes) -> Outcome:
    try:
        return msgspec.json.decode(line, type=Outcome)
    except msgspec.DecodeError as error:
        raise HarnessError("the launcher failed; see its output above") from error
