"""A worker process: loads the shards that it is given, one after the other.

It is started by ``crew`` with one end of a pipe, over which it is told the options, which hold the
DSN and so stand on no command line, and then its tasks. It dies with the process that started it:
when the pipe's other end is closed, whatever the reason.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, NamedTuple

import psycopg

from restore.errors import RestoreError
from restore.load.shard_reader import Counts
from restore.load.table_loader import TableLoad
from restore.rejects.limits import RejectLimits
from restore.report.model import peak_bytes
from restore.target.connection import connect_for
from restore.target.sqlstate import to_load_error

if TYPE_CHECKING:
    from restore.options import Options
    from restore.plan.order import Load
    from restore.schedule.table_work import Task

# How often it says how far it is.
_EVERY_S = 0.1
_ORPHANED = 1


class Ready(NamedTuple):
    """The worker waits for tasks; ``error``: it cannot, since the database turned it away."""

    error: str | None = None


class Done(NamedTuple):
    """A task is done: its counts, whether its seam holds, the process's peak memory so far."""

    counts: Counts
    holds: bool
    peak_bytes: int | None


class Failed(NamedTuple):
    """A task stopped: its counts by then, and why."""

    counts: Counts
    error: Exception


class Loader:
    """Loads tasks on one connection; what it learns of a table's records serves its other shards.

    Args:
        conn: a connection that commits each statement.
        options: how.
        limits: say when there are too many rejects.
    """

    def __init__(self, conn: psycopg.Connection, options: Options, limits: RejectLimits) -> None:
        self._conn = conn
        self._options = options
        self._limits = limits
        self._tables: dict[int, TableLoad] = {}

    def table(self, load: Load) -> TableLoad:
        """Return what loads a table."""
        oid = load.table.oid
        if oid not in self._tables:
            self._tables[oid] = TableLoad(
                self._conn, load, options=self._options, limits=self._limits
            )
        return self._tables[oid]


def main(descriptor: int) -> None:
    """Work until the pipe's other end is closed.

    Args:
        descriptor: of the pipe.
    """
    # Ctrl-C is for the process that started us; it decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe: Connection = Connection(descriptor)
    try:
        options: Options = pipe.recv()
    except (EOFError, OSError):
        return  # who started us is no more
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, tasks), daemon=True).start()
    limits = RejectLimits(replace(options, max_rejects=None), list)
    try:
        conn = connect_for(options, is_worker=True)
    except RestoreError as error:
        pipe.send(Ready(str(error)))
        return
    pipe.send(Ready())
    loader = Loader(conn, options, limits)
    while True:
        pipe.send(_work(loader, tasks.get(), pipe))


def _listen(pipe: Connection, tasks: queue.SimpleQueue[Task]) -> None:
    """Take tasks off the pipe; when nobody is at its other end, end the process as it stands."""
    try:
        while True:
            tasks.put(pipe.recv())
    except (EOFError, OSError):
        os._exit(_ORPHANED)


def _work(loader: Loader, task: Task, pipe: Connection) -> Done | Failed:
    report = task.report()
    last, told = Counts(report), time.monotonic()

    def tell(counts: Counts) -> None:
        nonlocal last, told
        last = counts
        if time.monotonic() - told > _EVERY_S:
            told = time.monotonic()
            pipe.send(counts)

    try:
        with task.rejects() as rejects:
            load = loader.table(task.load)
            holds = load.run(
                task.shard, report=report, rejects=rejects, tell=tell, manner=task.manner
            )
    except RestoreError as error:
        return Failed(last, error)
    except psycopg.Error as error:
        return Failed(last, to_load_error(error))
    return Done(last, holds, peak_bytes())
