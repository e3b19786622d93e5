"""Costs as they are fitted to the times of statements, calibrated, written and read."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from harness.model.errors import InputError
from harness.model.record import CpuCurve
from harness.scale.calibrate import Observed, calibrated, observed_runs, size_of
from harness.scale.checks import checks, largest_error
from harness.scale.costs import REPEATED, STORED, load, save
from harness.scale.fit import Sizes, table_costs
from harness.scale.predict import predict
from harness.scale.statements import Statement, TableTimes
from harness.scale.work import Resource, make_tasks, total
from harness.tests.scale.conftest import MACHINE, US, index_cost, table_cost

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.model.record import Run

    Make = Callable[..., Any]


def times(rows: int, index_s: float, spilled_s: float) -> TableTimes:
    return TableTimes(
        rows=rows,
        row_bytes=300 * rows,
        heap_bytes=350 * rows,
        wal_bytes=360 * rows,
        unlogged_s=0.001 + 2 * US * rows,
        logged_s=0.001 + 2.5 * US * rows,
        frozen_s=0.003 + 2.2 * US * rows,
        finish_s=0.002 + 1 * US * min(rows, 30_000),
        indexes=[Statement("i", 0.004 + index_s, 0.004 + spilled_s, 20.0 * rows, unique=True)],
        foreign_keys=[Statement("k", 0.1 * US * rows, 0.1 * US * rows, 0.0)],
    )


def sizes(small_s: float, large_s: float, spilled_s: float) -> Sizes:
    return Sizes(
        {"t": times(0, 0.0, 0.0)},
        {"t": times(100_000, small_s, small_s)},
        {"t": times(1_000_000, large_s, spilled_s)},
    )


def test_costs_are_fitted_without_what_an_empty_table_costs() -> None:
    def at(rows: int) -> float:
        return rows * (0.2 + 0.03 * math.log2(rows)) * US

    # With 4 MiB, 80,660 records of 20 bytes and 32 beside them are sorted at once.
    little_s = 1_000_000 * (0.2 + 0.03 * math.log2((4 << 20) / 52) + 0.5) * US
    found = sizes(at(100_000), at(1_000_000), little_s)
    [table] = table_costs(found, {"t": 400_000_000})
    assert (table.share, table.json_bytes, table.row_bytes, table.wal_bytes) == (1, 400, 300, 360)
    assert table.heap_s == pytest.approx(2 * US)
    assert table.wal_s == pytest.approx(0.5 * US)
    assert table.frozen_s == pytest.approx(2.2 * US)
    assert table.analyze_s == pytest.approx(1 * US)
    [index] = table.indexes
    assert index.unique
    assert index.log2_s == pytest.approx(0.03 * US)
    assert index.s == pytest.approx(0.2 * US)
    assert index.merge_s == pytest.approx(0.5 * US)
    assert index.at(100_000_000, 1e15) == pytest.approx(at(100_000_000))
    # Beyond memory a record costs the same at any size: it is sorted with as many, and merged.
    each_s = (0.2 + 0.03 * math.log2(1e9 / 52) + 0.5) * US
    assert index.at(1e9, 1e9) == pytest.approx(1e9 * each_s)
    assert index.at(1e10, 1e9) == pytest.approx(1e10 * each_s)
    [key] = table.foreign_keys
    assert key.s == pytest.approx(0.1 * US)
    assert key.merge_s == 0


def test_what_needed_little_memory_is_taken_to_merge_as_others_do() -> None:
    found = sizes(0.1, 1.0, 1.5)
    for at, rows in ((found.empty, 0), (found.small, 100), (found.large, 1000)):
        at["few"] = times(rows, 0.0, 0.0)
    table, few = table_costs(found, {"t": 1, "few": 1})
    assert table.indexes[0].merge_s == pytest.approx(0.5 * US)
    assert few.indexes[0].merge_s == table.indexes[0].merge_s


def test_what_costs_less_at_the_larger_size_is_linear() -> None:
    [table] = table_costs(sizes(0.2, 1.0, 0.9), {"t": 1})
    [index] = table.indexes
    assert (index.log2_s, index.merge_s) == (0, 0)
    assert index.at(10_000_000, 1e15) == pytest.approx(10.0)


@pytest.fixture
def observe(make_hardware: Make, make_load: Make) -> Callable[..., Observed]:
    """Return what makes an observed restore: 0.2 s fixed and 3 us a record of the server."""

    def build(rows: int) -> Observed:
        return Observed(
            name="",
            cpu="Example CPU 4000",
            load=make_load(rows=rows, jobs=2),
            hardware=make_hardware(machines=0, server_cores=2),
            wall_s=1.0,
            client_s=0.3 + 0.6 * US * rows,
            server_s=0.2 + 3 * US * rows,
        )

    return build


def test_totals_are_those_of_two_restores(
    make_costs: Make, observe: Callable[..., Observed]
) -> None:
    both = [observe(1_000_000), observe(100_000)]
    found = calibrated(make_costs(), both)
    assert found.machine.totals_cpu == "Example CPU 4000"
    assert found.client_fixed_s == pytest.approx(0.3)
    assert found.client.s == pytest.approx(0.6 * US)
    assert found.client.decode_s / found.client.s == pytest.approx(0.6)
    assert found.server_fixed_s == pytest.approx(0.2)
    assert found.server_factor == pytest.approx(3 / 2.5)
    for each in both:
        tasks = make_tasks(found, each.load, each.hardware)
        assert total(tasks, Resource.SERVER) == pytest.approx(each.server_s)
        assert total(tasks, Resource.CLIENT) == pytest.approx(each.client_s)


def test_one_size_is_no_calibration(make_costs: Make, observe: Callable[..., Observed]) -> None:
    for known in ([], [observe(100_000)], [observe(100), replace(observe(200), server_s=None)]):
        with pytest.raises(InputError, match="one restore at each of two sizes"):
            calibrated(make_costs(), known)


@pytest.fixture
def make_recorded(make_run: Make, make_trial: Make) -> Callable[..., Run]:
    """Return what makes a recorded run of ``restore``."""

    def build(rows: int, wall_s: float, **conditions: Any) -> Run:
        curve = CpuCurve(at_s=(wall_s,), cpu_ms=(3 * rows // 1000,))
        trial = make_trial(
            *("restore", wall_s), user_s=0.5 * US * rows, system_s=0.0, server_cpu_curve=curve
        )
        run = make_run(trial)
        settings = {
            "maintenance_work_mem": "64MB",
            "shared_buffers": "1GB",
            "wal_level": "minimal",
        }
        found: Run = msgspec.structs.replace(
            run,
            dataset=msgspec.structs.replace(run.dataset, rows=rows),
            server=msgspec.structs.replace(
                run.server, profile="bulk", settings=settings | conditions
            ),
            parameters={"jobs": 2},
        )
        return found

    return build


def test_predictions_are_checked_with_runs_of_that_machine(
    make_recorded: Callable[..., Run], make_costs: Make
) -> None:
    runs = [make_recorded(1_000_000, 2.0), make_recorded(5_000_000, 20.0)]
    other = make_recorded(2_000_000, 2.0)
    other = msgspec.structs.replace(
        other, environment=msgspec.structs.replace(other.environment, cpu="Another")
    )
    costs = make_costs(machine=MACHINE)
    fitted, larger = checks(costs, [*runs, other])
    assert (fitted.is_fitted, larger.is_fitted) == (True, False)
    assert larger.observed.load.sort_bytes == 512 << 20
    expected_s = predict(costs, larger.observed.load, larger.observed.hardware).wall_s
    assert larger.wall_error == pytest.approx(expected_s / 20 - 1)
    assert larger.client_error == pytest.approx(0)
    assert larger.server_error is not None
    assert larger.server_error < 0
    assert largest_error([fitted, larger]) == abs(larger.wall_error)


def test_only_whole_restores_of_sound_backups_count(
    make_recorded: Callable[..., Run], make_trial: Make
) -> None:
    run = make_recorded(1000, 1.0)
    damaged = msgspec.structs.replace(
        run, dataset=msgspec.structs.replace(run.dataset, faults="realistic")
    )
    counted = msgspec.structs.replace(run, parameters={"jobs": 2, "traffic": True})
    others = msgspec.structs.replace(run, trials=(make_trial("legacy", 1.0),))
    assert observed_runs([damaged, counted, others]) == []
    [found] = observed_runs([run])
    assert (found.load.rows, found.load.jobs, found.load.minimal_wal) == (1000, 2, True)
    [logged] = observed_runs([make_recorded(1000, 1.0, wal_level="replica")])
    assert not logged.load.minimal_wal


def test_settings_are_read_as_postgresql_prints_them() -> None:
    assert [size_of(text) for text in ("8kB", "64MB", "1GB")] == [8 << 10, 64 << 20, 1 << 30]


def test_costs_are_written_and_read(make_costs: Make, tmp_path: Path) -> None:
    costs = make_costs(table_cost("t", 1.0, indexes=(index_cost("i", US),)))
    path = tmp_path / "new" / "costs.json"
    save(costs, path)
    assert load(path) == costs
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another file"):
        save(costs, tmp_path / "file" / "costs.json")


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "No such file"), ("{}", "holds no costs"), ("version", "has version 99, not 1")],
)
def test_costs_that_cannot_be_read(
    text: str | None, words: str, make_costs: Make, tmp_path: Path
) -> None:
    path = tmp_path / "costs.json"
    if text == "version":
        save(make_costs(version=99), path)
    elif text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        load(path)


@pytest.mark.parametrize("path", [STORED, REPEATED], ids=lambda path: path.name)
def test_the_stored_costs_are_of_whole_datasets(path: Path) -> None:
    costs = load(path)
    assert costs.mean("share") > 0
    assert sum(table.share for table in costs.tables) == pytest.approx(1)
    assert costs.client.s > 0
    assert all(table.heap_s > 0 and table.indexes for table in costs.tables)
