"""A restore that is killed at any point goes on from there, and ends as if nothing had been."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from restore.tests.support.target import Target, user, uuid

if TYPE_CHECKING:
    from pathlib import Path

needs_posix = pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")

# The process ends before, or after, it has waited for the server so many times. What else it is
# told makes a small backup take the ways that large ones take.
DYING = """
import itertools, os, signal, sys
import psycopg
from restore.schedule import scheduler as loading
at, when, small = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "small"
if not small:
    loading._WORTH_BYTES = 1
waits, wait = itertools.count(1), psycopg.Connection.wait
def dying(self, *arguments, **more):
    number = next(waits)
    if number == at and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    found = wait(self, *arguments, **more)
    if number == at and when == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return found
psycopg.Connection.wait = dying
from restore.cli.main import main
code = main(sys.argv[4:])
print("waits", next(waits) - 1)
sys.exit(code)
"""

SCHEMA_NOW = """
    SELECT 'index', indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'constraint', concat(conname, conrelid::regclass, pg_get_constraintdef(oid),
        convalidated, condeferrable) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'trigger', concat(tgname, tgrelid::regclass, tgenabled) FROM pg_trigger
        WHERE NOT tgisinternal
    UNION ALL SELECT 'schema', nspname FROM pg_namespace WHERE nspname !~ '^pg_'
    ORDER BY 1, 2
"""


def backup(target: Target) -> None:
    """A backup in which everything can go wrong that a record can."""
    users: list[Any] = [user(n) for n in range(60)]
    users[7]["email"] = users[3]["email"]  # twice by one key
    users[40] = users[20] | {"email": "other@example.org"}  # and by another
    users[11]["companyId"] = 99  # an orphan
    users[12]["boss"] = uuid(11)  # and who hangs on it
    users[13]["mood"] = "sad"
    users[14]["born"] = "31 January 2024"  # only the server reads that
    users[15]["surprise"] = 1
    users[16]["age"] = -1
    users[17]["email"] = "nul\0"
    companies = [{"id": n, "name": f"c{n}", "owner": uuid(n)} for n in range(3)]
    posts = [{"id": n, "author": uuid(n % 60), "body": "x" * 40} for n in range(1, 200)]
    posts[50]["id"] = 3
    target.write(company=companies, User=users, post=posts)
    text = (target.backup / "post.json").read_text()
    (target.backup / "post.json").write_text(text.replace('{"id": 70,', '{"id" 70,'))


class Runs:
    """Restores of one backup, of which some are killed."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self.folder = folder
        self.number = 0

    def dying(self, at: int, when: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Restore, and die there."""
        command = [sys.executable, "-c", DYING, str(at), when, "large", str(self.target.backup)]
        command += ["--dsn", self.target.dsn, "--rejects", str(self.rejects), *options]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    @property
    def rejects(self) -> Path:
        return self.folder / f"rejects{self.number}"

    def anew(self) -> None:
        self.number += 1

    def resume(self, at: int, when: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Go on; where the one that was killed had come to its end, begin anew."""
        if self.target.rows("SELECT to_regclass('restore_journal.restore')::text") == [(None,)]:
            self.anew()
        return self.dying(at, when, *options, "--resume")

    def outcome(self) -> dict[str, Any]:
        """All that a restore leaves."""
        rows = {
            table: self.target.rows(f"SELECT t::text FROM {table} t ORDER BY 1")
            for table in ("company", '"User"', "post")
        }
        rejects = {
            path.name: sorted(path.read_bytes().splitlines())
            for path in self.rejects.iterdir()
            if path.stat().st_size
        }
        return rows | {"rejects": rejects, "schema": self.target.rows(SCHEMA_NOW)}


@pytest.fixture
def runs(target: Target, tmp_path: Path) -> Runs:
    backup(target)
    target.conn.execute(
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN NEW; END $$;"
        "CREATE TRIGGER nothing BEFORE INSERT ON post FOR EACH ROW EXECUTE FUNCTION nothing();"
        "CREATE INDEX post_body ON post (body)"
    )
    return Runs(target, tmp_path)


WAYS = {
    "one COPY": (),
    "batches": ("--chunk-bytes", "1024", "--keep-indexes"),
    "in order": ("--chunk-bytes", "1024", "--triggers"),
}


@pytest.mark.slow
@needs_posix
@pytest.mark.parametrize("way", WAYS)
def test_who_is_killed_anywhere_goes_on_there(runs: Runs, way: str) -> None:
    options = ("--clean", "--jobs", "1", *WAYS[way])
    whole = runs.dying(0, "never", *options)
    assert whole.returncode == 3, whole.stderr
    waits, expected = int(whole.stdout.split()[-1]), runs.outcome()
    assert waits > 50
    draw = random.Random(way)  # noqa: S311 - to be drawn again
    points = int(os.environ.get("RESTOREBENCH_CRASH_POINTS", "3"))
    for at in sorted(draw.sample(range(1, waits + 1), min(points, waits))):
        runs.anew()
        when = draw.choice(["before", "after"])
        first = runs.dying(at, when, *options)
        assert first.returncode in {-signal.SIGKILL, 3}, first.stderr
        again = runs.resume(draw.randrange(1, waits), when, *options)
        assert again.returncode in {-signal.SIGKILL, 3}, (at, when, again.stderr)
        last = runs.resume(0, "never", *options)
        assert last.returncode == 3, (at, when, last.stderr)
        assert runs.outcome() == expected, (at, when)


@pytest.mark.slow
@needs_posix
def test_rejects_of_an_earlier_restore_outlive_one_that_is_resumed(target: Target) -> None:
    target.conn.execute("CREATE TABLE thing (id int PRIMARY KEY, name text NOT NULL)")
    target.write(thing=[{"id": 1, "name": "n"}, {"id": 2, "name": None}])
    target.restore(exit_code=3)
    kept = target.rejects / "thing.jsonl"
    earlier = kept.read_bytes()
    target.write(thing=[{"id": 1, "name": "n"}])
    target.kill("schedule.table_state.set_phase", "--clean", "--rejects", str(target.rejects))
    target.restore("--resume")
    assert not kept.exists()
    assert kept.with_name("thing.jsonl.1").read_bytes() == earlier
