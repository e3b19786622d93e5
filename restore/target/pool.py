"""A pool of connections that create indexes and validate foreign keys side by side."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
from collections import deque
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

import psycopg

from restore.errors import ConnectionLostError, LoadError
from restore.target.connection import connect_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import TracebackType

    from restore.options import Options

T = TypeVar("T")

# A server's shared_buffers are, where it was set up as its manual says, a quarter of its machine's
# memory: all sessions together may sort in as much again. Beyond a gigabyte a sort gains nothing.
_MOST_MEMORY_BYTES = 1 << 30
_MEMORY = """
    SELECT set_config('maintenance_work_mem', GREATEST(
        pg_size_bytes(current_setting('maintenance_work_mem')),
        LEAST(pg_size_bytes(current_setting('shared_buffers')) / %s, %s)) / 1024 || 'kB', false)
"""
# As many as the session would have anyway, or the processors that --jobs speaks of.
_WORKERS = """
    SELECT set_config('max_parallel_maintenance_workers', GREATEST(
        reset_val::int, LEAST(%s, current_setting('max_parallel_workers')::int))::text, false)
    FROM pg_settings WHERE name = 'max_parallel_maintenance_workers'
"""
_NO_WORKERS = "SET max_parallel_maintenance_workers = 0"
# A cancelled statement may be followed by another, or be tried again: so there are some cancels.
_CANCELS = 5
_GRACE_S = 0.4
# How long a server may take to answer a cancel request, and threads to end once their connections
# are cut off: they do at once, unless they compute or read a file.
_CANCEL_S = 5.0
_CLOSE_TIMEOUT_S = 10.0


def interrupt(connections: Collection[psycopg.Connection], wait: Callable[[float], bool]) -> None:
    """End what other threads do on connections: cancel it, and if that fails cut them off.

    Args:
        connections: those in use; they are broken afterwards if they had to be cut off.
        wait: waits for the threads so many seconds, and tells whether they have ended.
    """
    for _ in range(_CANCELS):
        try:
            for conn in list(connections):
                conn.cancel_safe(timeout=_CANCEL_S)
        except psycopg.Error:
            break  # the server is gone, or hangs
        if wait(_GRACE_S):
            return
    for conn in list(connections):
        # To close it here would free what its thread uses; this only ends the thread's wait.
        with (
            contextlib.suppress(OSError, psycopg.OperationalError),
            socket.socket(fileno=os.dup(conn.fileno())) as end,
        ):
            end.shutdown(socket.SHUT_RDWR)
    wait(_CLOSE_TIMEOUT_S)


def set_maintenance_memory(conn: psycopg.Connection, sessions: int) -> None:
    """Let a session that creates indexes sort in more memory, within a bound.

    Args:
        conn: the session.
        sessions: how many do so at the same time.
    """
    conn.execute(_MEMORY, [sessions, _MOST_MEMORY_BYTES])


def set_maintenance_workers(conn: psycopg.Connection, jobs: int) -> None:
    """Let the server create an index of this session's with several processes.

    Args:
        conn: the session.
        jobs: how many processors there are for the restore; 0: none is free now.
    """
    if jobs:
        conn.execute(_WORKERS, [jobs])
    else:
        conn.execute(_NO_WORKERS)


class ConnectionPool:
    """Up to a number of connections, each opened when there is work and none is idle.

    If the server refuses even one (a role's connection limit), work waits for ``run_deferred``.

    Args:
        options: the target, and how its sessions are set up.
        sessions: how many at the most.
        own: the session that is there already, for ``run_deferred``.

    Attributes:
        warning: why there is none; None: there are some.
    """

    def __init__(self, options: Options, sessions: int, own: psycopg.Connection) -> None:
        self.warning: str | None = None
        self._options = options
        self._sessions = sessions
        self._own = own
        self._deferred: deque[Callable[[], None]] = deque()
        self._submitted: list[Future[Any]] = []
        self._open: list[psycopg.Connection] = []
        self._idle: queue.LifoQueue[psycopg.Connection] = queue.LifoQueue()
        try:
            self._idle.put(self._connect())
        except ConnectionLostError as error:
            self.warning = f"indexes and foreign keys were made one after the other: {error}"
            set_maintenance_memory(own, 1)
        self._threads = ThreadPoolExecutor(max_workers=sessions, thread_name_prefix="session")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(wait=error is None, cancel_futures=error is not None)
        if error is not None:
            interrupt(self._open, lambda wait_s: not futures.wait(self._submitted, wait_s).not_done)
        for conn in self._open:
            conn.close()

    def submit(self, work: Callable[[psycopg.Connection], T]) -> Future[T]:
        """Run work on one of the connections."""
        if self.warning is None:
            return self._start(partial(self._work, work))
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(work(self._own))
            except psycopg.Error as error:
                future.set_exception(error)

        self._deferred.append(run)
        return future

    def run_deferred(self) -> None:
        """Run the deferred work on the caller's own connection, which is idle."""
        while self._deferred:
            self._deferred.popleft()()

    def submit_if_free(self, work: Callable[[psycopg.Connection], None]) -> Future[None]:
        """Run work that the caller can do as well, if another connection can be had.

        The caller may hold the last one that the server gives, so this never waits for one.
        """
        return self._start(partial(self._assist, work)) if self.warning is None else Future()

    def _start(self, work: Callable[[], T]) -> Future[T]:
        future = self._threads.submit(work)
        self._submitted.append(future)
        return future

    def _assist(self, work: Callable[[psycopg.Connection], None]) -> None:
        conn = self._take()
        if conn is not None:
            try:
                work(conn)
            finally:
                self._idle.put(conn)

    def _work(self, work: Callable[[psycopg.Connection], T]) -> T:
        # If the server refuses another connection, wait for one to be free.
        conn = self._take() or self._idle.get()
        try:
            return work(conn)
        finally:
            self._idle.put(conn)

    def _take(self) -> psycopg.Connection | None:
        """Return an idle connection, or a new one; None: the server refuses more."""
        with contextlib.suppress(queue.Empty):
            return self._idle.get_nowait()
        with contextlib.suppress(LoadError):
            return self._connect()
        return None

    def _connect(self) -> psycopg.Connection:
        options = self._options
        conn = connect_for(options, is_worker=True)
        self._open.append(conn)
        set_maintenance_memory(conn, self._sessions)
        return conn
