"""The processes that load: this one, and workers beside it. Each takes a task when it is free."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import threading
from multiprocessing import Pipe
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from restore.errors import LoadError
from restore.load.shard_reader import Counts
from restore.schedule.worker import Done, Failed, Loader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    import psycopg

    from restore.options import Options
    from restore.rejects.limits import RejectLimits
    from restore.schedule.queue import Tasks
    from restore.schedule.table_work import TableWork, Task

_ROOT = Path(__file__).resolve().parents[2]
_START = """
import sys
sys.path.insert(0, sys.argv[1])
from restore.startup import leave_out_ssl
leave_out_ssl()
from restore.schedule.worker import main
main(int(sys.argv[2]))
"""
_WAIT_S = 10.0


class _Said(NamedTuple):
    """What a worker said of a task."""

    work: TableWork
    task: Task
    message: Counts | Done | Failed


class _Left(NamedTuple):
    """A worker has nothing more to do, or cannot do anything because of an error."""

    error: Exception | None = None
    warning: str | None = None


class Crew:
    """Loads tasks with several processes.

    Args:
        conn: this process's own connection for the load.
        options: how; ``dsn`` is where workers connect to.
        limits: say when there are too many rejects.
        workers: how many processes load beside this one.
        tell: is told, in this thread, of a table of which something new is known.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        options: Options,
        limits: RejectLimits,
        *,
        workers: int,
        tell: Callable[[TableWork], None],
    ) -> None:
        self._limits = limits
        self._tell = tell
        self._own = Loader(conn, options, limits)
        self.warnings: list[str] = []
        self._said: queue.SimpleQueue[_Said | _Left] = queue.SimpleQueue()
        self._workers: list[_Worker] = []
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._tasks: Tasks | None = None
        try:
            for _ in range(workers):
                self._workers.append(_Worker(options))
        except OSError:
            self.close()
            raise

    @property
    def peak_bytes(self) -> int:
        """The workers' peak memory, added up; each one's own, at whatever time."""
        return sum(worker.peak_bytes or 0 for worker in self._workers)

    def close(self) -> None:
        """End the workers, whatever they are doing."""
        if self._tasks is not None:
            self._tasks.stop()
        for worker in self._workers:
            worker.kill()
        # Only who no longer reads from a pipe lets it be closed.
        for thread in self._threads:
            thread.join()
        for worker in self._workers:
            worker.close()

    def run(self, tasks: Tasks) -> None:
        """Load all tasks.

        Raises:
            RestoreError: the load stopped.
        """
        self._tasks = tasks
        self._threads = [
            threading.Thread(target=self._lead, args=(worker, tasks), daemon=True)
            for worker in self._workers
        ]
        for thread in self._threads:
            thread.start()
        self._busy = len(self._threads)
        while True:
            taken = tasks.take(wait=False)
            if taken is not None:
                self.load(*taken)
            elif self._busy:
                self._take(self._said.get())
            else:
                return

    def load(self, work: TableWork, task: Task) -> None:
        """Load a task in this process.

        Raises:
            RestoreError: the load stopped.
        """
        shard, report = task.shard, task.report()
        last = Counts(report)
        work.take(shard, last)

        def tell(counts: Counts) -> None:
            nonlocal last
            last = counts
            work.take(shard, counts)
            self._tell(work)
            self._hear()

        with task.rejects() as rejects:
            holds = self._own.table(task.load).run(
                shard, report=report, rejects=rejects, tell=tell, manner=task.manner
            )
        work.take(shard, last, holds=holds)
        self._tell(work)

    def _lead(self, worker: _Worker, tasks: Tasks) -> None:
        """Give a worker its tasks and pass on what it says, in a thread of its own."""
        try:
            warning = worker.start()
            if warning is not None:
                self._said.put(_Left(warning=warning))
                return
            while (taken := tasks.take(wait=True)) is not None:
                for message in worker.load(taken[1]):
                    self._said.put(_Said(*taken, message))
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            self._said.put(_Left(error=error))
        else:
            self._said.put(_Left())

    def _hear(self) -> None:
        """Take note of what the workers have said by now."""
        while not self._said.empty():
            self._take(self._said.get())

    def _take(self, said: _Said | _Left) -> None:
        """Take note of a message.

        Raises:
            RestoreError: a worker's load stopped, or there are too many rejects.
        """
        if isinstance(said, _Left):
            self._busy -= 1
            if said.error is not None:
                raise said.error
            if said.warning is not None:
                self.warnings.append(f"a process fewer than --jobs loaded: {said.warning}")
            return
        work, task, message = said
        counts = message if isinstance(message, Counts) else message.counts
        work.take(task.shard, counts, holds=message.holds if isinstance(message, Done) else None)
        if isinstance(message, Failed):
            raise message.error
        self._tell(work)
        self._limits.after_batch()


class _Worker:
    """A worker process, seen from here."""

    def __init__(self, options: Options) -> None:
        self._pipe: Connection
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, and a program of ours
                [sys.executable, "-P", "-c", _START, str(_ROOT), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                process_group=0,  # a terminal's Ctrl-C is for us; we see to the workers
            )
        self._options = options
        self.peak_bytes: int | None = None

    def start(self) -> str | None:
        """Have it connect to the database; return why it cannot, if so.

        Raises:
            LoadError: it is no more.
        """
        with self._alive():
            self._pipe.send(self._options)
            ready = self._pipe.recv()
        return ready.error  # type: ignore[no-any-return] # a Ready

    def load(self, task: Task) -> Iterator[Counts | Done | Failed]:
        """Yield what the worker says of a task: how far it is, and at last that it is done.

        Raises:
            LoadError: it is no more.
        """
        with self._alive():
            self._pipe.send(task)
            while isinstance(message := self._pipe.recv(), Counts):
                yield message
        if isinstance(message, Done):
            self.peak_bytes = message.peak_bytes
        yield message

    @contextlib.contextmanager
    def _alive(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError) as error:
            raise LoadError(self._end()) from error

    def _end(self) -> str:
        code = self._process.wait(_WAIT_S)
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"a worker process {how}"

    def kill(self) -> None:
        """End it; where it is in the middle of something, that is lost."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Let go of the pipe."""
        self._pipe.close()
