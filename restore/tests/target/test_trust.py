"""Nobody gets SQL executed with the restoring role's rights by planting it where notes are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from restore.constraints import duplicates, orphan_rows
from restore.journal import dropped as notes
from restore.schedule import scheduler as loading
from restore.tests.support.target import COMPANIES, user, uuid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.tests.support.target import Target

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


def plant(target: Target, role: str, share: str = SHARE) -> None:
    """Plant SQL as the role, where all may write."""
    with target.conn.transaction():
        target.conn.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        target.conn.execute(notes._MAKE_JOURNAL)
        target.conn.execute(NOTE)
        target.conn.execute(share)


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
    plant(target, stranger, share="")
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
    plant(target, stranger, share="")
    target.repair()
    assert is_planted(target)


def leave_journal(target: Target) -> None:
    """Have a restore killed, that leaves notes and rows in its journal, all of them its own."""
    target.write(company=COMPANIES, User=[user(n) for n in range(3)], post=[])
    target.kill("commands.job.RestoreJob._load_all", "--rejects", str(target.rejects))
    assert target.rows("SELECT count(*) > 0 FROM restore_journal.aside") == [(True,)]


def grants(target: Target) -> list[str]:
    """Return who may do anything in the journal, other than its owner."""
    query = """
        SELECT DISTINCT pg_get_userbyid(x.grantee)::text FROM (
            SELECT nspacl, nspowner FROM pg_namespace WHERE nspname = 'restore_journal'
            UNION ALL SELECT relacl, relowner FROM pg_class
            WHERE relnamespace = 'restore_journal'::regnamespace) AS o (acl, owner),
            aclexplode(o.acl) x WHERE x.grantee <> o.owner
    """
    return [name for (name,) in target.rows(query)]


@pytest.fixture
def ordinary(target: Target, stranger: str) -> Iterator[str]:
    """The role that restores: no superuser, but the owner of the tables."""
    name = f"{stranger}_o"
    ours, database = target.dsn, target.conn.info.dbname
    target.conn.execute(
        f"CREATE ROLE {name} LOGIN; GRANT CREATE ON DATABASE {database} TO {name};"
        f" ALTER TABLE company OWNER TO {name}; ALTER TABLE post OWNER TO {name};"
        f' ALTER TABLE "User" OWNER TO {name}'
    )
    target.dsn = make_conninfo(ours, user=name)
    try:
        yield name
    finally:
        target.dsn = ours
        target.conn.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def test_default_privileges_give_no_right_on_the_journal(
    target: Target, ordinary: str, stranger: str
) -> None:
    for on in ("TABLES", "SCHEMAS"):
        for to in (stranger, "PUBLIC"):
            target.conn.execute(
                f"ALTER DEFAULT PRIVILEGES FOR ROLE {ordinary} GRANT ALL ON {on} TO {to}"
            )
    leave_journal(target)
    assert grants(target) == []
    target.restore("--resume")


def test_tables_of_duplicates_and_orphans_are_private_too(
    target: Target, stranger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that were taken out are in the journal's schema meanwhile."""
    monkeypatch.setattr(loading, "_WORTH_BYTES", 1)
    me = target.conn.info.user
    target.conn.execute(f"ALTER DEFAULT PRIVILEGES FOR ROLE {me} GRANT ALL ON TABLES TO {stranger}")
    seen: list[str] = []

    def spy(original: Any) -> Any:
        def called(*words: Any, **named: Any) -> Any:
            result = original(*words, **named)
            seen.extend(grants(target))
            return result

        return called

    monkeypatch.setattr(duplicates.Duplicates, "find", spy(duplicates.Duplicates.find))
    monkeypatch.setattr(
        orphan_rows.OrphanRows, "delete_orphans", spy(orphan_rows.OrphanRows.delete_orphans)
    )
    try:
        users = [user(n) for n in (0, 1, 1)]
        target.write(company=COMPANIES, User=users, post=[{"id": 1, "author": uuid(9)}])
        report = target.load()
    finally:
        target.conn.execute(
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {me} REVOKE ALL ON TABLES FROM {stranger}"
        )
    assert report.error is None
    assert report.lost >= 2
    assert seen == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "grant",
    [
        "GRANT UPDATE ON restore_journal.aside TO {}",
        "GRANT INSERT ON restore_journal.loads TO PUBLIC",
        "GRANT UPDATE (statements) ON restore_journal.aside TO {}",
        "GRANT TRIGGER ON restore_journal.aside TO {}",
        "GRANT CREATE ON SCHEMA restore_journal TO {}",
        "GRANT DELETE ON restore_journal.shards TO g_{0}; GRANT g_{0} TO {0}, {1}",
        pytest.param("GRANT pg_write_all_data TO {}", marks=pytest.mark.alone),
        pytest.param(
            "GRANT pg_write_all_data TO g_{0}; GRANT g_{0} TO {0}", marks=pytest.mark.alone
        ),
        "GRANT MAINTAIN ON restore_journal.aside TO {}",
    ],
)
def test_what_another_role_may_write_is_not_executed(
    target: Target, ordinary: str, stranger: str, grant: str
) -> None:
    """A role that may only read does no harm."""
    if "MAINTAIN" in grant and target.conn.info.server_version < 170_000:
        pytest.skip("no such privilege before PostgreSQL 17")
    leave_journal(target)
    target.conn.execute(f"CREATE ROLE g_{stranger}")
    try:
        target.conn.execute(
            f"GRANT USAGE ON SCHEMA restore_journal TO {stranger};"
            f" GRANT SELECT ON ALL TABLES IN SCHEMA restore_journal TO {stranger}"
        )
        assert "nothing was written" in target.restore("--dry-run").lower()
        target.conn.execute(grant.format(stranger, ordinary))
        before = target.rows("SELECT * FROM restore_journal.aside ORDER BY 1, 2, 3, 4")
        for said in (
            target.repair(exit_code=1),
            target.restore("--resume", exit_code=1).splitlines(),
            target.restore("--clean", exit_code=1).splitlines(),
        ):
            [line] = [line for line in said if "restore_journal" in line]
            assert f"role {'PUBLIC' if 'PUBLIC' in grant else stranger} " in line.replace("g_", "")
            assert "drop the schema" in line
        assert target.rows("SELECT * FROM restore_journal.aside ORDER BY 1, 2, 3, 4") == before
    finally:
        target.conn.execute(f"DROP OWNED BY g_{stranger}; DROP ROLE g_{stranger}")


@pytest.mark.slow
@pytest.mark.parametrize(
    "plant_one",
    [
        "CREATE TRIGGER t BEFORE UPDATE ON restore_journal.aside EXECUTE FUNCTION theirs.f()",
        "CREATE RULE r AS ON DELETE TO restore_journal.aside DO ALSO SELECT 1",
    ],
)
def test_triggers_and_rules_on_the_journal_are_not_run(
    target: Target, ordinary: str, stranger: str, plant_one: str
) -> None:
    leave_journal(target)
    target.conn.execute(
        f"CREATE SCHEMA theirs AUTHORIZATION {stranger}; GRANT USAGE ON SCHEMA theirs TO PUBLIC;"
        " CREATE FUNCTION theirs.f() RETURNS trigger LANGUAGE plpgsql AS"
        f" 'BEGIN RETURN NULL; END'; ALTER FUNCTION theirs.f() OWNER TO {stranger}; {plant_one}"
    )
    [line] = target.repair(exit_code=1)
    assert f"a trigger or a rule of role {stranger if 'TRIGGER' in plant_one else ordinary}" in line


@pytest.mark.alone
def test_nothing_is_noted_where_a_role_may_write_to_every_table(
    target: Target, ordinary: str, stranger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The restore goes as for a role that may make no schema, and says so."""
    monkeypatch.setattr(loading, "_WORTH_BYTES", 1)
    target.conn.execute(f"GRANT pg_write_all_data TO {stranger}")
    target.conn.execute("ALTER TABLE company DROP CONSTRAINT company_owner")
    target.conn.execute('ALTER TABLE "User" DROP CONSTRAINT "User_boss_fkey"')
    target.write(company=COMPANIES, User=[user(n) for n in (1, 2, 2)], post=[])
    report = target.load()
    assert report.error is None
    assert [t.loaded for t in report.tables if t.table == "User"] == [2]
    [warning] = [line for line in report.warnings if "pg_write_all_data" in line]
    assert f"role {stranger}, a member" in warning
    assert target.rows("SELECT to_regnamespace('restore_journal') IS NULL") == [(True,)]
    target.conn.execute(
        "CREATE TRIGGER mine BEFORE INSERT ON company FOR EACH ROW"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    )
    said = target.turned_down(clean=True)
    assert said.startswith("1: what is dropped or disabled for the load")
    assert stranger in said
    assert target.rows('SELECT count(*) FROM "User"') == [(2,)]


@pytest.mark.parametrize("kind", ["TABLE", "SEQUENCE", "TYPE"])
def test_a_schema_of_the_users_with_that_name_is_left_alone(target: Target, kind: str) -> None:
    what = {"TABLE": " (x int)", "TYPE": " AS (x int)"}.get(kind, "")
    target.conn.execute(f"CREATE SCHEMA restore_journal; CREATE {kind} restore_journal.diary{what}")
    target.write(company=[{"id": 1, "name": "n"}])
    line = target.turned_down()
    assert "schema restore_journal holds diary, which no restore made" in line
    assert target.rows("SELECT count(*) FROM company") == [(0,)]
    assert target.rows("SELECT to_regnamespace('restore_journal') IS NULL") == [(False,)]
    found = target.rows("SELECT count(*) FROM pg_class WHERE relname = 'diary'")
    assert found == [(1,)]
