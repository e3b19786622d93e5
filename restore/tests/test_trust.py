"""Nobody gets SQL executed with the restoring role's rights by planting it where notes are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from restore import notes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.tests.target import Target

NOTE = """
    INSERT INTO restore_journal.aside VALUES (
        'index', 'public', 'company', 'evil', 1, ARRAY[$$CREATE TABLE public.planted AS
        SELECT current_user$$])
"""
SHARE = """
    GRANT ALL ON SCHEMA restore_journal TO PUBLIC;
    GRANT ALL ON ALL TABLES IN SCHEMA restore_journal TO PUBLIC
"""


@pytest.fixture
def stranger(target: Target) -> Iterator[str]:
    """A role that is nobody, but may make schemas in the database."""
    target.write(company=[{"id": 1, "name": "n"}])
    ours = target.dsn
    with target.role() as name:
        target.dsn = ours
        database = sql.Identifier(target.conn.info.dbname)
        target.conn.execute(
            sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(database, sql.Identifier(name))
        )
        yield name


def plant(target: Target, role: str) -> None:
    """Plant SQL as the role."""
    with target.conn.transaction():
        target.conn.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        target.conn.execute(notes._MAKE_JOURNAL)
        target.conn.execute(NOTE)
        target.conn.execute(SHARE)


def is_planted(target: Target) -> bool:
    return target.rows("SELECT to_regclass('public.planted') IS NOT NULL") == [(True,)]


def see_refused(target: Target, role: str) -> None:
    """See that nothing starts, that a line says why, and that nothing was executed or written."""
    for said in (
        target.repair(exit_code=1),
        target.restore(exit_code=1).splitlines(),
        target.restore("--clean", exit_code=1).splitlines(),
        target.restore("--resume", exit_code=1).splitlines(),
    ):
        [line] = [line for line in said if "restore_journal" in line]
        assert f"belongs to role {role}" in line
    assert not is_planted(target)
    assert target.rows("SELECT count(*) FROM company") == [(0,)]


def test_sql_in_a_schema_of_another_role_is_not_executed(target: Target, stranger: str) -> None:
    plant(target, stranger)
    see_refused(target, stranger)


def test_sql_in_a_table_of_another_role_is_not_executed(target: Target, stranger: str) -> None:
    plant(target, stranger)
    target.conn.execute("ALTER SCHEMA restore_journal OWNER TO CURRENT_USER")
    see_refused(target, stranger)


def test_an_empty_schema_of_another_role_is_not_used(target: Target, stranger: str) -> None:
    target.conn.execute(f"CREATE SCHEMA restore_journal AUTHORIZATION {stranger}")
    see_refused(target, stranger)


def test_a_dry_run_tells_of_it(target: Target, stranger: str) -> None:
    plant(target, stranger)
    assert f"belongs to role {stranger}" in target.restore("--dry-run")


def test_who_has_all_rights_of_a_role_goes_on_for_it(target: Target, stranger: str) -> None:
    """Both are ordinary roles; where there is no membership, it is refused."""
    plant(target, stranger)
    member = f"{stranger}_m"
    target.conn.execute(f"CREATE ROLE {member} LOGIN")
    ours = target.dsn
    try:
        target.conn.execute(f"GRANT CREATE ON SCHEMA public TO {member}")
        target.dsn = make_conninfo(ours, user=member)
        [line] = target.repair(exit_code=1)
        assert f"belongs to role {stranger}" in line
        assert not is_planted(target)
        target.conn.execute(f"GRANT {stranger} TO {member}")
        target.repair()
        assert target.rows("SELECT * FROM planted") == [(member,)]
    finally:
        target.dsn = ours
        target.conn.execute(f"DROP OWNED BY {member}; DROP ROLE {member}")


def test_a_superuser_goes_on_for_another_one(target: Target, stranger: str) -> None:
    target.conn.execute(f"ALTER ROLE {stranger} SUPERUSER")
    plant(target, stranger)
    target.repair()
    assert is_planted(target)
