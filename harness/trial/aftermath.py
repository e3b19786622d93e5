"""Verifies what an engine has left behind: rows, all else in the target, the server, rejects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import psycopg

from harness.model.errors import HarnessError
from harness.model.record import TableResult
from harness.trial import baseline, durability, rejects, verify

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model.manifest import Manifest
    from harness.servers import RunningServer
    from harness.trial.baseline import Baseline
    from harness.trial.durability import StateAtEnd

Connection = psycopg.Connection[Any]

# A view in place of each table makes hundreds of lines.
_LINES_KEPT = 20


class Subject(NamedTuple):
    """What is verified: a database, the dataset that should be in it, and what it was before."""

    server: RunningServer
    database: str
    dataset: Path
    truth: Manifest
    before: Baseline


class ServerAtEnd(NamedTuple):
    """A session that the harness had while the engine ran, and what was committed at its end."""

    session: Connection
    state: StateAtEnd | None


class Verified(NamedTuple):
    """The result of a verification: each table, what else differs, and unanalyzed tables."""

    tables: tuple[TableResult, ...]
    differences: tuple[str, ...] = ()
    without_statistics: tuple[str, ...] = ()


def take_baseline(server: RunningServer, database: str, truth: Manifest) -> Baseline:
    """Return the state of an empty target and its server.

    Raises:
        ServerError: no connection.
        psycopg.Error: the server refuses to tell.
    """
    with server.connect(database) as target:
        return baseline.take(target, truth, owned=server.is_owned)


def verify_target(subject: Subject, end: ServerAtEnd) -> Verified:
    """Verify the target; if that fails, no row counts as restored."""
    try:
        with subject.server.connect_unnoticed(subject.database) as target:
            return _verify(target, subject, end)
    except (HarnessError, psycopg.Error) as error:
        reason = f"could not be verified: {str(error).splitlines()[0]}"
        return Verified(nothing_found(subject.truth, reason))


def _verify(target: Connection, subject: Subject, end: ServerAtEnd) -> Verified:
    server, truth, before = subject.server, subject.truth, subject.before
    lost = _lost_session(end.session)
    own = () if lost else (end.session.info.backend_pid,)
    verify.end_sessions(target, (*before.server.sessions, *own) if server.is_owned else ())
    transactions: tuple[str, ...] = ()
    if not lost:  # before a checkpoint removes the WAL
        transactions = durability.unflushed_transactions(end.session, server.pid, end.state)
    results = verify.verify(target, subject.dataset, truth, before.others)
    known = {".".join(name): name for name in before.others}
    known |= {table.table: table.name for table in truth.tables}
    named = [(known[result.table], result) for result in results]
    differences = [*lost, *baseline.differences(target, before, truth, owned=server.is_owned)]
    if not lost:  # after all that is read here, so that none of it is later
        transactions += durability.later_transactions(end.session, end.state)
    tables = durability.check_durability(target, named, transactions)
    if server.is_owned:
        baseline.drop_new_databases(target, before)
    return Verified(tables, _bounded(differences), baseline.without_statistics(target, truth))


def nothing_found(truth: Manifest, reason: str | None) -> tuple[TableResult, ...]:
    """Return results in which no row counts as restored, for the same reason in all tables."""
    return tuple(
        TableResult(
            table=table.table,
            expected=table.rows,
            found=0,
            right=0,
            checksum_match=False,
            error=reason,
        )
        for table in truth.tables
    )


def with_rejects(
    tables: tuple[TableResult, ...], folder: Path, truth: Manifest
) -> tuple[TableResult, ...]:
    """Add to each table whether its rejects match the ground truth."""
    try:
        differences = rejects.differences(folder, truth)
        wrong = {table: str(difference) for table, difference in differences.items()}
    except ValueError as error:
        wrong = dict.fromkeys((table.table for table in tables), str(error))
    return tuple(
        msgspec.structs.replace(
            table,
            rejects_match=table.table not in wrong,
            error=table.error or wrong.get(table.table),
        )
        for table in tables
    )


def _lost_session(session: Connection) -> list[str]:
    """Describe that the harness's own session was ended; empty if it was not."""
    try:
        session.execute("SELECT")
    except psycopg.Error:
        return ["the harness's session on the server was ended while the engine ran"]
    return []


def _bounded(lines: list[str]) -> tuple[str, ...]:
    more = len(lines) - _LINES_KEPT
    return (*lines[:_LINES_KEPT], *([f"and {more} more differences"] if more > 0 else []))
