"""A dry run says what a restore would do, and writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from restore.tests.support.target import COMPANIES, user, uuid

if TYPE_CHECKING:
    from restore.tests.support.target import Target


def all_of_it(target: Target) -> list[Any]:
    """Everything that a write would change: rows, sequences, catalogue."""
    return [
        *target.rows(
            "SELECT relname, relfilenode, relnatts, relhastriggers FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
        ),
        *target.rows("SELECT * FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1, 2"),
        # A session that has just ended may still be dropping its own temporary tables.
        *target.rows(
            "SELECT tgrelid, tgname, tgenabled FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid"
            " WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1, 2"
        ),
        *target.rows(
            "SELECT conname, oid FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace ORDER BY 2"
        ),
        *target.rows("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1"),
        *target.rows("SELECT company::text, company.xmin FROM company"),
        *target.rows('SELECT count(*) FROM "User"'),
        *target.rows("SELECT count(*) FROM post"),
    ]


@pytest.fixture
def damaged(target: Target) -> Target:
    """A backup with a duplicate, an orphan and its child, a bad value, and one to cast."""
    users = [user(n, boss=uuid(n // 2)) for n in range(40)]
    users[5] |= {"age": -1}
    users[6] |= {"email": "u7@example.org"}
    users[20] |= {"companyId": 77}
    users[39] |= {"price": "3.25"}
    target.write(company=COMPANIES, User=users)
    target.write(post=[{"author": uuid(n), "body": "x"} for n in range(40)])
    target.conn.execute("CREATE INDEX ON post (author)")
    return target


def counts(report: Any) -> dict[str, tuple[int, ...]]:
    return {t.table: (t.read, t.loaded, t.duplicates, t.rejected) for t in report.tables}


def test_it_says_what_a_restore_then_does_and_writes_nothing(damaged: Target) -> None:
    before = all_of_it(damaged)
    dry = damaged.load(dry_run=True)
    assert all_of_it(damaged) == before
    assert dry.dry_run
    assert dry.lost > 4
    real = damaged.load()
    assert not real.dry_run
    assert counts(dry) == counts(real)


def test_it_says_what_would_be_emptied(damaged: Target) -> None:
    damaged.load()
    before = all_of_it(damaged)
    dry = damaged.load(dry_run=True, clean=True)
    assert "would be emptied: company (3 rows)" in dry.warnings
    assert all_of_it(damaged) == before
    assert counts(dry) == counts(damaged.load(clean=True))


def test_it_refuses_what_a_restore_refuses(damaged: Target) -> None:
    damaged.load()
    assert "2: not empty: " in damaged.turned_down(dry_run=True)


def test_what_is_there_counts_when_it_appends(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
    target.conn.execute("CREATE TABLE c (id int REFERENCES t)")
    target.write(t=[{"id": 2}, {"id": 3}], c=[{"id": 1}, {"id": 3}, {"id": 4}])
    dry = target.load(dry_run=True, append=True)
    assert counts(dry) == {"t": (2, 1, 1, 0), "c": (3, 2, 0, 1)}
    assert counts(target.load(append=True)) == counts(dry)


def test_parents_outside_the_backup_count(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    target.conn.execute("CREATE TABLE c (id int REFERENCES t)")
    target.write(c=[{"id": 1}, {"id": 2}])
    assert counts(target.load(dry_run=True)) == {"c": (2, 1, 0, 1)}
    assert target.rows("SELECT count(*) FROM t") == [(1,)]


def test_partitions_sequences_and_functions_are_played(target: Target) -> None:
    target.conn.execute(
        'CREATE TABLE log (n int); CREATE SEQUENCE "S\'s";'
        " CREATE FUNCTION noisy() RETURNS int LANGUAGE sql AS"
        " $$ INSERT INTO log VALUES (1) RETURNING n $$;"
        " CREATE TABLE p (id int, d date, s text DEFAULT 'n' || nextval('\"S''s\"'),"
        "                 i int GENERATED ALWAYS AS IDENTITY, f int DEFAULT noisy())"
        " PARTITION BY RANGE (d);"
        " CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');"
        " CREATE TABLE p2 PARTITION OF p FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')"
        " PARTITION BY LIST (id); CREATE TABLE p3 PARTITION OF p2 FOR VALUES IN (1, 2)"
    )
    days = ["2024-01-05", "2024-02-05", "2024-03-05"]
    target.write(p=[{"id": n, "d": day} for n in (1, 2, 3) for day in days])
    dry = target.load(dry_run=True)
    assert "the default of p.f calls noisy()" in dry.warnings[0]
    assert counts(dry) == {"p": (9, 5, 0, 4)}
    assert target.rows("SELECT count(*) FROM log") == [(0,)]
    assert target.rows('SELECT is_called FROM "S\'s"') == [(False,)]
    assert counts(target.load()) == counts(dry)


def test_without_the_right_to_temporary_tables_it_says_what_to_grant(target: Target) -> None:
    target.write(company=[])
    database = target.rows("SELECT quote_ident(current_database())")[0][0]
    target.conn.execute(f"REVOKE TEMP ON DATABASE {database} FROM PUBLIC")
    with target.role() as name:
        target.conn.execute(f"GRANT ALL ON company TO {name}")
        message = target.turned_down(dry_run=True)
        assert f"temporary tables, which role {name} may not make: GRANT TEMP" in message
        target.conn.execute(message.rpartition(": ")[2])
        dry = target.load(dry_run=True)
        assert dry.complete
        assert dry.warnings == ["foreign keys to User, which the role may not read, are not seen"]


def test_it_repairs_nothing_and_says_so(target: Target) -> None:
    target.write(company=[], User=[], post=[])
    target.kill("commands.job.recreate_all")
    before = all_of_it(target)
    [warning] = target.load(dry_run=True).warnings
    assert " left objects dropped or disabled (4 foreign keys): continue with --resume" in warning
    assert "`python -m restore repair --dsn" in warning
    assert all_of_it(target) == before


def test_triggers_are_named_and_left_as_they_are(target: Target) -> None:
    target.conn.execute(
        "CREATE TRIGGER touch BEFORE UPDATE ON company FOR EACH ROW"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    )
    target.write(company=[{"id": 1, "name": "x"}])
    before = all_of_it(target)
    assert "trigger touch of company does not fire" in target.load(dry_run=True).warnings[0]
    assert all_of_it(target) == before
