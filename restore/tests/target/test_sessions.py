"""Several sessions finish tables and validate keys side by side."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from restore import Options
from restore.constraints.drop import drop_foreign_keys, drop_indexes, dropped_unique_keys
from restore.constraints.finalize import TableFinalizer
from restore.constraints.recreate import recreate_all, recreate_indexes
from restore.plan.dry_run import writable_session
from restore.target.catalog import read_tables
from restore.target.pool import ConnectionPool, set_maintenance_memory, set_maintenance_workers
from restore.tests.support.target import uuid

if TYPE_CHECKING:
    from restore.target.catalog import Table
    from restore.tests.support.target import Target


def options_for(target: Target, jobs: int) -> Options:
    options = Options(backup=target.backup, dsn=target.dsn)
    object.__setattr__(options, "jobs", jobs)  # more than a restore may have so far
    return options


def tables_of(target: Target) -> dict[str, Table]:
    oids = target.rows(
        "SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    return {t.name: t for t in read_tables(target.conn, [oid for (oid,) in oids]).values()}


def put_all_aside(target: Target) -> dict[str, Table]:
    tables = tables_of(target)
    keys = [key for table in tables.values() for key in table.foreign_keys]
    drop_foreign_keys(target.conn, {table.oid: table for table in tables.values()}, keys)
    for table in tables.values():
        drop_indexes(target.conn, table)
    return tables


KEYS = """
    SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2
"""


@pytest.mark.parametrize("jobs", [1, 3])
def test_tables_are_finished_and_keys_validated_by_as_many_as_there_are_jobs(
    target: Target, jobs: int
) -> None:
    before = target.rows(KEYS)
    options = options_for(target, jobs)
    tables = put_all_aside(target)
    with TableFinalizer(options, target.conn) as finisher:
        done = [finisher.submit(table) for table in tables.values()]
        assert [future.result() for future in done] == [[]] * len(tables)
    recreate_all(target.conn, options)
    assert target.rows(KEYS) == before


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 3])
def test_an_orphan_puts_all_keys_aside_again(target: Target, jobs: int) -> None:
    before = target.rows(KEYS)
    put_all_aside(target)
    recreate_indexes(target.conn)
    target.conn.execute(f"INSERT INTO post (author) VALUES ('{uuid(1)}')")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        recreate_all(target.conn, options_for(target, jobs))
    assert target.rows("SELECT count(*) FROM pg_constraint WHERE contype = 'f'") == [(0,)]
    target.conn.execute("DELETE FROM post")
    recreate_all(target.conn, options_for(target, jobs))
    assert target.rows(KEYS) == before


def test_what_a_unique_key_forbids_while_it_is_aside(target: Target) -> None:
    target.conn.execute(
        """
        CREATE TABLE keyed ("A b" int, c text, d text COLLATE "C", UNIQUE (c, "A b"));
        ALTER TABLE keyed ADD PRIMARY KEY ("A b");
        CREATE UNIQUE INDEX rest ON keyed (c DESC) INCLUDE (d) WHERE "A b" > 5;
        CREATE UNIQUE INDEX folded ON keyed (lower(c), "A b");
        CREATE UNIQUE INDEX patterns ON keyed (c text_pattern_ops);
        CREATE INDEX plain ON keyed (d);
        """
    )
    keyed = tables_of(target)["keyed"]
    assert dropped_unique_keys(target.conn, keyed) == []
    put = drop_indexes(target.conn, keyed)
    assert dropped_unique_keys(target.conn, keyed) == put
    assert [(u.name, u.columns, u.terms, u.predicate) for u in put] == [
        ("keyed_c_A b_key", ("c", "A b"), ("c", '"A b"'), None),
        ("keyed_pkey", ("A b",), ('"A b"',), None),
        ("rest", ("c",), ("c",), '("A b" > 5)'),
        ("folded", None, ("lower(c)", '"A b"'), None),
        ("patterns", None, None, None),
    ]
    recreate_all(target.conn, options_for(target, 1))
    assert dropped_unique_keys(target.conn, keyed) == []


def test_a_key_that_is_not_compared_byte_by_byte(target: Target) -> None:
    try:
        target.conn.execute(
            "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2',"
            " deterministic = false); CREATE TABLE blinded (c text COLLATE blind UNIQUE)"
        )
    except psycopg.errors.FeatureNotSupported as error:
        pytest.skip(str(error))
    [key] = drop_indexes(target.conn, tables_of(target)["blinded"])
    assert (key.columns, key.terms) == (None, None)


def test_two_sessions_work_at_once_and_end_with_what_went_wrong(target: Target) -> None:
    meet = threading.Barrier(2, timeout=30)

    def pid(conn: psycopg.Connection[Any]) -> int:
        meet.wait()
        return conn.info.backend_pid

    with ConnectionPool(options_for(target, 2), 2, target.conn) as crew:
        first, second = crew.submit(pid), crew.submit(pid)
        assert first.result() != second.result()

    def fail() -> None:
        with ConnectionPool(options_for(target, 2), 2, target.conn) as crew:
            crew.submit(lambda conn: conn.execute("SELECT pg_sleep(60)"))
            crew.submit(lambda conn: conn.execute("SELECT 1 / 0")).result()

    with pytest.raises(psycopg.errors.DivisionByZero):
        fail()
    gone = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"
    assert target.rows(gone + " AND datname = current_database() AND state = 'active'") == [(0,)]


def test_sessions_that_build_have_memory_and_workers_within_bounds(target: Target) -> None:
    conn = target.conn
    [(shared, most)] = target.rows(
        "SELECT pg_size_bytes(current_setting('shared_buffers')),"
        " current_setting('max_parallel_workers')::int"
    )

    def memory() -> int:
        found = target.rows("SELECT pg_size_bytes(current_setting('maintenance_work_mem'))")
        return int(found[0][0])

    conn.execute("SET maintenance_work_mem = '1MB'")
    set_maintenance_memory(conn, 4)
    assert memory() == min(shared // 4, 1 << 30)
    conn.execute("SET maintenance_work_mem = '2GB'")
    set_maintenance_memory(conn, 4)
    assert memory() == 2 << 30
    workers = "SHOW max_parallel_maintenance_workers"
    usual = int(target.rows(f"{workers}")[0][0])
    set_maintenance_workers(conn, 0)
    assert target.rows(workers) == [("0",)]
    set_maintenance_workers(conn, 1)
    assert target.rows(workers) == [(str(max(usual, 1)),)]
    set_maintenance_workers(conn, 6)
    assert target.rows(workers) == [(str(max(usual, min(6, most))),)]


def test_sessions_end_even_if_the_server_takes_no_cancellation(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: psycopg.Connection, *, timeout: float) -> None:
        raise psycopg.OperationalError("the server is gone")

    monkeypatch.setattr(psycopg.Connection, "cancel_safe", refuse)
    sessions = ConnectionPool(options_for(target, 1), 1, target.conn)
    with pytest.raises(KeyboardInterrupt), sessions:
        raise KeyboardInterrupt
    assert all(conn.closed for conn in sessions._open)
    with pytest.raises(RuntimeError, match="after shutdown"):
        sessions.submit(lambda _: None)


def test_a_dry_run_may_only_read_again_after_an_error(target: Target) -> None:
    target.conn.execute("SET default_transaction_read_only = on")
    with pytest.raises(ValueError, match="wrong"), writable_session(target.conn):
        raise ValueError("wrong")
    assert target.rows("SHOW default_transaction_read_only") == [("on",)]
