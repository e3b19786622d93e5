"""The checks find a row that is lost, one that is there twice, and whatever else is not right.

A backup is restored once; each test takes a copy of that database and spoils one thing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from psycopg import sql

from harness.chaos import checks, restorer
from harness.chaos.checks import ExpectedState
from harness.chaos.options import resuming
from harness.engines import registry as engines
from harness.generate import DatasetSpec, generate
from harness.model import manifest
from harness.trial import baseline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack

    from harness.chaos.target import Target

SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")


class Right(NamedTuple):
    """What a restore must come to, and a database that was restored so."""

    state: ExpectedState
    database: str


@dataclass(frozen=True, slots=True)
class Restored:
    """A database that was restored, its rejects, and what it must come to."""

    target: Target
    database: str
    rejects: Path
    against: ExpectedState
    mark: str

    def spoil(self, statement: str) -> None:
        with self.target.connect(self.database) as connection:
            connection.execute(statement.encode())

    def found(self) -> dict[str, int]:
        """Return what is found, and how many of each."""
        of_all = checks.check(self.target, self.database, self.rejects, self.mark, self.against)
        counts: dict[str, int] = {}
        for what, count, detail in of_all:
            assert detail
            counts[what] = counts.get(what, 0) + count
        return counts


@pytest.fixture(scope="session")
def right(mortal: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Right]:
    """A backup that was restored as it should be."""
    folder = tmp_path_factory.mktemp("right")
    backup = generate(DatasetSpec(rows=2000, faults="realistic"), folder / "backups")
    database = mortal.make((backup / manifest.SCHEMA_SQL).read_text())
    truth = manifest.load(backup)
    with mortal.connect(database) as connection:
        before = baseline.take(connection, truth, owned=True)
    values = {"backup": str(backup), "dsn": mortal.dsn(database), "jobs": "1"}
    values |= {"rejects": str(folder / "rejects"), "report": str(folder / "report")}
    argv = engines.named("restore").argv(values)
    done = subprocess.run(argv, check=False, env=engines.environment({}), capture_output=True)
    assert done.returncode == 3, done.stderr
    yield Right(ExpectedState(backup, truth, before, folder / "rejects"), database)
    mortal.drop(database)


@pytest.fixture
def restored(mortal: Target, right: Right, tmp_path: Path, closing: ExitStack) -> Restored:
    """A copy of it."""
    assert right.state.rejects is not None
    name = f"copy_{os.urandom(4).hex()}"
    with mortal.connect() as connection:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(right.database)))
    closing.callback(mortal.drop, name)
    rejects = Path(shutil.copytree(right.state.rejects, tmp_path / "rejects"))
    mark = restorer.new_mark()
    closing.callback(restorer.end, mark)
    return Restored(mortal, name, rejects, right.state, mark)


@pytest.mark.slow
def test_what_is_right_is_found_right(restored: Restored) -> None:
    assert restored.found() == {}


def test_a_row_that_is_lost(restored: Restored) -> None:
    restored.spoil('DELETE FROM "AuditEvent" WHERE ctid = (SELECT min(ctid) FROM "AuditEvent")')
    assert restored.found() == {"lost": 1}


@pytest.mark.slow
def test_a_row_that_is_there_twice(restored: Restored) -> None:
    restored.spoil('ALTER TABLE "AuditEvent" DROP CONSTRAINT "AuditEvent_pkey"')
    restored.spoil('INSERT INTO "AuditEvent" SELECT * FROM "AuditEvent" LIMIT 1')
    found = restored.found()
    assert found.pop("schema") > 0
    assert found == {"twice": 1}


def test_one_lost_and_one_twice_do_not_make_up_for_each_other(restored: Restored) -> None:
    restored.spoil('ALTER TABLE "AuditEvent" DROP CONSTRAINT "AuditEvent_pkey"')
    restored.spoil('DELETE FROM "AuditEvent" WHERE ctid = (SELECT min(ctid) FROM "AuditEvent")')
    restored.spoil('INSERT INTO "AuditEvent" SELECT * FROM "AuditEvent" LIMIT 1')
    found = restored.found()
    assert (found["lost"], found["twice"]) == (1, 1)


@pytest.mark.parametrize(
    "statement",
    [
        "DROP INDEX {index}",
        "ALTER INDEX {index} RENAME TO of_another_name",
        "ALTER TABLE {table} REPLICA IDENTITY FULL",
        "CREATE TABLE one_more (a integer)",
    ],
)
def test_a_schema_that_is_not_what_it_was(restored: Restored, statement: str) -> None:
    with restored.target.connect(restored.database) as connection:
        row = connection.execute(
            "SELECT min(indexname) FROM pg_indexes WHERE schemaname = 'public'"
            " AND indexdef NOT LIKE '%UNIQUE%'"
        ).fetchone()
    assert row is not None
    restored.spoil(statement.format(index=f'"{row[0]}"', table='"AuditEvent"'))
    assert set(restored.found()) == {"schema"}


def test_a_sequence_that_is_behind(restored: Restored) -> None:
    with restored.target.connect(restored.database) as connection:
        row = connection.execute(
            "SELECT format('%I.%I', schemaname, sequencename) FROM pg_sequences"
            " WHERE last_value > 1 LIMIT 1"
        ).fetchone()
    assert row is not None
    restored.spoil(f"SELECT setval('{row[0]}', 1)")
    assert restored.found() == {"sequence": 1}


def test_a_process_that_is_left(
    restored: Restored,
    tmp_path: Path,
    patience: None,
    eventually: Callable[[Callable[[], bool]], bool],
) -> None:
    process = restorer.start(SLEEPER, os.environ, restored.mark, tmp_path / "log")
    # Its environment can be read a moment after it has begun.
    assert eventually(lambda: bool(restorer.marked_processes(restored.mark)))
    assert restored.found() == {"leftover": 1}
    assert process.process.wait(timeout=30) == -9  # found, and ended


def test_a_session_that_is_left_with_a_lock_and_a_temporary_table(
    restored: Restored, patience: None
) -> None:
    with restored.target.connect(restored.database) as connection:
        connection.execute("SELECT pg_advisory_lock(7)")
        connection.execute("CREATE TEMP TABLE staged (a integer)")
        assert restored.found() == {"leftover": 3}


def test_a_journal_that_is_left(restored: Restored) -> None:
    restored.spoil("CREATE SCHEMA restore_journal")
    restored.spoil("CREATE TABLE restore_journal.aside (name text)")
    assert set(restored.found()) == {"schema"}


def reject_file(restored: Restored) -> Path:
    return max(restored.rejects.glob("*.jsonl"), key=lambda path: path.stat().st_size)


def test_a_reject_that_is_lost(restored: Restored) -> None:
    path = reject_file(restored)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    assert restored.found() == {"lost": 1}


def test_a_reject_that_is_there_twice(restored: Restored) -> None:
    path = reject_file(restored)
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[0])
    assert restored.found() == {"twice": 1}


def test_a_reject_that_is_torn(restored: Restored) -> None:
    path = reject_file(restored)
    path.write_bytes(path.read_bytes()[:-20])
    assert restored.found() == {"rejects": 1}


def test_a_file_beside_the_rejects(restored: Restored) -> None:
    (restored.rejects / "users.jsonl.part").write_text("")
    assert restored.found() == {"leftover": 1}


def test_the_rejects_of_a_start_that_was_complete(restored: Restored) -> None:
    """A restorer killed between its end and its exit starts over, and keeps that file."""
    path = reject_file(restored)
    older = path.with_name(f"{path.name}.1")
    older.write_bytes(path.read_bytes())
    assert restored.found() == {}
    older.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    assert restored.found() == {"leftover": 1}


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less for what is not going to end."""
    monkeypatch.setattr(checks, "PATIENCE_S", 0.2)


def test_a_campaign_calls_the_restorer_so_that_it_goes_on(database: str) -> None:
    assert {"--clean", "--resume"} <= set(resuming().template)


def test_a_wait_ends_when_the_process_does(
    tmp_path: Path, eventually: Callable[[Callable[[], bool]], bool]
) -> None:
    mark = restorer.new_mark()
    process = restorer.start((sys.executable, "-c", "pass"), os.environ, mark, tmp_path / "log")
    assert restorer.wait_until_gone(mark, 30) == []
    assert eventually(lambda: process.exit_code == 0)
