"""Item 18: the connection is lost, the disk is full: one line, and the next restore is whole."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from restore.target.sqlstate import describe, is_data_error, is_lost, is_transient
from restore.tests.support.target import COMPANIES, FULL_DISK, user

if TYPE_CHECKING:
    from restore.tests.support.target import Target

# A server that ends its own session in the middle of a COPY, as an administrator would end it.
ENDS = """
    CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN {} RETURN NEW; END $$;
    CREATE TRIGGER stop BEFORE INSERT ON company FOR EACH ROW WHEN (NEW.id = 3000)
    EXECUTE FUNCTION stop();
    ALTER TABLE company ENABLE ALWAYS TRIGGER stop;
"""
# The same where no trigger has to fire.
ENDS_BY_CHECK = """
    CREATE FUNCTION stop() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN {} RETURN true; END $$;
    ALTER TABLE company ADD CONSTRAINT stop CHECK (id <> 3000 OR stop());
"""
SCRIPT = """
import sys
from pathlib import Path
import msgspec
from restore import Options, restore
backup, dsn, rejects, report = sys.argv[1:]
options = Options(backup=Path(backup), dsn=dsn, rejects=Path(rejects), triggers=True)
Path(report).write_bytes(msgspec.json.encode(restore(options)))
"""


def write(target: Target) -> None:
    companies = [{"id": n, "name": f"{n}" * 60, "owner": None} for n in range(5000)]
    target.write(company=companies, User=[user(n) for n in range(3)], post=[])


def keys(target: Target) -> list[Any]:
    return target.rows("SELECT conname FROM pg_constraint WHERE contype = 'f' ORDER BY conname")


def run(target: Target) -> dict[str, Any]:
    """Restore in a process of its own, with triggers, and return the report."""
    command = [sys.executable, "-c", SCRIPT, str(target.backup), target.dsn]
    command += [str(target.rejects), str(target.report)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(target.report.read_bytes())  # type: ignore[no-any-return]


def test_a_session_that_is_ended_in_mid_copy(target: Target) -> None:
    before = keys(target)
    target.conn.execute(ENDS_BY_CHECK.format("PERFORM pg_terminate_backend(pg_backend_pid());"))
    write(target)
    said = target.restore(exit_code=1)
    [line] = [line for line in said.splitlines() if line.startswith("restore: ")]
    assert "the connection to the database is lost" in line
    [(loaded,)] = target.rows("SELECT count(*) FROM company")
    assert 0 < loaded <= 3000
    target.conn.execute("ALTER TABLE company DROP CONSTRAINT stop")
    target.restore("--resume")
    assert target.rows("SELECT count(*) FROM company") == [(5000,)]
    assert keys(target) == before
    assert target.rows("SELECT to_regnamespace('restore_journal')::text") == [(None,)]


def test_a_full_disk_stops_the_restore_and_is_told(target: Target) -> None:
    before = keys(target)
    target.conn.execute(ENDS.format(FULL_DISK))
    write(target)
    report = run(target)
    assert "disk is full: make room there" in report["error"]
    assert "\n" not in report["error"]
    loaded = target.counts()["company"]["loaded"]
    assert target.rows("SELECT count(*) FROM company") == [(loaded,)]
    assert keys(target) == before


def test_a_full_disk_is_made_room_on_and_the_restore_goes_on(target: Target) -> None:
    before = keys(target)
    target.conn.execute(ENDS_BY_CHECK.format(FULL_DISK))
    write(target)
    said = target.restore(exit_code=1)
    assert "the database server's disk is full: make room there" in said
    assert "--resume" in said
    assert not target.rejects.exists()
    target.conn.execute("ALTER TABLE company DROP CONSTRAINT stop")
    target.restore("--resume")
    assert target.rows("SELECT count(*) FROM company") == [(5000,)]
    assert keys(target) == before


@pytest.mark.slow
@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "57014"])
def test_what_may_succeed_a_moment_later_is_tried_again(target: Target, sqlstate: str) -> None:
    target.conn.execute("CREATE SEQUENCE tries")
    target.conn.execute(
        ENDS.format(
            f"IF nextval('tries') < 3 THEN RAISE 'no' USING ERRCODE = '{sqlstate}'; END IF;"
        )
    )
    write(target)
    report = run(target)
    assert report["error"] is None
    company: dict[str, Any] = target.counts()["company"]
    assert company["levels"]["batch"] == 5000
    assert target.rows("SELECT last_value FROM tries") == [(3,)]


def test_what_an_sqlstate_means() -> None:
    of = psycopg.errors.lookup
    assert all(is_data_error(of(s)()) for s in ("22P02", "23505", "23503", "P0001", "54000"))
    assert all(is_transient(of(s)()) for s in ("40001", "40P01", "55P03", "57014", "53300"))
    assert all(is_lost(of(s)()) for s in ("08006", "57P01", "57P02", "57P03"))
    assert is_lost(psycopg.OperationalError("server closed the connection unexpectedly"))
    for state in ("42703", "53100", "25006", "53400"):
        error = of(state)()
        assert not any(judge(error) for judge in (is_data_error, is_transient, is_lost))
    assert "disk is full" in describe(of("53100")("no space"))


def test_the_server_is_not_there(target: Target) -> None:
    target.write(company=COMPANIES)
    target.dsn = "host=127.0.0.1 port=1 dbname=x"
    assert target.turned_down().startswith("1: the database does not answer: ")
