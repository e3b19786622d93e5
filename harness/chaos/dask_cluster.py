"""A Dask cluster on loopback whose scheduler and workers are processes that may be killed."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from harness.chaos.proxy import HOST
from harness.engines.engine import module
from harness.model.errors import HarnessError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_START_TIMEOUT_S = 60.0
_POLL_S = 0.1
# What the scheduler's log says of each worker that joins.
_JOINED = "Register worker addr"
# How a worker's process shows among those of its nanny, which starts it again.
_WORKER = "spawn_main"


def check_available() -> None:
    """Raise if Dask is not installed.

    Raises:
        InputError: it is not.
    """
    if importlib.util.find_spec("distributed") is None:
        raise InputError("--executor dask needs Dask; python -m pip install 'restorebench[dask]'")


@dataclass(slots=True)
class DaskCluster:
    """The cluster of a campaign.

    Args:
        folder: for its logs and its workers' folders.
        env: its environment.
        workers: number of workers, with one thread each.
        check: called while waiting for it; may raise to end the wait.
        scheme: ``tcp``, or ``tls`` with the certificates that the environment names.
    """

    folder: Path
    env: Mapping[str, str]
    workers: int
    check: Callable[[], None]
    scheme: str = "tcp"
    _port: int = 0
    _starts: int = 0
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Run the cluster."""
        with socket.socket() as free:
            free.bind((HOST, 0))
            self._port = free.getsockname()[1]
        try:
            self._start()
            yield
        finally:
            self._end()

    @property
    def executor(self) -> str:
        """Return the cluster as the restorer's ``--executor`` names it."""
        return f"{'tls' if self.scheme == 'tls' else 'dask'}://{HOST}:{self._port}"

    def worker_pids(self) -> list[int]:
        """Return the processes that load, oldest first."""
        return [pid for nanny in self._processes[1:] for pid in _workers_of(nanny.pid)]

    def kill_scheduler(self) -> int:
        """Kill the scheduler, and return its process ID; ``restart`` brings the cluster back."""
        scheduler = self._processes[0]
        scheduler.kill()
        scheduler.wait()
        return scheduler.pid

    def restart(self) -> None:
        """Stop the remaining processes of the cluster, and start it at the same address.

        Raises:
            HarnessError: it does not start.
        """
        self._end()
        self._start()

    def _start(self) -> None:
        self._starts += 1
        log = self.folder / f"dask-{self._starts}.log"
        address = f"{self.scheme}://{HOST}:{self._port}"
        quiet = ("--no-dashboard", "--dashboard-address", f"{HOST}:0")  # else on all interfaces
        listen = ("--host", HOST, "--port", str(self._port), *quiet)
        self._run(log, "scheduler", *listen)
        limits = ("--host", HOST, "--nthreads", "1", "--memory-limit", "0", *quiet)
        for _ in range(self.workers):
            self._run(log, "worker", address, *limits)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while log.read_text(encoding="utf-8", errors="replace").count(_JOINED) < self.workers:
            self.check()
            if time.monotonic() > deadline:
                raise HarnessError(f"the Dask cluster does not start; see {log}")
            time.sleep(_POLL_S)

    def _run(self, log: Path, *words: str) -> None:
        with log.open("ab") as output:
            self._processes.append(
                subprocess.Popen(  # noqa: S603 - Dask's own command
                    (*module("dask"), *words),
                    env={**self.env, "DASK_TEMPORARY_DIRECTORY": str(self.folder / "dask")},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            )

    def _end(self) -> None:
        """Kill all its processes; a nanny that is killed takes its worker with it."""
        workers = []
        for pid in self.worker_pids():
            with contextlib.suppress(psutil.NoSuchProcess):
                workers.append(psutil.Process(pid))
        for process in self._processes:
            process.kill()
            process.wait()
        psutil.wait_procs(workers, _START_TIMEOUT_S)
        self._processes.clear()


def _workers_of(nanny: int) -> list[int]:
    with contextlib.suppress(psutil.Error):
        children = psutil.Process(nanny).children()
        return [each.pid for each in children if _WORKER in " ".join(each.cmdline())]
    return []
