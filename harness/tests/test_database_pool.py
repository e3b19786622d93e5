"""No test finds in its database what another has left."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psycopg
import pytest

from harness.tests.database_pool import DatabasePool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.servers import RunningServer

OBJECTS = """
    CREATE TYPE mood AS ENUM ('calm');
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE TABLE parent (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mood mood, n serial);
    CREATE TABLE child (parent bigint REFERENCES parent) PARTITION BY RANGE (parent);
    CREATE TABLE child_all PARTITION OF child DEFAULT;
    CREATE VIEW seen AS SELECT * FROM child;
    CREATE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
    CREATE EVENT TRIGGER note ON sql_drop EXECUTE FUNCTION noted();
    CREATE AGGREGATE total (int) (sfunc = int4pl, stype = int);
    CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq);
    CREATE SCHEMA other CREATE TABLE things (id int);
    CREATE TEMPORARY TABLE passing (id int);
    ANALYZE;
"""
LASTING = {
    "a function of PostgreSQL's": "REVOKE EXECUTE ON FUNCTION pg_catalog.now() FROM PUBLIC",
    "the schema": "GRANT CREATE ON SCHEMA public TO PUBLIC",
    "default privileges": "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    "a large object": "SELECT lo_create(0)",
    "a publication": "CREATE PUBLICATION all_of_it FOR ALL TABLES",
    "a setting": "ALTER DATABASE {} SET jit = on",
    "a privilege": "REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC",
}


@pytest.fixture
def pool(server: RunningServer) -> Iterator[DatabasePool]:
    with contextlib.closing(DatabasePool(server)) as one:
        yield one


def contents(dsn: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        query = "SELECT relname FROM pg_class WHERE oid >= 16384 AND relname !~ '^pg_toast'"
        return connection.execute(query).fetchall()


def test_the_database_of_a_test_is_emptied_and_used_again(pool: DatabasePool) -> None:
    with pool.database() as first, psycopg.connect(first, autocommit=True) as left_open:
        left_open.execute(OBJECTS)
        assert contents(first)

    with pool.database() as second:
        assert second == first
        assert contents(second) == []
        with psycopg.connect(second) as connection:
            connection.execute(OBJECTS)
    with pytest.raises(psycopg.OperationalError):
        left_open.execute("SELECT 1")


@pytest.mark.slow
@pytest.mark.parametrize("change", LASTING.values(), ids=LASTING)
def test_a_database_that_is_not_as_it_was_is_dropped(
    pool: DatabasePool, server: RunningServer, change: str
) -> None:
    with pool.database() as dsn, psycopg.connect(dsn) as connection:
        name = connection.info.dbname
        connection.execute(change.format(name))
        connection.commit()

    with server.connect() as connection:
        query = "SELECT count(*) FROM pg_database WHERE datname = %s"
        assert connection.execute(query, [name]).fetchone() == (0,)


def test_two_databases_at_a_time_are_two(pool: DatabasePool) -> None:
    with pool.database() as one, pool.database() as other:
        assert one != other
