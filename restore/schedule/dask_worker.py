"""Loads shards in a worker of a Dask cluster, with sessions of its own.

Dask runs a task at least once: again if it believes a worker dead, maybe beside the first one. What
makes that safe is in the target: a session that loads a shard holds its lock, which ends any other
session that holds it, and then goes on from what the journal says. No error is raised: Dask would
log it, show it, and run what fails once more. It is part of the outcome.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import pickle
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
from msgspec import Struct, structs

from restore.errors import BackupError, ConnectionLostError, LoadError, RestoreError
from restore.journal.journaled_rejects import JournaledRejects
from restore.journal.store import read_shard
from restore.load.bulk_copy import BulkMode
from restore.load.shard_context import ShardContext, ShardCounts
from restore.load.table_loader import LoaderCache
from restore.rejects.limits import RejectLimits
from restore.report.model import TableReport
from restore.schedule.executor import StoppedError
from restore.startup import GC_THRESHOLD
from restore.target.connection import connect_for
from restore.target.session_locks import join_run, release_shard, take_shard
from restore.target.sqlstate import describe, to_load_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from restore.options import Options
    from restore.schedule.executor import Task
    from restore.source.table_file import TableFile
    from restore.target.session_locks import SessionId

# A worker's own settings, in the order in which the command itself looks at them.
_DSN_VARIABLES = ("RESTORE_DSN", "DATABASE_URL")
# A session that has loaded nothing for so long is closed: its restore may have been killed.
_IDLE_S = 15.0
_UPDATE_INTERVAL_S = 0.25
PROGRESS_COUNTS = ("read", "loaded", "duplicates", "rejected", "skipped")
"""What is reported of a shard while it is loaded: the cluster's dashboard may show it."""
_UNREADABLE = (
    "workers read the backup themselves: put it where each of them finds it under this path, or"
    " into object storage"
)
_NO_LOGIN = (
    "workers log in by themselves: set DATABASE_URL, PGPASSWORD or a password file where they run"
)


class Run(Struct, frozen=True):
    """A restore, as its workers know it; no part of it is secret.

    Attributes:
        key: its run lock, which also names it.
        topic: where progress is reported.
        owner: the restore's own session.
        options: how to load; ``dsn`` without a password.
        is_local: the restore started the workers: their environment is its own.
    """

    key: int
    topic: str
    owner: SessionId
    options: Options
    is_local: bool

    def local_options(self) -> Options:
        """Return the options with the worker's own connection string, if its environment has one.

        libpq finds the password, and all else that the connection string lacks.
        """
        own = [os.environ[name] for name in _DSN_VARIABLES if os.environ.get(name)]
        return self.options if self.is_local or not own else replace(self.options, dsn=own[0])


class ShardWork(Struct, frozen=True):
    """What a worker is sent; Dask may log how it is shown, so that has no record in it.

    Attributes:
        number: the number of the task in its restore.
        restarts: how often the load of the table had started over.
    """

    run: Run
    task: Task
    number: int
    restarts: int

    def __repr__(self) -> str:
        return f"<shard {self.task.shard.key} of {self.task.table}>"


class ShardOutcome(Struct, frozen=True):
    """Outcome of a shard's load: its counts, and whether it ended at a boundary, or an error."""

    counts: ShardCounts
    boundary_holds: bool | None = None
    error: Exception | None = None

    def __repr__(self) -> str:
        return "<outcome of a shard>"


def connect_worker(options: Options) -> psycopg.Connection:
    """Connect to the target from a worker.

    Raises:
        RestoreError: it does not answer, or refuses the worker.
    """
    try:
        return connect_for(options, is_worker=True)
    except ConnectionLostError as error:
        raise ConnectionLostError(f"{error}; {_NO_LOGIN}") from error


class _Session:
    """A session of a worker, and the table loaders that have learned what records are like."""

    def __init__(self, run: Run) -> None:
        self._options = run.local_options()
        self.conn = connect_worker(self._options)
        if not join_run(self.conn, run.key, run.owner):
            self.conn.close()
            raise LoadError(
                "the restore that this worker loads for has ended, or it restores into another"
                " database than the worker's"
            )
        self.idle_since = 0.0
        self._report: TableReport | None = None
        self._limits = RejectLimits(self._options, self._counted)
        self._loaders = LoaderCache(self.conn, self._options, self._limits)

    def load(self, work: ShardWork, report: TableReport, update: _Updates) -> bool:
        """Load a shard from what the journal says; tell whether it ended at a boundary.

        Args:
            work: the shard.
            report: becomes that of the shard.
            update: receives progress.

        Raises:
            RestoreError: the load stopped.
            StoppedError: the restore does not want the shard any more.
            psycopg.Error: the server failed.
        """
        task, oid = work.task, work.task.load.table.oid
        lock = take_shard(self.conn, oid, task.shard.key)
        known = read_shard(self.conn, oid, task.shard.key, work.restarts)
        shard, mode, size = task.shard, task.mode, task.rejects_bytes or 0
        if known is not None:
            report.become(known.report)
            shard, mode = structs.replace(shard, decided=known.position), BulkMode()
            size = known.rejects_bytes
            # They are counted again: the shard is read from its start.
            report.late = report.late if known.ended else 0
        if known is not None and known.ended:
            report.warnings += task.load.policies.notes
            holds = known.holds
        else:
            self._report = report
            names = {"schema": task.schema, "table": task.table}
            with JournaledRejects(self.conn, oid, shard.key, size=size, **names) as rejects:
                context = ShardContext(shard, report, rejects, update, mode)
                holds = self._loaders.loader(task.load).run(context)
        release_shard(self.conn, lock)
        return holds

    def _counted(self) -> Iterator[TableReport]:
        """Yield this shard's counts if --max-rejects is a number.

        A percentage is of the whole restore.
        """
        most = self._options.max_rejects
        if most is not None and most.count is not None and self._report is not None:
            yield self._report


class _Sessions:
    """The sessions of one worker for one restore; those that are idle for long are closed."""

    def __init__(self) -> None:
        self._idle: list[_Session] = []
        self._lock = threading.Condition()
        self._closer: threading.Thread | None = None
        self._is_over = False

    @contextlib.contextmanager
    def session(self, run: Run) -> Iterator[_Session]:
        """Lend an idle session, or a new one; it is closed if the block fails."""
        with self._lock:
            session = self._idle.pop() if self._idle else None
        session = session or _Session(run)
        try:
            yield session
        except BaseException:
            session.conn.close()
            raise
        with self._lock:
            session.idle_since = time.monotonic()
            self._idle.append(session)
            if self._is_over:
                self._close(self._idle)
            elif self._closer is None:
                self._closer = threading.Thread(target=self._close_idle, daemon=True)
                self._closer.start()

    def close(self) -> None:
        """Close the sessions that are idle, and the others when they are."""
        with self._lock:
            self._is_over = True
            self._close(self._idle)
            self._lock.notify()

    def _close_idle(self) -> None:
        with self._lock:
            while self._idle:
                self._lock.wait(_IDLE_S / 3)
                before = time.monotonic() - _IDLE_S
                self._close([each for each in self._idle if each.idle_since < before])
            self._closer = None

    def _close(self, sessions: Iterable[_Session]) -> None:
        for session in list(sessions):
            session.conn.close()
            self._idle.remove(session)


# A worker that Dask has paused for lack of memory begins no task, and ends those that it has.
_LOADING = frozenset({"running", "paused"})


class _Updates:
    """Reports progress to the restore, a few times a second; numbers alone.

    Stops the load if Dask does not want its outcome any more: it was cancelled, the restore is
    gone, or the worker is closing because it lost its scheduler.
    """

    def __init__(self, work: ShardWork) -> None:
        from distributed import get_worker  # noqa: PLC0415 - the base install has no Dask

        self._worker = get_worker()
        self._key = self._worker.get_current_task()
        self._topic, self._number = work.run.topic, work.number
        self._next_s = 0.0
        self.last: ShardCounts | None = None

    def __call__(self, counts: ShardCounts) -> None:
        """Report progress.

        Raises:
            StoppedError: the outcome is not wanted any more.
        """
        self.last, now_s = counts, time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + _UPDATE_INTERVAL_S
        task = self._worker.state.tasks.get(self._key)
        is_lost = self._worker.status.name not in _LOADING
        if task is None or task.state != "executing" or is_lost:
            raise StoppedError
        numbers = [getattr(counts.report, name) for name in PROGRESS_COUNTS]
        message = [self._number, counts.batches, counts.bytes_read, *numbers]
        self._worker.log_event(self._topic, message)


_RUNS: dict[int, _Sessions] = {}
_RUNS_LOCK = threading.Lock()


def load_shard(work: ShardWork) -> ShardOutcome:
    """Load a shard, or the rest of it. Called by Dask in a worker."""
    task = work.task
    report = TableReport(schema=task.schema, table=task.table, file=task.load.file.name)
    update = _Updates(work)
    holds: bool | None = None
    error: Exception | None = None
    with _RUNS_LOCK:
        if work.run.key not in _RUNS:
            _set_up_process()
        sessions = _RUNS.setdefault(work.run.key, _Sessions())
    try:
        with sessions.session(work.run) as session:
            holds = session.load(work, report, update)
    except StoppedError:
        from distributed import Reschedule  # noqa: PLC0415 - the base install has no Dask

        # If the restore does want the outcome, another worker loads the rest of the shard.
        raise Reschedule from None
    except BackupError as failed:
        error = LoadError(f"{failed}; {_UNREADABLE}")
    except (RestoreError, psycopg.Error) as failed:
        error = _portable(failed)
    report.warnings = list(dict.fromkeys(report.warnings))
    last = update.last or ShardCounts(report)
    return ShardOutcome(structs.replace(last, report=report), holds, error)


def _set_up_process() -> None:
    # psycopg warns of every connection that is cut off; the outcome says that.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    # As in the command: rows are no cycles, and here all of Dask would be looked through, too.
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


def _portable(error: Exception) -> Exception:
    """Return an error that can be sent: itself, or one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
    except Exception:  # noqa: BLE001 - anything may go wrong
        return to_load_error(error) if isinstance(error, psycopg.Error) else LoadError(str(error))
    return error


def end_run(key: int) -> None:
    """Close the sessions of a restore that has ended. Called by Dask in each worker."""
    with _RUNS_LOCK:
        sessions = _RUNS.pop(key, None)
    if sessions is not None:
        sessions.close()


def check_worker(run: Run, files: Sequence[TableFile]) -> str | None:
    """Return why a worker cannot load, if so: it cannot log in, or read a file.

    Called by Dask in each worker.
    """
    try:
        connect_worker(run.local_options()).close()
        for file in files:
            file.open().close()
    except BackupError as error:
        return f"{error}; {_UNREADABLE}"
    except RestoreError as error:
        return describe(error)
    return None
