"""Item 19: what the role may not, and policies on rows, are told before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from restore.tests.support.target import Target


@pytest.fixture
def table(target: Target) -> Target:
    """A table with a file that comes first in the backup, and one that is to be refused."""
    target.conn.execute("CREATE TABLE first (id int); CREATE TABLE t (id int, n int)")
    target.write(first=[{"id": 1}], t=[{"id": 1}])
    return target


@pytest.mark.parametrize(
    ("granted", "lacks"),
    [
        ("SELECT", "INSERT"),
        ("INSERT", "SELECT"),
        ("TRUNCATE", "SELECT, INSERT"),
    ],
)
def test_a_right_that_is_missing_is_named_with_the_grant(
    table: Target, granted: str, lacks: str
) -> None:
    with table.role() as name:
        table.conn.execute(f"GRANT ALL ON first TO {name}; GRANT {granted} ON t TO {name}")
        message = table.turned_down()
        assert message.startswith(
            f"1: permission denied for table t, role {name} lacks {lacks}: GRANT"
        )
        assert table.rows("SELECT count(*) FROM first") == [(0,)]
        table.conn.execute(message.rpartition(": ")[2])
        assert table.load().complete


@pytest.mark.parametrize("options", [{}, {"append": True}, {"jobs": 2}])
@pytest.mark.parametrize("select", ["SELECT", "SELECT (id)"])
def test_rights_on_the_columns_of_the_records_are_enough(
    target: Target, options: dict[str, object], select: str
) -> None:
    target.conn.execute(
        "CREATE TABLE t (id serial PRIMARY KEY, n int, note text, at text NOT NULL DEFAULT 'now')"
    )
    target.write(t=[{"id": 1, "n": 1}, {"id": 2}, {"id": 2, "n": 3}, {"id": 3, "n": None}])
    with target.role() as name:
        target.conn.execute(f"GRANT {select}, INSERT (id, n) ON t TO {name}")
        report = target.load(**options)
        assert [(t.loaded, t.duplicates) for t in report.tables] == [(3, 1)]
    rows = target.rows("SELECT * FROM t ORDER BY id")
    assert rows == [(1, 1, None, "now"), (2, None, None, "now"), (3, None, None, "now")]


def test_a_column_of_the_records_that_the_role_may_not_insert_into_is_named(table: Target) -> None:
    table.write(t=[{"id": 1, "n": 1}])
    with table.role() as name:
        table.conn.execute(
            f"GRANT ALL ON first TO {name}; GRANT SELECT, INSERT (id) ON t TO {name}"
        )
        message = table.turned_down()
        assert "permission denied for table t: the role lacks INSERT on columns" in message
        assert 'GRANT INSERT ("n") ON TABLE "public"."t"' in message
        assert table.rows("SELECT count(*) FROM first") == [(0,)]


def test_rights_on_every_column_are_enough(table: Target) -> None:
    with table.role() as name:
        table.conn.execute(f"GRANT SELECT, INSERT ON first TO {name}")
        table.conn.execute(f"GRANT SELECT, INSERT (id, n) ON t TO {name}")
        assert table.load().complete


def test_emptying_needs_its_own_right_where_something_is_to_be_emptied(table: Target) -> None:
    with table.role() as name:
        table.conn.execute(f"GRANT SELECT, INSERT ON first, t TO {name}")
        assert table.load(clean=True).complete
        assert f"table first, role {name} lacks TRUNCATE: GRANT" in table.turned_down(clean=True)


def test_a_schema_that_may_not_be_used(table: Target) -> None:
    table.conn.execute("CREATE SCHEMA app; CREATE TABLE app.t (id int)")
    with table.role() as name:
        table.conn.execute(f"GRANT ALL ON app.t TO {name}")
        message = table.turned_down(schema="app", tables=frozenset({"t"}))
        assert f"permission denied for schema app, role {name} lacks USAGE" in message
        table.conn.execute(message.rpartition(": ")[2])
        assert table.load(schema="app", tables=frozenset({"t"})).complete


def test_row_level_security_that_applies_to_the_role(table: Target) -> None:
    table.conn.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    with table.role() as name:
        table.conn.execute(f"GRANT ALL ON first, t TO {name}")
        message = table.turned_down()
        assert f"1: row-level security of table t applies to role {name}" in message
        assert f'ALTER ROLE "{name}" BYPASSRLS' in message
        assert table.rows("SELECT count(*) FROM first") == [(0,)]
        table.conn.execute(f"ALTER TABLE t OWNER TO {name}; ALTER TABLE t FORCE ROW LEVEL SECURITY")
        message = table.turned_down()
        assert 'ALTER TABLE "public"."t" NO FORCE ROW LEVEL SECURITY' in message
        table.conn.execute("ALTER TABLE t NO FORCE ROW LEVEL SECURITY")
        assert table.load().complete


def test_row_level_security_that_the_role_bypasses(table: Target) -> None:
    table.conn.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    with table.role("BYPASSRLS") as name:
        table.conn.execute(f"GRANT ALL ON first, t TO {name}")
        assert table.load().complete


def test_an_insert_rule_is_refused(table: Target) -> None:
    """Rows that are copied do not go through it, and those that are inserted one by one do."""
    table.conn.execute("CREATE RULE also AS ON INSERT TO t DO ALSO INSERT INTO first VALUES (7)")
    assert table.turned_down().startswith("2: table t has the INSERT rule also")


def test_target_and_server_are_named_without_a_password(table: Target) -> None:
    report = table.load()
    database = table.rows("SELECT current_database()")[0][0]
    assert report.target.startswith(f"database {database} on ")
    assert report.target.endswith(" as postgres")
    assert report.server.startswith("PostgreSQL 1")


def test_notes_of_another_role_s_restore_that_was_killed(table: Target) -> None:
    table.conn.execute("CREATE SCHEMA restore_journal; CREATE TABLE restore_journal.aside (x int)")
    with table.role() as name:
        table.conn.execute(f"GRANT ALL ON first, t TO {name}")
        assert "belongs to role postgres, which keeps yours out" in table.turned_down()
