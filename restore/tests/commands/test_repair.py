"""What a restore that did not end has left aside comes back, and until then no other one starts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from restore import LoadError, Options
from restore.cli.signals import ProgressRecorder
from restore.commands.retry import retry
from restore.tests.support.target import COMPANIES, FULL_DISK, user, uuid

if TYPE_CHECKING:
    from restore.tests.support.target import Target

KEYS = "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated FROM"
KEYS += " pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
JOURNAL = "SELECT to_regnamespace('restore_journal')::text"


def test_a_second_restore_is_refused_until_it_is_repaired(target: Target) -> None:
    target.write(company=COMPANIES, User=[user(n) for n in range(3)], post=[])
    target.kill("commands.job.recreate_all")
    refused: list[dict[str, Any]] = [{}, {"clean": True}, {"append": True}]
    for options in refused:
        line = target.turned_down(**options)
        assert line.startswith(f"1: the restore of {target.backup} that was begun at ")
        assert " left objects dropped or disabled (4 foreign keys): continue with --resume" in line
        assert "`python -m restore repair --dsn " in line
    assert [line for line in target.repair() if "foreign key" in line]
    assert target.load(clean=True).complete


@pytest.fixture
def half(target: Target) -> Target:
    """A restore was killed with two companies of one name in, and a user whose company is not."""
    target.conn.execute("ALTER TABLE company ADD CONSTRAINT names UNIQUE (name)")
    companies = [{"id": n, "name": f"{n // 2 if n < 2 else n}" * 700} for n in range(2000)]
    target.write(company=companies, User=[], post=[])
    target.kill("constraints.finalize.dropped_objects", "--jobs", "1")
    target.conn.execute(f"""INSERT INTO "User" (id, email, "companyId", "createdAt")
                            VALUES ('{uuid(1)}', '', 5000, now())""")
    return target


def test_rows_that_are_in_the_way_are_told_with_what_to_do(half: Target) -> None:
    before = len(half.rows(KEYS))
    said = half.repair(exit_code=1)
    assert said[:-1] == ["recreated key company_pkey of company"]
    assert said[-1].startswith(
        "restore: key names of company cannot be recreated: Key (name)=(0000"
    )
    assert "is duplicated" in said[-1]
    assert "empty the tables with `python -m restore repair --dsn" in said[-1]
    half.conn.execute("DELETE FROM company WHERE id = 0")
    said = half.repair(exit_code=1)
    assert said[0] == "recreated key names of company"
    assert said[1].startswith(
        "restore: foreign key User_companyId_fkey of User cannot be recreated"
    )
    assert "(5000) is not present" in said[1]
    assert len(half.rows(KEYS)) == before + 2
    half.conn.execute('DELETE FROM "User"')
    assert len(half.repair()) == 5
    assert half.rows(JOURNAL) == [(None,)]


def test_tables_are_emptied_where_that_is_asked_for_and_no_others(half: Target) -> None:
    half.conn.execute("CREATE TABLE bystander AS SELECT 1 AS id")
    said = half.repair("--empty")
    assert sorted(said[0].removeprefix("emptied ").split(", ")) == ["User", "company", "post"]
    assert "recreated key names of company" in said
    assert half.rows("SELECT count(*) FROM company") == [(0,)]
    assert half.rows("SELECT count(*) FROM bystander") == [(1,)]
    half.write(company=COMPANIES, User=[user(n) for n in range(3)])
    assert half.load().complete
    assert len(half.rows(KEYS)) >= 9


def test_triggers_come_back_and_their_tables_are_not_emptied(target: Target) -> None:
    target.conn.execute(
        "CREATE TRIGGER touch BEFORE UPDATE ON company FOR EACH ROW"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    )
    target.write(company=[{"id": 1, "name": "x"}])
    target.kill("commands.job.recreate_all")
    enabled = "SELECT tgenabled FROM pg_trigger WHERE tgname = 'touch'"
    assert target.rows(enabled) == [("D",)]
    said = target.repair("--empty")
    assert said[0] == "enabled trigger touch of company"
    assert said[1].startswith("gave up the restore of ")
    assert target.rows(enabled) == [("O",)]
    assert target.rows("SELECT count(*) FROM company") == [(1,)]


def test_what_somebody_brought_back_by_hand_is_no_obstacle(half: Target) -> None:
    half.conn.execute('DELETE FROM company; DELETE FROM "User"')
    half.conn.execute("ALTER TABLE company ADD PRIMARY KEY (id)")
    assert "recreated key company_pkey of company" in half.repair()
    assert half.rows(JOURNAL) == [(None,)]


def test_a_retry_is_refused_too(target: Target) -> None:
    target.write(company=[{"id": 1, "name": None}, {"id": 2, "name": "x"}])
    target.restore(exit_code=3)
    target.write(company=[], User=[], post=[])
    target.conn.execute("TRUNCATE company CASCADE")
    target.kill("commands.job.recreate_all")
    with pytest.raises(LoadError, match="left objects dropped or disabled"):
        retry(target.rejects, Options(backup=target.rejects, dsn=target.dsn))


def test_settings_that_are_for_a_restore_do_not_stop_it(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTORE_CASCADE", "yes")  # without --clean, a restore is refused
    assert target.repair("--lock-timeout", "5") == [
        "nothing to repair: no index, key or trigger is dropped or disabled"
    ]


def test_another_restore_at_work_is_waited_for(target: Target) -> None:
    number = int.from_bytes(b"restore!", "big")
    target.conn.execute("SELECT pg_advisory_lock(%s)", [number])
    [line] = target.repair("--lock-timeout", "0.1", exit_code=1)
    assert "another restore into this database is at work" in line


def test_a_restore_that_stops_with_something_aside_says_what_to_type(target: Target) -> None:
    target.conn.execute(
        "CREATE FUNCTION stop() RETURNS boolean LANGUAGE plpgsql AS"
        f" $$ BEGIN {FULL_DISK} RETURN true; END $$;"
        " ALTER TABLE post ADD CONSTRAINT stop CHECK (stop())"
    )
    target.write(
        company=[c | {"owner": None} for c in COMPANIES],
        User=[user(1, companyId=77)],  # an orphan that nobody has had the time to look for
        post=[{"id": 1, "author": uuid(1)}],
    )
    report = target.load()
    assert report.error is not None
    assert "disk is full" in report.error
    assert "are dropped, recorded in restore_journal" in report.error
    [again] = report.next_steps
    assert again.endswith(" --resume")
    assert target.repair("--empty")[0].startswith("emptied ")


def test_an_interrupted_restore_with_something_aside_says_what_to_type() -> None:
    recorder = ProgressRecorder(lambda _: None)
    options = Options(backup=Path("b"), dsn="service=shop")
    assert recorder.state(options).endswith(
        "no record was read yet; nothing was loaded: run it again"
    )
    cleaned = recorder.state(dataclasses.replace(options, clean=True))
    assert cleaned.endswith("nothing was loaded, and the tables may be empty now: run it again")
    recorder.is_resumable = True
    assert recorder.state(options).endswith("part of the backup: continue with --resume")
    recorder.needs_repair = True
    assert recorder.state(options).endswith(
        "some indexes, keys or triggers are dropped or disabled: continue with --resume, or"
        " recreate them with `python -m restore repair --dsn service=shop`"
    )
    recorder.is_resumable = False
    assert recorder.state(options).endswith(
        "Recreate them with `python -m restore repair --dsn service=shop --empty`, then restore"
        " it again with --clean"
    )
    added = recorder.state(dataclasses.replace(options, append=True))
    assert "`python -m restore repair --dsn service=shop`, then run it again with --append" in added
