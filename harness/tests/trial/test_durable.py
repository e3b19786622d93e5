"""What would not outlive a crash of the server is not restored; on an embedded server of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from harness.model import manifest
from harness.model.record import Status, TableResult
from harness.servers import open_server
from harness.trial.attempt import TrialContext, attempt
from harness.trial.durability import check_durability
from harness.trial.judge import judge
from harness.trial.meter import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Database
    from harness.engines.registry import Engine
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
    assert detail == "pets: unlogged, so that a crash of the server empties it"


def test_a_server_that_was_told_not_to_wait_for_its_disk_is_wrong(database: Database) -> None:
    """A function of that name says what is on and off: the test server is not to be changed."""
    says = "CREATE OR REPLACE FUNCTION fake.current_setting(text) RETURNS text LANGUAGE sql AS {}"
    right = TableResult(table="users", expected=1, found=1, checksum_match=True)
    with database.connect() as target:
        target.execute("CREATE TABLE users (); CREATE SCHEMA fake")
        target.execute(says.format("'SELECT $$on$$'"))
        target.execute("SET search_path = fake, pg_catalog, public")
        guards = {"fsync": "on", "full_page_writes": "on"}
        same = check_durability(target, [right], names={}, transactions=(), settings=guards)
        assert same == (right,)
        target.execute(says.format("'SELECT $$off$$'"))
        (wrong,) = check_durability(target, [right], names={}, transactions=(), settings=guards)
        assert wrong == msgspec.structs.replace(
            right, error="fsync was turned off on the server, so that a crash may damage it"
        )
        was_off = check_durability(
            target, [right], names={}, transactions=(), settings=dict.fromkeys(guards, "off")
        )
        assert was_off == (right,)
