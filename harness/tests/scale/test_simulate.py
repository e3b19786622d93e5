"""The simulation at its limits, where the time is known without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness.scale.costs import ANALYZED_ROWS
from harness.scale.predict import predict, with_step
from harness.scale.simulate import CONNECTIONS, TAIL, simulate
from harness.scale.work import Resource, Task, make_tasks, total
from harness.tests.scale.conftest import US, index_cost, sorted_cost, table_cost

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.scale.costs import Costs, TableCosts
    from harness.scale.work import Hardware, Load

    Make = Callable[..., Any]

ROWS = 1_000_000
DISK = Resource.DISK


def keyed(name: str, share: float, **more: Any) -> TableCosts:
    """Return a table with all that a restore builds."""
    return table_cost(
        name,
        share,
        analyze_s=1 * US,
        indexes=(
            index_cost(f"{name}_key", 0.5 * US, unique=True),
            index_cost(f"{name}_a", 1.0 * US),
            index_cost(f"{name}_b", 0.7 * US),
        ),
        foreign_keys=(sorted_cost(f"{name}_fk", 0.2 * US),),
        **more,
    )


def test_one_connection_takes_what_its_slower_side_takes(
    make_costs: Make, make_hardware: Make, make_load: Make
) -> None:
    costs = make_costs(keyed("only", 1.0), client_fixed_s=0.3, server_fixed_s=0.2)
    found = predict(costs, make_load(), make_hardware())
    serial_s = 0.3 + 0.2
    loaded_s = serial_s + ROWS * 2 * US
    # One session builds all; the restorer's 0.5 us a record are hidden behind the server's 2.
    indexes_s = ROWS * (0.5 + 1.0 + 0.7) * US
    assert found.outcome.loaded_s == pytest.approx(loaded_s)
    assert found.wall_s == pytest.approx(
        loaded_s + indexes_s + ANALYZED_ROWS * US + ROWS * 0.2 * US
    )


def test_a_restorer_on_the_servers_only_core_adds_its_time(
    make_costs: Make, make_hardware: Make, make_load: Make
) -> None:
    found = predict(make_costs(), make_load(), make_hardware(machines=0, server_cores=1))
    assert found.wall_s == pytest.approx(ROWS * 2.5 * US)
    assert found.outcome.bound == "server"
    two = predict(make_costs(), make_load(), make_hardware(machines=0, server_cores=2))
    assert two.wall_s == pytest.approx(ROWS * 2 * US)


@pytest.mark.parametrize(
    ("narrow", "bound", "wall_s"),
    [
        ({"network_bytes_s": 1e6}, "network", ROWS * 300 / 1e6),
        ({"disk_bytes_s": 1e6}, "disk", ROWS * 700 / 1e6),
        ({"client_cores": 1}, "client", ROWS * 0.5 * US),
        ({"server_cores": 4}, "server", ROWS * 2.5 * US / 4),
        ({}, "interpreter", ROWS * 0.1 * US),
    ],
)
def test_many_connections_are_bound_by_what_is_narrow(  # noqa: PLR0917 - three are fixtures
    narrow: dict[str, float],
    bound: str,
    wall_s: float,
    make_costs: Make,
    make_hardware: Make,
    make_load: Make,
) -> None:
    found = predict(make_costs(), make_load(jobs=32), make_hardware(**narrow))
    assert found.outcome.bound == bound
    assert found.wall_s == pytest.approx(wall_s, rel=0.02)
    resource = Resource[bound.upper()]
    assert found.utilization(resource) == pytest.approx(1.0, abs=0.02)


def test_more_machines_divide_the_interpreters_lock(
    make_costs: Make, make_hardware: Make, make_load: Make
) -> None:
    one, two = (
        predict(make_costs(), make_load(jobs=64), make_hardware(machines=machines))
        for machines in (1, 2)
    )
    assert two.wall_s == pytest.approx(one.wall_s / 2, rel=0.05)


def test_time_falls_with_cores_until_something_else_is_narrow(
    make_costs: Make, make_hardware: Make, make_load: Make
) -> None:
    tables = [keyed(name, share) for name, share in (("a", 0.6), ("b", 0.3), ("c", 0.1))]
    costs, load = make_costs(*tables), make_load(jobs=8)
    times_s = [
        predict(costs, load, make_hardware(server_cores=cores)).wall_s
        for cores in (1, 2, 3, 4, 6, 8, 16, 64)
    ]
    assert times_s == sorted(times_s, reverse=True)
    assert times_s[0] > 2 * times_s[2]
    assert times_s[-1] == times_s[-2]


def test_time_grows_with_rows_and_faster_than_linearly_by_sorting(
    make_costs: Make, make_hardware: Make, make_load: Make
) -> None:
    table = table_cost("only", 1.0, indexes=(index_cost("i", 0.0, log2_s=0.1 * US),))
    small, large = (
        predict(make_costs(table), make_load(rows=rows), make_hardware()).wall_s
        for rows in (2.0**20, 2.0**30)
    )
    assert small == pytest.approx(2**20 * (2 + 0.1 * 20) * US)
    assert large == pytest.approx(2**30 * (2 + 0.1 * 30) * US)


def test_one_large_table_is_cut_and_its_indexes_are_the_tail(
    make_costs: Make, make_hardware: Make, make_load: Make
) -> None:
    many = make_costs(*(keyed(f"t{number}", 0.125) for number in range(8)))
    one = make_costs(keyed("only", 1.0))
    of_many, of_one = (
        predict(costs, make_load(jobs=8), make_hardware(server_cores=8)) for costs in (many, one)
    )
    assert of_one.outcome.loaded_s == pytest.approx(ROWS * 2.5 * US / 8, rel=0.05)
    # Three index sessions at most have work for one table, and its key is built before the others.
    assert of_one.wall_s > of_one.outcome.loaded_s + ROWS * 1.5 * US
    assert of_one.wall_s > 2 * of_many.wall_s
    assert of_one.outcome.bound == TAIL
    assert of_many.outcome.bound != TAIL


def test_an_index_that_is_built_alone_has_parallel_workers(
    make_costs: Make, make_hardware: Make, make_load: Make
) -> None:
    table = table_cost("only", 1.0, indexes=(index_cost("i", 10 * US),))
    alone, shared = (
        predict(make_costs(table, parallel=parallel), make_load(jobs=4), make_hardware()).wall_s
        for parallel in (0.0, 0.8)
    )
    # Four workers and the session itself.
    assert alone - shared == pytest.approx(ROWS * 10 * US * 0.8 * 4 / 5)


def test_indexes_that_are_built_together_have_workers_only_if_all_have(
    make_costs: Make, make_hardware: Make, make_load: Make
) -> None:
    costs = make_costs(keyed("a", 0.5), keyed("b", 0.5), parallel=1.0)
    few, many = (
        predict(costs, make_load(jobs=4, parallel_builds=each), make_hardware()).outcome
        for each in (False, True)
    )
    assert few.longest is not None
    assert many.longest is not None
    assert few.longest[0] == "index a_a"
    assert few.longest[1] == pytest.approx(ROWS / 2 * US)
    assert many.longest[1] < ROWS / 2 * US / 2
    found = with_step(costs, predict(costs, make_load(jobs=4), make_hardware())).step
    assert found is not None
    assert found.name == "parallel workers for every index"


@pytest.mark.parametrize("machines", [0, 1, 3])
@pytest.mark.parametrize("jobs", [1, 3, 16])
def test_what_is_used_is_what_the_records_cost(
    machines: int, jobs: int, make_costs: Make, make_hardware: Make, make_load: Make
) -> None:
    tables = [keyed(name, share) for name, share in (("a", 0.7), ("b", 0.2), ("c", 0.1))]
    costs = make_costs(*tables, client_fixed_s=0.1, server_fixed_s=0.1)
    hardware = make_hardware(
        machines=machines, server_cores=3, client_cores=1, network_bytes_s=5e8, disk_bytes_s=2e9
    )
    load = make_load(jobs=jobs, minimal_wal=False)
    tasks = make_tasks(costs, load, hardware)
    found = predict(costs, load, hardware)
    expected = {resource: total(tasks, resource) for resource in Resource}
    if not machines:
        expected[Resource.SERVER] += expected[Resource.CLIENT]
    assert found.outcome.used == pytest.approx(expected)
    assert sum(found.outcome.bound_s.values()) == pytest.approx(found.wall_s)
    assert found.client_s == pytest.approx(0.1 + ROWS * 0.5 * US)
    for resource in Resource:
        assert (found.utilization(resource) or 0.0) <= 1 + 1e-6


def test_few_connections_leave_cores_idle(
    make_costs: Make, make_hardware: Make, make_load: Make
) -> None:
    found = predict(make_costs(), make_load(jobs=2), make_hardware(server_cores=8))
    assert found.outcome.bound == CONNECTIONS
    step = with_step(make_costs(), found).step
    assert step is not None
    assert step.name == "--jobs 4"
    assert step.wall_s == pytest.approx(found.wall_s / 2, rel=0.05)


def test_no_step_is_named_that_gains_nothing(
    make_costs: Make, make_hardware: Make, make_load: Make
) -> None:
    start = make_costs(client_fixed_s=100.0)
    assert with_step(start, predict(start, make_load(), make_hardware())).step is None


def test_a_compressed_backup_is_unpacked_by_one_core_of_each_machine(
    make_costs: Make, make_hardware: Make, make_load: Make
) -> None:
    load = make_load(jobs=16, compression="gz")
    found = predict(make_costs(), load, make_hardware())
    assert found.outcome.bound == "decompression"
    assert found.wall_s == pytest.approx(ROWS * 1.0 * US, rel=0.02)
    assert predict(make_costs(), load, make_hardware(machines=2)).wall_s < 0.6 * found.wall_s


def test_beyond_memory_an_index_spills_and_the_heap_is_read_again(
    make_costs: Make, make_hardware: Make, make_load: Make
) -> None:
    table = table_cost("only", 1.0, indexes=(index_cost("i", 1 * US, merge_s=0.5 * US),))
    costs = make_costs(table)

    def needs(load: Load, hardware: Hardware) -> dict[Resource, float]:
        tasks = make_tasks(costs, load, hardware)
        return next(task.needs for task in tasks if task.name == "index i")

    in_memory = needs(make_load(), make_hardware())
    spilled = needs(make_load(sort_bytes=ROWS * 52 - 1), make_hardware())
    assert in_memory == {Resource.SERVER: pytest.approx(1.0), Resource.DISK: ROWS * 20}
    assert spilled == {Resource.SERVER: pytest.approx(1.5), Resource.DISK: ROWS * 60}
    cold = needs(make_load(), make_hardware(memory_bytes=ROWS * 350 - 1))
    assert cold[Resource.DISK] == ROWS * (20 + 350)


def test_a_task_waits_for_those_before_it(make_hardware: Make) -> None:
    first = Task("first", "finish", {Resource.SERVER: 1.0})
    beside = Task("beside", "finish", {Resource.SERVER: 5.0})
    second = Task("second", "finish", {Resource.SERVER: 2.0}, [first])
    outcome = simulate([second, first, beside], make_hardware(), {"finish": 2})
    assert outcome.wall_s == pytest.approx(5.0)
    alone = simulate([second, first, beside], make_hardware(), {"finish": 1})
    assert alone.wall_s == pytest.approx(8.0)


def test_the_costs_of_a_table_are_shared_by_bytes(
    make_costs: Make, make_load: Make, make_hardware: Make
) -> None:
    wide = make_costs(
        table_cost("narrow", 0.5, json_bytes=100.0), table_cost("wide", 0.5, json_bytes=700.0)
    )
    tasks = make_tasks(wide, make_load(), make_hardware())
    needs = {task.name: task.needs[Resource.CLIENT] for task in tasks if task.pool == "load"}
    assert needs["load wide"] == pytest.approx(7 * needs["load narrow"])
    assert total(tasks, Resource.CLIENT) == pytest.approx(ROWS * 0.5 * US)


def test_a_restore_of_nothing_takes_no_time(
    make_costs: Make, make_hardware: Make, make_load: Make
) -> None:
    costs: Costs = make_costs()
    assert predict(costs, make_load(rows=0), make_hardware()).wall_s == 0.0


def test_indexes_that_are_built_together_read_their_table_once(
    make_costs: Make, make_hardware: Make, make_load: Make
) -> None:
    cold = make_hardware(memory_bytes=1)
    reads = {
        jobs: total(make_tasks(make_costs(keyed("only", 1.0)), make_load(jobs=jobs), cold), DISK)
        for jobs in (1, 2)
    }
    # With WAL if the table is cut; the key, the two other indexes, and the foreign key.
    assert reads[1] == ROWS * (350 + 3 * 20 + 4 * 350)
    assert reads[2] == ROWS * (700 + 3 * 20 + 3 * 350)
