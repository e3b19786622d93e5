"""Sessions of the target, each in a thread of its own, and work for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Self

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from types import TracebackType

Connection = psycopg.Connection[Any]
Work = Callable[[Connection], None]

# No wait for the disk at each commit: ``flush`` waits once, at the end.
_SETTINGS = {
    "client_min_messages": "error",
    "lock_timeout": "0",
    "statement_timeout": "0",
    "synchronous_commit": "off",
}
# A commit that waits for the disk waits for all that was written before it as well.
_FLUSH = "SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'floor', 'done')"


def connect(dsn: str, settings: Mapping[str, str] | None = None) -> Connection:
    """Connect to the target, each statement its own transaction.

    Args:
        dsn: the target.
        settings: of the session, beside the usual ones.

    Raises:
        psycopg.OperationalError: the server does not answer.
    """
    connection = psycopg.connect(dsn, autocommit=True, application_name="floor")
    for name, value in {**_SETTINGS, **(settings or {})}.items():
        connection.execute(sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
    return connection


def flush(connection: Connection) -> None:
    """Return when all that was committed so far, by any session, is on disk."""
    connection.execute(_FLUSH)


class Sessions:
    """So many sessions that take work in the order in which it is given.

    Leaving the context because of an error cancels what they do.

    Args:
        dsn: the target.
        count: how many.
        settings: as for ``connect``.
    """

    def __init__(self, dsn: str, count: int, settings: Mapping[str, str] | None = None) -> None:
        self._dsn = dsn
        self._settings = settings
        self._threads = ThreadPoolExecutor(count)
        self._own = threading.local()
        self._open: list[Connection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            for connection in self._open:
                connection.cancel_safe()
        self._threads.shutdown(cancel_futures=error is not None)
        for connection in self._open:
            connection.close()

    def submit(self, work: Work) -> Future[None]:
        """Have work done in one of the sessions, which is opened when there is work for it."""
        return self._threads.submit(self._do, work)

    def _do(self, work: Work) -> None:
        if not hasattr(self._own, "connection"):
            self._own.connection = connect(self._dsn, self._settings)
            self._open.append(self._own.connection)
        work(self._own.connection)


class Tasks:
    """What is under way in sessions, and what is to follow it."""

    def __init__(self) -> None:
        self._under_way: dict[Future[None], Callable[[], None]] = {}

    def start(
        self,
        sessions: Sessions,
        works: Iterable[Work],
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """Have pieces of work done at once, and call ``then`` in this thread after the last."""
        futures = [sessions.submit(work) for work in works]
        left = len(futures)

        def one_is_done() -> None:
            nonlocal left
            left -= 1
            if not left:
                then()

        self._under_way.update(dict.fromkeys(futures, one_is_done))
        if not futures:
            then()

    def finish(self) -> None:
        """Wait until everything is done, with all that followed.

        Raises:
            psycopg.Error: the first error of any work.
        """
        while self._under_way:
            done, _ = wait(self._under_way, return_when=FIRST_COMPLETED)
            for future in done:
                then = self._under_way.pop(future)
                future.result()
                then()
