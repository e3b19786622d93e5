"""One suite for every engine: each dataset, and what each engine is known not to do with it.

A limitation in ``registry.py`` that is no longer true fails here, so that the table stays true.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from harness.bench.prepare import prepare
from harness.engines.peers import catalog
from harness.engines.registry import ENGINES, environment
from harness.generate import DatasetSpec, cached
from harness.model.errors import HarnessError
from harness.model.manifest import load
from harness.model.outcome import End, Outcome
from harness.model.record import NO_REPORT, Status, TableResult, Trial
from harness.trial import attempt as trial
from harness.trial import meter
from harness.trial.meter import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.engines.engine import Engine
    from harness.servers import RunningServer
    from harness.trial.attempt import TrialContext

ROWS = 2000
PLAIN = DatasetSpec(rows=ROWS)
SPECS = {
    "lines": PLAIN,
    "compact": dataclasses.replace(PLAIN, style="compact"),
    "pretty": dataclasses.replace(PLAIN, style="pretty"),
    "gz": dataclasses.replace(PLAIN, compress="gz"),
    "zst": dataclasses.replace(PLAIN, compress="zst"),
    "realistic": dataclasses.replace(PLAIN, rows=5 * ROWS, faults="realistic"),
    "hostile": dataclasses.replace(PLAIN, faults="hostile"),
    "empty": dataclasses.replace(PLAIN, rows=0),
}

# Without what a peer needs, its tests are skipped, unless this is set.
REQUIRED = "RESTOREBENCH_REQUIRE_PEERS"
PEER_SPECS = ("lines", "pretty", "gz", "realistic")
PEER_TIMEOUT_S = 240.0  # some take a second for a few hundred records

each_engine = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)


class Tables(msgspec.Struct):
    """What of an engine's report can be checked."""

    tables: list[dict[str, Any]]
    engine: str


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("datasets")


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
@each_engine
def test_an_engine_does_what_it_is_known_to_do(
    engine: Engine, spec: DatasetSpec, cache: Path, context_of: Callable[..., TrialContext]
) -> None:
    made = check(engine, spec, cache, context_of)
    assert (made.restored == made.expected) is (made.status is Status.OK)


@pytest.mark.slow
@pytest.mark.parametrize("spec", PEER_SPECS)
@pytest.mark.parametrize("name", catalog.names())
def test_a_peer_does_what_it_is_known_to_do(
    name: str, spec: str, cache: Path, context_of: Callable[..., TrialContext]
) -> None:
    engine = catalog.engine(name)
    if engine.missing:
        assert REQUIRED not in os.environ, engine.missing
        pytest.skip(engine.missing)
    check(engine, SPECS[spec], cache, functools.partial(context_of, timeout_s=PEER_TIMEOUT_S))


def check(
    engine: Engine, spec: DatasetSpec, cache: Path, context_of: Callable[..., TrialContext]
) -> Trial:
    """Run an engine on a dataset, and assert that it ends as its limitations say."""
    context = context_of(cached(spec, cache))
    if engine.prepare:
        folder = prepare([engine], context, cache, print)[engine.name]
        assert not isinstance(folder, HarnessError), folder
        context = dataclasses.replace(context, prepared=folder, jobs=2)
    made = tried(engine, context)
    known = engine.limitation(context.manifest)
    expected = Status.OK if known is None else known.status
    assert made.status is expected, f"{made.detail}; known: {known}"
    if made.report is not NO_REPORT:
        assert str(context.backup.parent).encode() not in bytes(made.report)
        agree(msgspec.json.decode(made.report, type=Tables), made.tables)
    return made


@pytest.mark.slow
def test_restore_restores_a_hostile_backup_but_for_tables_that_are_not_there(
    cache: Path, context_of: Callable[..., TrialContext]
) -> None:
    [engine] = [engine for engine in ENGINES if engine.name == "restore"]
    excluding = (*engine.template, "--exclude=ghosts", "--exclude=notes")
    made = tried(
        dataclasses.replace(engine, template=excluding), context_of(cached(SPECS["hostile"], cache))
    )
    assert made.status is Status.OK, made.detail
    assert made.restored == made.expected


def tried(engine: Engine, context: TrialContext) -> Trial:
    blank = Trial(
        engine=engine.name, round=1, warmup=False, status=Status.SKIPPED, started_at=trial.now()
    )
    return trial.record(blank, engine, context.manifest, trial.attempt(engine, context))


def agree(report: Tables, counted: tuple[TableResult, ...]) -> None:
    """What an engine says of itself adds up, and is what is in the database."""
    found = {table.table: table.found for table in counted}
    for table in report.tables:
        parts = table["loaded"] + table["duplicates"] + table["rejected"]
        assert table["read"] == parts, table
        assert table["loaded"] == found.get(table["table"], 0), table


@pytest.mark.slow
@each_engine
def test_a_backup_that_is_not_there_is_one_clear_line(
    engine: Engine, server: RunningServer, tmp_path: Path
) -> None:
    with server.database() as dsn:
        outcome, said = called(engine, tmp_path, tmp_path / "missing", dsn)
    assert (outcome.end, outcome.exit_code) == (End.EXITED, 2)
    assert "missing" in said
    one_line(said)


@pytest.mark.slow
@each_engine
def test_a_database_that_does_not_answer_is_one_clear_line(
    engine: Engine, dataset: Path, tmp_path: Path
) -> None:
    outcome, said = called(engine, tmp_path, dataset, "postgresql://me:s3cret@127.0.0.1:1/nowhere")
    assert (outcome.end, outcome.exit_code) == (End.EXITED, 1)
    assert "s3cret" not in said
    one_line(said)


def called(engine: Engine, folder: Path, backup: Path, dsn: str) -> tuple[Outcome, str]:
    """Return how an engine ended and all that it said."""
    values = {
        "backup": str(backup),
        "dsn": dsn,
        "report": str(folder / "report.json"),
        "rejects": str(folder / "rejects"),
        "jobs": "1",
        "prepared": str(backup),
    }
    out, err = folder / "out", folder / "err"
    command = meter.Command(engine.argv(values), folder, environment({}), out, err)
    outcome = meter.run(command, Limits(60))
    return outcome, out.read_text() + err.read_text()


def one_line(said: str) -> None:
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 1, said


def test_the_ground_truth_of_the_suite_has_damage_to_find(cache: Path) -> None:
    assert load(cached(SPECS["realistic"], cache)).lost
