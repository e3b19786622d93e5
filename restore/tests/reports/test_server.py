"""Public reports of servers, databases and roles that are set up in another way."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from restore.tests.support.extensions import create_extension

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.tests.support.target import Target

AUDIT = """
    CREATE TABLE ddl_log (tag text);
    CREATE TABLE t (id int PRIMARY KEY);
    CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t);
    CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS
        $$ BEGIN {} END $$;
    CREATE EVENT TRIGGER audit ON ddl_command_start EXECUTE FUNCTION note()
"""


def alter_database(target: Target, name: str, value: str) -> None:
    """Set what each later session in the target's database begins with."""
    query = sql.SQL("ALTER DATABASE {} SET {} = {}")
    database = sql.Identifier(target.conn.info.dbname)
    target.conn.execute(query.format(database, sql.Identifier(name), sql.Literal(value)))


@contextlib.contextmanager
def encoded(target: Target, encoding: str) -> Iterator[None]:
    """Restore into another database, of an encoding of its own."""
    name, dsn, conn = f"{target.conn.info.dbname}_encoded", target.dsn, target.conn
    query = "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE 'C' LC_CTYPE 'C'"
    conn.execute(sql.SQL(query).format(sql.Identifier(name), sql.Literal(encoding)))
    try:
        target.dsn = make_conninfo(dsn, dbname=name)
        with type(conn).connect(target.dsn, client_encoding="UTF8", autocommit=True) as inside:
            target.conn = inside
            yield
    finally:
        target.dsn, target.conn = dsn, conn
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_a_database_that_is_read_only_by_default(target: Target) -> None:
    """dimitri/pgcopydb#490: default_transaction_read_only is on."""
    alter_database(target, "default_transaction_read_only", "on")
    target.write(company=[{"id": 1, "name": "n"}])
    assert "default_transaction_read_only is on" in target.restore()
    assert target.rows("SELECT id FROM company") == [(1,)]


def test_a_session_that_begins_as_a_replica(target: Target) -> None:
    """vendrinc/pg_parcel#8: session_replication_role=replica switches foreign keys off."""
    alter_database(target, "session_replication_role", "replica")
    target.write(company=[{"id": 1, "name": "n"}], post=[{"id": 1, "author": None}])
    target.restore(exit_code=3)
    assert [*target.refused("post")] == [0]


@pytest.mark.slow
def test_characters_that_the_database_lacks(target: Target) -> None:
    """rubyrep/rubyrep#11: a character has no equivalent in LATIN1."""
    with encoded(target, "LATIN1"):
        target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, v text, d jsonb, a text[])")
        target.write(
            t=[
                {"id": 0, "v": "naïve", "d": {"é": "ü"}, "a": ["ÿ"]},
                {"id": 1, "v": "“quoted”"},
                {"id": 2, "d": {"k": "€"}},
                {"id": 3, "a": ["a", "漢"]},
                {"id": 4, "v": "plain"},
            ]
        )
        target.restore(exit_code=3)
        refused = {at: one["sqlstate"] for at, one in target.refused("t").items()}
        assert refused == dict.fromkeys([1, 2, 3], "22P05")
        assert target.rows("SELECT v, d, a FROM t ORDER BY id") == [
            ("naïve", {"é": "ü"}, ["ÿ"]),
            ("plain", None, None),
        ]


def test_names_and_values_in_another_encoding(target: Target) -> None:
    """dimitri/pgloader#665: what is not ASCII comes out otherwise than it was."""
    with encoded(target, "EUC_JP"):
        target.conn.execute('CREATE TABLE "表" (id int PRIMARY KEY, "名" text UNIQUE)')
        target.write(表=[{"id": 1, "名": "漢字"}, {"id": 2, "名": "漢字"}])
        target.restore(exit_code=3)
        assert target.rows('SELECT * FROM "表"') == [(1, "漢字")]
        assert [*target.refused("表")] == [1]


def test_a_database_without_an_encoding(target: Target) -> None:
    """dimitri/pgcopydb#874: a database in SQL_ASCII."""
    with encoded(target, "SQL_ASCII"):
        target.conn.execute(
            "CREATE TABLE t (id int PRIMARY KEY, v text, d jsonb);"
            " CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t)"
        )
        target.write(
            t=[{"id": 1, "v": "é€", "d": {"k": "x"}}, {"id": "x"}],
            child=[{"id": 1, "t": 1}, {"id": 2, "t": 9}],
        )
        target.restore(exit_code=3)
        [(value,)] = target.rows("SELECT v::bytea FROM t")
        assert value.decode() == "é€"
        assert [*target.refused("t"), *target.refused("child")] == [1, 1]


def test_an_event_trigger_that_notes_commands(target: Target) -> None:
    """CartoDB/cartodb-postgresql#368: an event trigger finds no name while a dump is restored."""
    target.conn.execute(AUDIT.format("INSERT INTO ddl_log VALUES (tg_tag);"))
    target.write(t=[{"id": 1}], child=[{"id": 1, "t": 1}, {"id": 2, "t": 9}])
    said = target.restore(exit_code=2)
    assert "event triggers (audit) keep the restore" in said
    assert "give their functions a search_path" in said
    assert target.rows("SELECT to_regnamespace('restore_journal')::text") == [(None,)]
    target.conn.execute("ALTER FUNCTION note() SET search_path = public")
    for options in ((), ("--clean",), ("--clean", "--atomic")):
        target.restore(*options, exit_code=3)
        assert target.rows("SELECT * FROM child") == [(1, 1)]
    keys = "SELECT convalidated FROM pg_constraint WHERE conrelid = 'child'::regclass"
    assert target.rows(f"{keys} AND contype = 'f'") == [(True,)]


def test_an_event_trigger_that_forbids_commands(target: Target) -> None:
    """dalibo/emaj#30: an event trigger that protects tables blocks those who do not know of it."""
    target.conn.execute(AUDIT.format("RAISE EXCEPTION 'no DDL here';"))
    target.write(t=[{"id": 1}], child=[{"id": 1, "t": 1}])
    said = target.restore(exit_code=2)
    assert "event triggers (audit) keep the restore from making what it needs: no DDL here" in said
    assert target.rows("SELECT * FROM child") == []


def test_triggers_that_find_their_names_by_the_search_path(target: Target) -> None:
    """boardsesh/boardsesh#4699: a trigger of a restored table finds no type of PostGIS."""
    create_extension(target, "postgis")
    target.conn.execute(
        "CREATE TABLE gym (id int PRIMARY KEY, lon float8, lat float8, place geography);"
        " CREATE FUNCTION locate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " NEW.place := st_makepoint(NEW.lon, NEW.lat)::geography; RETURN NEW; END $$;"
        " CREATE TRIGGER locate BEFORE INSERT ON gym FOR EACH ROW EXECUTE FUNCTION locate()"
    )
    target.write(gym=[{"id": 1, "lon": 1, "lat": 2}, {"id": "x"}, {"id": 3, "lon": 5, "lat": 6}])
    target.restore("--triggers", exit_code=3)
    places = "SELECT st_astext(place) FROM gym ORDER BY id"
    assert target.rows(places) == [("POINT(1 2)",), ("POINT(5 6)",)]


def test_functions_in_functions_of_checks_and_generated_columns(target: Target) -> None:
    """instantdb/instant#593, stac-utils/pgstac#64: a CHECK's function finds no other function."""
    target.conn.execute(
        "CREATE FUNCTION least_price() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 10';"
        " CREATE FUNCTION is_price(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS"
        " $$ BEGIN RETURN $1 >= least_price(); END $$;"
        " CREATE FUNCTION gross(int) RETURNS int LANGUAGE sql IMMUTABLE AS"
        " 'SELECT $1 + least_price()';"
        " CREATE TABLE t (id int PRIMARY KEY, price int CHECK (is_price(price)),"
        " total int GENERATED ALWAYS AS (gross(price)) STORED)"
    )
    target.write(t=[{"id": 1, "price": 10}, {"id": 2, "price": 9}, {"id": 3, "price": 20}])
    for options in ((), ("--clean", "--atomic")):
        target.restore(*options, exit_code=3)
        assert [*target.refused("t")] == [1]
        assert target.rows("SELECT id, total FROM t ORDER BY id") == [(1, 20), (3, 30)]


def test_a_default_that_reads_a_setting_of_the_application(target: Target) -> None:
    """darold/ora2pg#296: unrecognized configuration parameter in the middle of a COPY."""
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY, tenant text DEFAULT current_setting('app.tenant'))"
    )
    target.write(t=[{"id": 1, "tenant": "a"}, {"id": 2}, {"id": 3, "tenant": "b"}])
    target.restore(exit_code=3)
    assert [*target.refused("t")] == [1]
    assert target.rows("SELECT id FROM t ORDER BY id") == [(1,), (3,)]


def test_tables_of_which_some_rows_are_published(target: Target) -> None:
    """dbtrail/dbtrail#828: a publication with a row filter, of columns that no key has."""
    target.conn.execute(
        "CREATE TABLE p (id int PRIMARY KEY);"
        " CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p, v text);"
        " CREATE PUBLICATION few FOR TABLE c WHERE (v <> 'x'), p"
    )
    target.write(
        p=[{"id": 1}],
        c=[{"id": 1, "p": 1, "v": "a"}, {"id": 2, "p": 9, "v": "b"}, {"id": 1, "p": 1}],
    )
    for options in ((), ("--clean", "--atomic")):
        target.restore(*options, exit_code=3)
        assert sorted(target.refused("c")) == [1, 2]
        assert target.rows("SELECT * FROM c") == [(1, 1, "a")]
    assert target.rows("SELECT relreplident FROM pg_class WHERE oid = 'c'::regclass") == [("d",)]


def test_statistics_that_cannot_be_gathered(target: Target) -> None:
    """yugabyte/yugabyte-db#16080: ANALYZE fails on an expression of some row."""
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text);"
        " CREATE STATISTICS numbers ON (v::int), (id + 1) FROM t"
    )
    target.write(t=[{"id": 1, "v": "1"}, {"id": 2, "v": "x"}])
    assert "ANALYZE the table yourself" in " ".join(target.restore().split())
    assert target.rows("SELECT v FROM t ORDER BY id") == [("1",), ("x",)]
