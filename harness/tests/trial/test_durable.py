"""What would not outlive a crash of the server is not restored; on an embedded server of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.model import manifest
from harness.model.record import Status, TableResult
from harness.servers import open_server
from harness.trial import durability
from harness.trial.attempt import TrialContext, attempt, database_of
from harness.trial.judge import judge
from harness.trial.meter import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness.engines.engine import Engine
    from harness.servers import RunningServer


@pytest.fixture(scope="module")
def embedded() -> Iterator[RunningServer]:
    """Have a server whose log can be read."""
    with open_server("embedded", announce=print) as running:
        yield running


@pytest.fixture
def context(embedded: RunningServer, dataset: Path) -> TrialContext:
    return TrialContext(embedded, dataset, manifest.load(dataset), Limits(60))


def came_out(context: TrialContext, engine: Engine) -> tuple[Status, str]:
    status, detail = judge(engine, context.manifest, attempt(engine, context))
    return status, detail or ""


@pytest.mark.slow
def test_an_engine_that_returns_before_its_rows_are_on_disk_is_wrong(
    context: TrialContext, small_engine: Callable[..., Engine]
) -> None:
    status, detail = came_out(context, small_engine("unflushed"))
    assert status is Status.WRONG_RESULT
    assert "rows not on the server's disk when the engine ended" in detail


@pytest.mark.slow
def test_an_engine_whose_last_index_is_not_on_disk_is_wrong(
    context: TrialContext, small_engine: Callable[..., Engine]
) -> None:
    last = ("sql1=SET synchronous_commit = off", "sql2=CREATE INDEX ON pets (id)")
    engine = small_engine(*last)
    status, detail = came_out(context, engine)
    assert status is Status.WRONG_RESULT
    assert "an index, a constraint or a trigger not on the server's disk" in detail


def test_rows_that_are_committed_after_the_end_are_found(embedded: RunningServer) -> None:
    """As by a program that the server started for the engine."""
    with (
        embedded.database('CREATE TABLE "100 %" (id int)') as dsn,
        embedded.connect() as server,
        embedded.connect(database_of(dsn)) as first,
        embedded.connect(database_of(dsn)) as second,
    ):
        first.execute('INSERT INTO "100 %" VALUES (1)')
        second.execute(
            'BEGIN; INSERT INTO "100 %" VALUES (2); SAVEPOINT s; INSERT INTO "100 %" VALUES (3)'
        )
        state = durability.state_at_end(server)
        second.execute("COMMIT")
        first.execute('INSERT INTO "100 %" VALUES (4)')
        later = durability.later_transactions(server, state)
        found = TableResult(table="100 %", expected=4, found=4, right=4, checksum_match=True)
        [result] = durability.check_durability(first, [(("public", "100 %"), found)], later)
    assert result.error == "3 of 4 rows not on the server's disk when the engine ended"


@pytest.mark.slow
def test_one_that_waits_for_the_disk_in_the_end_is_right(
    context: TrialContext, small_engine: Callable[..., Engine]
) -> None:
    flush = "sql=SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'a', 'b')"
    for engine in (small_engine(), small_engine("unflushed", flush)):
        assert came_out(context, engine) == (Status.OK, "")


@pytest.mark.slow
def test_a_table_without_log_is_wrong(
    context: TrialContext, small_engine: Callable[..., Engine]
) -> None:
    status, detail = came_out(context, small_engine("sql=ALTER TABLE pets SET UNLOGGED"))
    assert status is Status.WRONG_RESULT
    assert detail == "table public.pets: relpersistence is u, was p"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statements", "says"),
    [
        (
            (
                "ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf(); SELECT pg_sleep(0.1);"
                " ALTER SYSTEM RESET fsync; SELECT pg_reload_conf(); SELECT pg_sleep(0.1)"
            ),
            "the server's configuration was loaded again while the engine ran",
        ),
        (
            "ALTER SYSTEM SET fsync = off",
            "setting fsync was changed in the server's configuration",
        ),
        (
            (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            ),
            "the harness's session on the server was ended while the engine ran",
        ),
        ("CREATE ROLE left_over", "role left_over is new"),
        ("ALTER ROLE postgres CONNECTION LIMIT 50", "role postgres: rolconnlimit is 50, was -1"),
        (
            "ALTER DATABASE template1 CONNECTION LIMIT 50",
            "database template1: datconnlimit is 50, was -1",
        ),
        (
            "ALTER DATABASE template1 SET statement_timeout = '1min'",
            "settings of database template1 is new",
        ),
        (
            "UPDATE pg_class SET relhasindex = false WHERE oid = 'pets'::regclass",
            "table public.pets: has its indexes is False, was True",
        ),
        (
            "UPDATE pg_class SET relhastriggers = false WHERE oid = 'pets'::regclass",
            "table public.pets: has its triggers is False, was True",
        ),
    ],
)
def test_what_is_done_to_the_server_is_found(
    context: TrialContext, small_engine: Callable[..., Engine], statements: str, says: str
) -> None:
    engine = small_engine(*(f"sql{n}={one}" for n, one in enumerate(statements.split("; "))))
    try:
        status, detail = came_out(context, engine)
    finally:
        with context.server.connect() as server:
            server.execute("ALTER SYSTEM RESET ALL")
            server.execute("SELECT pg_reload_conf(), pg_sleep(0.1)")
            server.execute("DROP ROLE IF EXISTS left_over")
            server.execute("ALTER ROLE postgres CONNECTION LIMIT -1")
            server.execute("ALTER DATABASE template1 CONNECTION LIMIT -1")
            server.execute("ALTER DATABASE template1 RESET ALL")
    assert (status, says) == (Status.WRONG_RESULT, says if says in detail else detail)
