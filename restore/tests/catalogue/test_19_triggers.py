"""Item 19: triggers of the user's own do not fire unless told to, and come back as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from restore.tests.support.target import uuid

if TYPE_CHECKING:
    from restore.tests.support.target import Target

TRIGGERS = """
    CREATE TABLE log (what text);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO log VALUES (TG_NAME); RETURN NEW; END $$;
    CREATE TABLE t (id int, "Day" date) PARTITION BY RANGE ("Day");
    CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
    CREATE TABLE t2 PARTITION OF t FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
    CREATE TRIGGER "on All" BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER on_statement AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION note();
    CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t1 DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER always BEFORE INSERT ON t1 FOR EACH ROW EXECUTE FUNCTION note();
    ALTER TABLE t1 ENABLE ALWAYS TRIGGER always;
    CREATE TRIGGER replica BEFORE INSERT ON t1 FOR EACH ROW EXECUTE FUNCTION note();
    ALTER TABLE t1 ENABLE REPLICA TRIGGER replica;
    CREATE TRIGGER never BEFORE INSERT ON t2 FOR EACH ROW EXECUTE FUNCTION note();
    ALTER TABLE t2 DISABLE TRIGGER never;
    ALTER TABLE ONLY t2 DISABLE TRIGGER "on All";
"""


def states(target: Target) -> list[Any]:
    return target.rows(
        "SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger"
        " WHERE tgconstraint = 0 OR tgname = 'late' ORDER BY 1, 2"
    )


@pytest.fixture
def quiet(target: Target) -> Target:
    """A partitioned table with triggers of every state, and its backup."""
    target.conn.execute(TRIGGERS)
    target.write(t=[{"id": n, "Day": f"2024-0{1 + n % 2}-05"} for n in range(10)])
    return target


def test_they_do_not_fire_and_come_back_as_they_were(quiet: Target) -> None:
    before = states(quiet)
    assert {state for *_, state in before} == {"O", "A", "R", "D"}
    report = quiet.load()
    assert report.complete
    assert quiet.rows("SELECT count(*) FROM t1") == [(5,)]
    assert quiet.rows("SELECT count(*) FROM log") == [(0,)]
    assert states(quiet) == before
    assert quiet.rows("SELECT to_regnamespace('restore_journal')::text") == [(None,)]
    assert "on All of t," in report.warnings[0]
    assert "pass --triggers to let them fire" in report.warnings[0]


def test_they_fire_when_told_to(quiet: Target) -> None:
    assert quiet.load(triggers=True).complete
    assert quiet.rows("SELECT DISTINCT what FROM log ORDER BY 1") == [
        *(("always",), ("late",), ("on All",), ("on_statement",))
    ]


def test_they_come_back_after_a_load_that_failed(quiet: Target) -> None:
    before = states(quiet)
    quiet.conn.execute(
        "CREATE FUNCTION stop(n int) RETURNS bool LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN pg_read_file('/nowhere') = ''; END $$"
    )
    quiet.conn.execute("ALTER TABLE t ADD CHECK (id < 5 OR stop(id))")
    assert "/nowhere" in str(quiet.load().error)
    assert states(quiet) == before
    assert quiet.rows("SELECT to_regnamespace('restore_journal')::text") == [(None,)]


def test_they_come_back_after_a_restore_that_was_killed(quiet: Target) -> None:
    before = states(quiet)
    quiet.kill("commands.job.recreate_all")
    assert states(quiet) != before
    quiet.repair()
    assert states(quiet) == before
    quiet.restore("--clean")
    assert states(quiet) == before
    assert quiet.rows("SELECT count(*) FROM log") == [(0,)]


@pytest.mark.slow
def test_rows_that_a_foreign_key_takes_out_again_fire_none_either(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE log (what text); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO log VALUES (TG_OP); RETURN OLD; END $$;"
        " CREATE TRIGGER gone BEFORE DELETE ON company FOR EACH ROW EXECUTE FUNCTION note()"
    )
    target.write(company=[{"id": 1, "name": "a", "owner": uuid(1)}], User=[], post=[])
    assert target.load().lost == 1
    assert target.rows("SELECT count(*) FROM company") == [(0,)]
    assert target.rows("SELECT count(*) FROM log") == [(0,)]


def test_who_does_not_own_the_table_is_told_that_triggers_may_fire(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE t (id int); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN NEW; END $$;"
        " CREATE TRIGGER touch BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION note()"
    )
    target.write(t=[{"id": 1}])
    with target.role() as name:
        target.conn.execute(f"GRANT ALL ON t TO {name}")
        message = target.turned_down()
        assert "1: must be owner of table t to keep its trigger touch from firing" in message
        assert "--triggers" in message
        assert target.load(triggers=True).complete
