"""Loads tasks in the workers of a Dask cluster.

A thread of this process handles what the workers report, one report after the other. The thread
that restores waits meanwhile, so that a signal finds it between two instructions that change
nothing.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

from restore.errors import LoadError, RestoreError
from restore.journal.journaled_rejects import fetch_rejects
from restore.journal.store import read_restarts, read_shard
from restore.load.shard_context import ShardCounts
from restore.rejects.writer import RejectFile
from restore.schedule.dask_worker import (
    PROGRESS_COUNTS,
    ShardOutcome,
    ShardWork,
    end_run,
    load_shard,
)
from restore.schedule.executor import TaskUpdate
from restore.target.session_locks import close_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Client, Future

    from restore.options import Options
    from restore.rejects.limits import RejectLimits
    from restore.schedule.dask_worker import Run
    from restore.schedule.executor import OnUpdate, Task

# How often the cluster is looked at, and how long it may be without any worker.
_POLL_S = 2.0
_NO_WORKERS_S = 60.0
# How long workers may take to close their sessions, before the server ends these.
_JOIN_TIMEOUT_S = 5.0
# A report is handled at once, unless the server hangs.
_DISPATCH_S = 15.0
_CONTINUE = "start it again, and continue with --resume"


class _Submitted(NamedTuple):
    """A task that is submitted."""

    task: Task
    restarts: int
    future: Future[ShardOutcome]


class DaskExecutor:
    """Loads each task in a free worker of a cluster.

    Args:
        conn: the restore's own connection; nothing else may use it while a task is loaded.
        limits: checked after each report of progress.
        threads: how many tasks are loaded at a time.
        on_update: told of each task's progress, from a thread of this executor.
        client: the client of the cluster.
        run: the restore, as workers know it.

    Attributes:
        slots: how many tasks may be submitted at a time.
        warnings: what could not be learned of the workers' progress.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        _options: Options,
        limits: RejectLimits,
        *,
        threads: int,
        on_update: OnUpdate,
        client: Client,
        run: Run,
    ) -> None:
        self.slots = threads
        self.warnings: list[str] = []
        self._conn = conn
        self._limits = limits
        self._on_update = on_update
        self._client = client
        self._run = run
        self._loading: dict[int, _Submitted] = {}
        # What the dispatcher has to do; None: end.
        self._events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._submitted = self._ended = 0
        self._is_stopping = False
        self._last_worker_s = time.monotonic()
        client.subscribe_topic(run.topic, self._on_event)
        self._dispatcher = threading.Thread(target=self._dispatch, name="dask", daemon=True)
        self._dispatcher.start()

    def submit(self, task: Task) -> None:
        """Have a task loaded by a worker; the caller sees to it that one calls at a time.

        Raises:
            psycopg.Error: the server failed.
        """
        number = self._submitted
        restarts = read_restarts(self._conn, task.load.table.oid)
        work = ShardWork(self._run, task, number, restarts)
        name = f"restore-shard-{self._run.key}-{number}"
        future = self._client.submit(load_shard, work, key=name, pure=False)
        self._submitted += 1
        self._loading[number] = _Submitted(task, restarts, future)
        self._events.put(partial(self._begin, task))
        future.add_done_callback(lambda _: self._events.put(partial(self._end, number)))

    def wait(self) -> None:
        """Wait until every task is loaded, including those submitted while it waits.

        Raises:
            BaseException: the first that a task, or a report on one, raised.
        """
        while self._ended < self._submitted:
            try:
                error = self._outcomes.get(timeout=_POLL_S)
            except queue.Empty:
                self._check_cluster()
                continue
            self._ended += 1
            if error is not None:
                raise error

    def stop(self) -> None:
        """End all work, also of workers that do not answer, and see how far they were."""
        self._is_stopping = True
        self._events.put(None)
        self._dispatcher.join(_DISPATCH_S)
        left = list(self._loading.values())
        _in_time(self._end_run, [each.future for each in left])
        if self._conn.closed or self._dispatcher.is_alive():
            return  # the workers find out that the restore has no session any more
        try:
            close_run(self._conn, self._run.key)
            for each in left:
                self._recover(each)
        except (psycopg.Error, RestoreError) as error:
            self.warnings.append(f"it is not known how far the workers were: {error}")

    def _end_run(self, futures: list[Future[ShardOutcome]]) -> None:
        self._client.unsubscribe_topic(self._run.topic)
        self._client.cancel(futures)
        self._client.run(end_run, self._run.key, on_error="ignore")

    def _on_event(self, event: tuple[float, Any]) -> None:
        """Take a worker's report of progress; called by the client's own thread."""
        self._events.put(partial(self._progress, *event[1]))

    def _dispatch(self) -> None:
        while (event := self._events.get()) is not None and not self._is_stopping:
            try:
                event()
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
                self._outcomes.put(error)
                return

    def _begin(self, task: Task) -> None:
        self._on_update(TaskUpdate(task, ShardCounts(task.report()), is_first=True))

    def _progress(self, number: int, batches: int, bytes_read: int, *counts: int) -> None:
        known = self._loading.get(number)
        if known is None:
            return  # it has ended since
        self._last_worker_s = time.monotonic()
        report = known.task.report()
        for name, count in zip(PROGRESS_COUNTS, counts, strict=True):
            setattr(report, name, count)
        self._on_update(TaskUpdate(known.task, ShardCounts(report, batches, bytes_read)))
        self._limits.after_batch()

    def _end(self, number: int) -> None:
        task, _, future = self._loading[number]
        outcome = _outcome_of(future, task)
        if outcome.error is not None:
            raise outcome.error
        self._fetch_rejects(task)
        del self._loading[number]
        self._last_worker_s = time.monotonic()
        self._on_update(TaskUpdate(task, outcome.counts, boundary_holds=outcome.boundary_holds))
        self._limits.after_batch()
        self._outcomes.put(None)

    def _fetch_rejects(self, task: Task) -> None:
        file = RejectFile(task.folder, task.schema, task.table, task.part)
        fetch_rejects(self._conn, task.load.table.oid, task.shard.key, file)

    def _recover(self, left: _Submitted) -> None:
        """Report what a task that did not end has committed."""
        task, restarts, _ = left
        progress = read_shard(self._conn, task.load.table.oid, task.shard.key, restarts)
        if progress is not None:
            self._fetch_rejects(task)
            with contextlib.suppress(RestoreError):  # the restore is stopping already
                self._on_update(TaskUpdate(task, ShardCounts(progress.report)))

    def _check_cluster(self) -> None:
        """Raise if no worker can load anything.

        Raises:
            LoadError: the scheduler is lost, or there has been no worker for long.
        """
        if self._client.status != "running":
            raise _scheduler_lost()
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        if any(worker["status"] == "running" for worker in workers):
            self._last_worker_s = time.monotonic()
        elif time.monotonic() > self._last_worker_s + _NO_WORKERS_S:
            if any(worker["status"] == "paused" for worker in workers):
                raise LoadError(
                    f"Dask has paused all workers for {_NO_WORKERS_S:.0f} s for lack of memory:"
                    " give them more (--memory-limit), and continue with --resume"
                )
            raise LoadError(
                f"the Dask cluster has had no worker for {_NO_WORKERS_S:.0f} s: start workers, and"
                " continue with --resume"
            )


def _outcome_of(future: Future[ShardOutcome], task: Task) -> ShardOutcome:
    """Return the outcome of a task.

    Raises:
        LoadError: Dask gave the task up.
    """
    from distributed import KilledWorker  # noqa: PLC0415 - the base install has no Dask

    if future.cancelled():
        raise _scheduler_lost()
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, KilledWorker):
        raise LoadError(
            f"workers died again and again while they loaded {task.table}: see their logs, maybe"
            " for a lack of memory, and continue with --resume"
        ) from error
    said = " ".join(str(error).split())
    raise LoadError(
        f"a worker could not load {task.table}: {type(error).__name__}: {said}"
    ) from error


def _scheduler_lost() -> LoadError:
    return LoadError(f"the Dask scheduler is lost: {_CONTINUE}")


def _in_time(call: Callable[..., None], *arguments: object) -> None:
    """Call what may never return if the cluster is lost; wait for it a bounded time."""

    def run() -> None:
        with contextlib.suppress(Exception):
            call(*arguments)

    thread = threading.Thread(target=run, name="dask-end", daemon=True)
    thread.start()
    thread.join(_JOIN_TIMEOUT_S)
