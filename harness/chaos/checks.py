"""The checks of a restored database, independent of the faults on the way."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.chaos import restorer
from harness.model.record import Finding
from harness.trial import catalog, judge, sequences, verify
from harness.trial import rejects as reject_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg

    from harness.chaos.target import Target
    from harness.model.manifest import Manifest
    from harness.trial.baseline import Baseline

    Connection = psycopg.Connection[Any]

# How long the processes and sessions of a restore may take to end.
PATIENCE_S = 10.0
_POLL_S = 0.05
_OBJECTS_NAMED = 6

# Each query returns what should not be there, as texts.
_LEFTOVERS = {
    "session": "SELECT 'pid ' || pid || ': ' || left(query, 80) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type IN ('client backend', 'parallel worker')",
    "advisory lock": "SELECT classid || '/' || objid || ' of pid ' || pid FROM pg_locks"
    " WHERE locktype = 'advisory'"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    # Autovacuum removes the temporary tables of sessions that crash.
    "temporary table": "SELECT relname FROM pg_class"
    " WHERE relpersistence = 't' AND relkind IN ('r', 'p')",
    "prepared transaction": "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()",
}


@dataclass(frozen=True, slots=True)
class ExpectedState:
    """The state that a restored database must have.

    Attributes:
        dataset: the dataset's folder.
        manifest: its ground truth.
        before: an empty database before any restore.
        rejects: the folder of the rejects of a restore without faults; None while there is none.
    """

    dataset: Path
    manifest: Manifest
    before: Baseline
    rejects: Path | None = None


def check(
    target: Target, database: str, rejects: Path, mark: str, expected: ExpectedState
) -> Iterator[tuple[str, int, str]]:
    """Yield each deviation: its kind (``record.Finding.what``), its count, and a line.

    Args:
        target: the server.
        database: the restored database.
        rejects: the folder of its rejects.
        mark: the mark of the restorer's processes.
        expected: the expected state.

    Raises:
        ServerError: the server does not come back.
    """
    for process in restorer.wait_until_gone(mark, PATIENCE_S):
        yield "leftover", 1, f"process {restorer.describe(process.pid)}"
    restorer.end(mark)
    with target.connect(database) as connection:
        yield from _leftovers(connection)
        verify.end_sessions(connection)
        yield from _rows(connection, expected)
        yield from _objects(connection, expected)
    yield from _rejects(rejects, expected)


def findings(cycle: int, found: Iterator[tuple[str, int, str]]) -> tuple[Finding, ...]:
    """Return deviations as findings to record."""
    return tuple(
        Finding(cycle=cycle, what=what, count=count, detail=detail) for what, count, detail in found
    )


def _leftovers(connection: Connection) -> Iterator[tuple[str, int, str]]:
    deadline = time.monotonic() + PATIENCE_S
    for name, query in _LEFTOVERS.items():
        while found := [text for (text,) in connection.execute(query)]:
            if time.monotonic() > deadline:
                yield "leftover", len(found), f"{name} {', '.join(found)}"
                break
            time.sleep(_POLL_S)


def _rows(connection: Connection, expected: ExpectedState) -> Iterator[tuple[str, int, str]]:
    """Yield missing rows and surplus rows separately."""
    for result in verify.verify(
        connection, expected.dataset, expected.manifest, expected.before.others
    ):
        said = judge.difference(result)
        if said is None:
            continue
        lost, twice = result.expected - result.restored, result.found - result.restored
        said = f"{result.table}: {said}"
        if lost:
            yield "lost", lost, said
        if twice:
            yield "twice", twice, said


def _objects(connection: Connection, expected: ExpectedState) -> Iterator[tuple[str, int, str]]:
    """Yield objects of the schema that are not as before, and sequences that are behind."""
    before, tables = expected.before, expected.manifest.tables
    changed = catalog.differences(before.objects, catalog.snapshot(connection))
    if changed:
        yield "schema", len(changed), "; ".join(changed[:_OBJECTS_NAMED])
    records = sum(table.records for table in tables)
    for line in sequences.differences(connection, before.sequences, records):
        yield "sequence", 1, line


def _rejects(folder: Path, expected: ExpectedState) -> Iterator[tuple[str, int, str]]:
    try:
        wrong = reject_files.differences(folder, expected.manifest)
    except ValueError as error:
        yield "rejects", 1, str(error)
        return
    for table, difference in wrong.items():
        if difference.missing:
            yield "lost", difference.missing, f"{table}: {difference}"
        if difference.surplus:
            yield "twice", difference.surplus, f"{table}: {difference}"
        if difference.unlike:
            yield "rejects", difference.unlike, f"{table}: {difference}"
    if expected.rejects is not None:
        extra = _names(folder) - _names(expected.rejects) - set(_copies(folder))
        if extra:
            yield "leftover", len(extra), f"in the folder of rejects: {', '.join(sorted(extra))}"


def _copies(folder: Path) -> Iterator[str]:
    """Yield the reject files that a later start of the same restore renamed, and wrote once more.

    A restorer that is killed between its end and its exit has nothing to resume: it starts over.
    """
    for path in folder.rglob("*.jsonl.*"):
        again = path.with_suffix("")
        if again.exists() and _lines(path) == _lines(again):
            yield str(path.relative_to(folder))


def _lines(path: Path) -> list[bytes]:
    return sorted(path.read_bytes().splitlines())


def _names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
