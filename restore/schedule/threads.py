"""Loads tasks from threads of this process, each with a connection of its own.

The hot loop is C that releases the GIL, so the threads keep as many processors busy as processes
would, without a second interpreter's memory and start. The thread that restores loads nothing: it
waits, so that a signal finds it between two instructions that change nothing.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

from restore.errors import RestoreError
from restore.load.shard_context import ShardContext, ShardCounts
from restore.load.table_loader import LoaderCache
from restore.schedule.executor import StoppedError, TaskUpdate
from restore.target.connection import connect_for
from restore.target.pool import interrupt

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from restore.options import Options
    from restore.rejects.limits import RejectLimits
    from restore.schedule.executor import OnUpdate, Task


# How long threads that load nothing may take to end: one may be connecting.
_JOIN_TIMEOUT_S = 15.0


class ThreadExecutor:
    """Loads each task in whichever of its threads is free.

    Args:
        conn: the connection of the first thread; nothing else may use it while a task is loaded.
        options: how to load; ``dsn`` is where the other threads connect to.
        limits: checked after each reject.
        threads: how many there are.
        on_update: told of each task's progress, from its thread.

    Attributes:
        slots: as many as threads; one that gets no connection leaves its tasks to the others.
        warnings: why a thread got no connection.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        options: Options,
        limits: RejectLimits,
        *,
        threads: int,
        on_update: OnUpdate,
    ) -> None:
        self.slots = threads
        self.warnings: list[str] = []
        self._options = options
        self._limits = limits
        self._on_update = on_update
        self._connections = [conn]
        self._busy: set[psycopg.Connection] = set()  # loading a task
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._submitted = self._ended = 0
        self._is_stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._start(self._serve, conn)

    def submit(self, task: Task) -> None:
        """Load a task as soon as a thread is free; the caller sees to it that one calls at a time.

        The threads beyond the first are started with the task that needs them.
        """
        self._submitted += 1
        self._tasks.put(task)
        if len(self._threads) < min(self.slots, self._submitted):
            self._start(self._connect_and_serve)

    def wait(self) -> None:
        """Wait until every task is loaded, including those submitted while it waits.

        Raises:
            BaseException: the first that a task, or a report on one, raised.
        """
        while self._ended < self._submitted:
            error = self._outcomes.get()
            self._ended += 1
            if error is not None:
                raise error

    def stop(self) -> None:
        """End all threads, whatever they are doing, and close the connections made for them."""
        self._is_stopping.set()
        for _ in self._threads:
            self._tasks.put(None)
        if self._busy or not self._join(_JOIN_TIMEOUT_S):
            interrupt(self._busy, self._join)
        for conn in self._connections[1:]:
            conn.close()

    def _start(self, target: Callable[..., None], *arguments: psycopg.Connection) -> None:
        name = f"load-{len(self._threads)}"
        # A daemon: one that hangs in a system call must not keep the process from ending.
        thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _join(self, timeout_s: float) -> bool:
        """Wait for the threads; tell whether all have ended."""
        deadline = time.monotonic() + timeout_s
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _connect_and_serve(self) -> None:
        try:
            conn = connect_for(self._options, is_worker=True)
        except RestoreError as error:
            self.warnings.append(f"a connection fewer than --jobs loaded: {error}")
            return
        except BaseException as error:  # noqa: BLE001 - as below
            self._outcomes.put(error)
            return
        self._connections.append(conn)
        self._serve(conn)

    def _serve(self, conn: psycopg.Connection) -> None:
        """Load tasks until there are no more or the executor stops."""
        cache = LoaderCache(conn, self._options, self._limits)
        while (task := self._tasks.get()) is not None and not self._is_stopping.is_set():
            outcome = None
            self._busy.add(conn)
            try:
                self._load(task, cache)
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
                outcome = error
            self._busy.discard(conn)
            self._outcomes.put(outcome)

    def _load(self, task: Task, cache: LoaderCache) -> None:
        """Load a task, and report its start, its progress and its end.

        Raises:
            RestoreError: the load stopped.
            StoppedError: the same, because another one did.
        """
        counts = ShardCounts(task.report())

        def on_progress(now: ShardCounts) -> None:
            nonlocal counts
            counts = now
            self._report(TaskUpdate(task, counts))

        self._report(TaskUpdate(task, counts, is_first=True))
        with task.rejects() as rejects:
            context = ShardContext(task.shard, counts.report, rejects, on_progress, task.mode)
            holds = cache.loader(task.load).run(context)
        self._report(TaskUpdate(task, counts, boundary_holds=holds))

    def _report(self, update: TaskUpdate) -> None:
        if self._is_stopping.is_set():
            raise StoppedError
        self._on_update(update)
