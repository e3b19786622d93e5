"""Classifies the server's errors by SQLSTATE: data, transient, server, other.

Errors of the data are isolated record by record. Transient ones (a deadlock, a lock that another
session holds) are tried again. Those of the server (the disk is full) stop the restore, with a line
that says what to do. Whether any other is of a record or of its table shows by experiment: see
``record_errors``.

Source: PostgreSQL's manual, Appendix A, "PostgreSQL Error Codes".
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import psycopg

from restore.errors import ConnectionLostError, LoadError, RestoreError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# Classes: data exception, integrity constraint, WITH CHECK OPTION, raised by a trigger or a
# function, a value over a limit of the program.
_DATA = ("22", "23", "44", "P0", "54")
# serialization_failure, deadlock_detected, lock_not_available, too_many_connections (dblink and
# foreign servers), query_canceled (somebody's pg_cancel_backend). Not configuration_limit_exceeded
# (53400): a limit on temporary files is the same a second later.
_TRANSIENT = frozenset({"40001", "40P01", "55P03", "53300", "57014"})
# Of these, what other sessions' locks do. A statement that we cancelled ourselves is none of them.
LOCK_ERRORS = frozenset({"40P01", "55P03"})
# connection_exception, admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped.
_LOST = ("08", "57P01", "57P02", "57P03", "57P04")
# read_only_sql_transaction, transaction_rollback, disk_full, too_many_connections,
# configuration_limit_exceeded, lock_not_available, operator_intervention, system_error,
# data_corrupted, index_corrupted. No other record would fare better.
_SERVER = (
    *("08", "25006", "40", "53100", "53300", "53400", "55P03", "57", "58"),
    *("XX001", "XX002"),
)
# feature_not_supported, insufficient_resources, object_not_in_prerequisite_state,
# insufficient_privilege, undefined and duplicate objects.
_STATEMENT = ("0A", "53", "55", "42501", "427", "428", "42P", "3F")
# Given if PostgreSQL has no hint of its own.
_ADVICE = {
    "53100": "the database server's disk is full: make room there",
    "53200": "the database server is out of memory: a smaller --chunk-bytes asks less of it",
    "25006": "the database may only be read",
}
# The function of PostgreSQL's source (pl_exec.c) that reports what PL/pgSQL's RAISE says.
_RAISE = "exec_stmt_raise"
_LOST_LINE = "the connection to the database is lost; what was loaded by then stays"

MOST_ATTEMPTS = 5
# Waits grow from the first to the longest, with chance in them so that two that met do not again.
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0


def is_data_error(error: psycopg.Error) -> bool:
    """Tell if an error is caused by the data: by its SQLSTATE, or because RAISE made it.

    A function of the user's may raise any SQLSTATE.
    """
    return (error.sqlstate or "").startswith(_DATA) or _is_raised(error)


def is_of_client(error: psycopg.Error) -> bool:
    """Tell if psycopg could not send a value, such as a text with NUL; nothing was sent then."""
    return error.sqlstate is None and isinstance(error, psycopg.DataError)


def is_server_error(error: psycopg.Error) -> bool:
    """Tell if an error comes from the server or the connection, not from a record."""
    if is_lost(error):
        return True
    return (error.sqlstate or "").startswith(_SERVER) and not _is_raised(error)


def may_be_of_row(error: psycopg.Error) -> bool:
    """Tell if creating an index or a key may have failed because of a row's values.

    A function of an index expression may raise anything; the error then has the call as its
    context. Without one, some errors are of the statement.
    """
    if is_data_error(error):
        return True
    of_statement = (error.sqlstate or "").startswith(_STATEMENT) and not error.diag.context
    return not (is_server_error(error) or of_statement)


def is_transient(error: BaseException, states: frozenset[str] = _TRANSIENT) -> bool:
    """Tell if the same statement may succeed a moment later, on the same connection."""
    return isinstance(error, psycopg.Error) and error.sqlstate in states


def _is_raised(error: psycopg.Error) -> bool:
    return error.diag.source_function == _RAISE


def is_lost(error: BaseException) -> bool:
    """Tell if the connection is lost, or the server is about to close it."""
    if not isinstance(error, psycopg.Error):
        return isinstance(error, ConnectionLostError)
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate.startswith(_LOST) and not _is_raised(error)


def retry_transient(
    call: Callable[[], T],
    *,
    states: frozenset[str] = _TRANSIENT,
    attempts: int = MOST_ATTEMPTS,
) -> T:
    """Call a transaction again while its error is transient.

    Args:
        call: a whole transaction: when it raises, nothing of it may be left in the database, and
            the connection must be idle.
        states: the SQLSTATEs that are worth another try.
        attempts: how often it is called at the most.

    Raises:
        psycopg.Error: the first error that is not transient, or the last of ``attempts``.
    """

    def again_on(error: BaseException) -> bool:
        return is_transient(error, states)

    try:
        return call()
    except psycopg.Error as error:
        if not again_on(error) or attempts <= 1:
            raise
    # Imported only if needed: that takes as long as a small table's load.
    import tenacity  # noqa: PLC0415

    again = tenacity.Retrying(
        retry=tenacity.retry_if_exception(again_on),
        stop=tenacity.stop_after_attempt(attempts - 1),
        wait=tenacity.wait_random_exponential(multiplier=_FIRST_WAIT_S, max=_LONGEST_WAIT_S),
        reraise=True,
    )
    time.sleep(_FIRST_WAIT_S)
    return again(call)


def wait_until_available(seconds: float, call: Callable[[], object]) -> bool:
    """Call repeatedly until no RestoreError is raised; return False after ``seconds``.

    Args:
        seconds: for how long; 0: it is not called at all.
        call: asks whether the server answers, and is no standby, as after a failover.
    """
    if not seconds:
        return False
    import tenacity  # noqa: PLC0415 - as above

    again = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(RestoreError),
        stop=tenacity.stop_after_delay(seconds),
        wait=tenacity.wait_random_exponential(multiplier=_FIRST_WAIT_S, max=_LONGEST_WAIT_S),
    )
    try:
        again(call)
    except tenacity.RetryError:
        return False
    return True


def to_load_error(error: psycopg.Error, prefix: str = "") -> LoadError:
    """Return a LoadError for what stops a load."""
    return (ConnectionLostError if is_lost(error) else LoadError)(prefix + describe(error))


def describe(error: Exception) -> str:
    """Return what went wrong in one line, with advice if there is any."""
    if not isinstance(error, psycopg.Error):
        lines = [str(error), *getattr(error, "__notes__", ())]
        return " ".join("; ".join(lines).split())
    if is_lost(error):
        said = error.diag.message_primary
        line = f"{_LOST_LINE} ({said})" if said else _LOST_LINE
        return " ".join("; ".join([line, *getattr(error, "__notes__", ())]).split())
    primary = error.diag.message_primary or str(error)
    detail = error.diag.message_detail
    parts = [f"{primary}: {detail}" if detail else primary, *getattr(error, "__notes__", ())]
    advice = error.diag.message_hint or _ADVICE.get(error.sqlstate or "")
    return " ".join("; ".join([*parts, advice] if advice else parts).split())
