"""Rejects that only the order of the load kept out are loaded once all tables are in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from restore.tests.support.target import Target

# Each of two tables checks that the other has a row; one of them has to be first.
EACH_OTHER = """
    CREATE TABLE a (id int PRIMARY KEY, b int, v int);
    CREATE TABLE b (id int PRIMARY KEY, a int);
    CREATE FUNCTION in_a(n int) RETURNS boolean LANGUAGE sql AS
        'SELECT EXISTS (SELECT FROM a WHERE id = n)';
    CREATE FUNCTION in_b(n int) RETURNS boolean LANGUAGE sql AS
        'SELECT EXISTS (SELECT FROM b WHERE id = n)';
    ALTER TABLE a ADD CONSTRAINT a_b CHECK (in_b(b));
    ALTER TABLE b ADD CONSTRAINT b_a CHECK (id < 5 OR in_a(a));
"""


def counts(target: Target) -> dict[str, int]:
    return {name: target.rows(f"SELECT count(*) FROM {name}")[0][0] for name in ("a", "b")}


@pytest.fixture
def mutual(target: Target) -> Target:
    """Ten records each; of ``a``, two need rows that never come, and one holds a bad value."""
    target.conn.execute(EACH_OTHER)
    a = [{"id": n, "b": n if n < 8 else 100 + n, "v": "x" if n == 3 else n} for n in range(10)]
    target.write(a=a, b=[{"id": n, "a": n - 5 if n > 5 else 0} for n in range(10)])
    return target


def check(target: Target) -> None:
    """See that all is in that can be, and that every count says so."""
    assert counts(target) == {"a": 7, "b": 9}
    assert target.refused("a").keys() == {3, 8, 9}
    assert target.refused("b").keys() == {8}
    a, b = target.counts()["a"], target.counts()["b"]
    assert sum(reason["count"] for reason in a["reasons"]) == a["rejected"] == 3
    assert sum(reason["count"] for reason in b["reasons"]) == b["rejected"] == 1
    assert not [path for path in target.rejects.iterdir() if path.suffix != ".jsonl"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [[], ["--atomic"], ["--append"], ["--append", "--on-conflict", "skip"], ["--jobs", "2"]],
    ids=" ".join,
)
def test_what_needs_a_later_table(mutual: Target, options: list[str]) -> None:
    said = mutual.restore(*options, exit_code=3)
    assert "rejects, once more" in said
    check(mutual)


def test_a_table_that_others_read_is_loaded_first(target: Target) -> None:
    target.conn.execute(EACH_OTHER + "ALTER TABLE b DROP CONSTRAINT b_a")
    target.write(a=[{"id": n, "b": n} for n in range(3)], b=[{"id": n} for n in range(3)])
    said = target.restore()
    assert "rejects, once more" not in said
    assert target.counts()["a"]["levels"]["batch"] == 3


@pytest.mark.parametrize("step", [1, -1])
def test_a_chain_within_a_table(target: Target, step: int) -> None:
    """Each record needs the one that is ``step`` before it in the file."""
    target.conn.execute(
        "CREATE TABLE a (id int PRIMARY KEY, b int);"
        "CREATE FUNCTION before(n int) RETURNS boolean LANGUAGE sql AS"
        " 'SELECT EXISTS (SELECT FROM a WHERE id = n)';"
        "ALTER TABLE a ADD CHECK (b IS NULL OR before(b))"
    )
    chain = [{"id": n, "b": n - 1 if n else None} for n in range(8)]
    target.write(a=chain[::step])
    target.restore()
    assert target.rows("SELECT count(*) FROM a") == [(8,)]
    assert not target.rejects.exists() or not list(target.rejects.iterdir())


def test_a_trigger_that_fires(target: Target) -> None:
    target.conn.execute(
        EACH_OTHER + "ALTER TABLE a DROP CONSTRAINT a_b; ALTER TABLE b DROP CONSTRAINT b_a;"
        "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NOT in_a(NEW.a) THEN RAISE 'no a' USING ERRCODE = '45000'; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER look BEFORE INSERT ON b FOR EACH ROW WHEN (NEW.a >= 0)"
        " EXECUTE FUNCTION look();"
        "CREATE FUNCTION look_b() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NOT in_b(NEW.b) THEN RAISE 'no b' USING ERRCODE = '42501'; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER look BEFORE INSERT ON a FOR EACH ROW WHEN (NEW.b >= 0)"
        " EXECUTE FUNCTION look_b()"
    )
    b = [{"id": n, "a": n - 1} for n in range(3)]
    target.write(a=[{"id": n, "b": n} for n in range(3)], b=b)
    target.restore("--triggers")
    assert counts(target) == {"a": 3, "b": 3}


@pytest.mark.slow
@pytest.mark.parametrize("where", ["note_retried", "use_retried"])
def test_a_restore_that_is_killed_meanwhile(mutual: Target, where: str) -> None:
    mutual.kill(f"schedule.table_state.TableState.{where}", "--rejects", str(mutual.rejects))
    said = mutual.restore("--resume", exit_code=3)
    check(mutual)
    assert mutual.rows("SELECT to_regnamespace('restore_journal')::text") == [(None,)]
    assert ("rejects, once more" in said) == (where == "note_retried")


def test_without_a_journal(mutual: Target) -> None:
    with mutual.role() as name:
        mutual.conn.execute(f"GRANT SELECT, INSERT ON a, b TO {name}")
        mutual.restore(exit_code=3)
    check(mutual)


def test_a_dry_run_writes_nothing(mutual: Target) -> None:
    assert "rejects, once more" not in mutual.restore("--dry-run", exit_code=3)
    assert counts(mutual) == {"a": 0, "b": 0}
