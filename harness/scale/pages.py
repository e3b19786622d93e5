"""The blocks of docs/scale.md, made of the stored costs and the published runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.report.blocks import Column, Grid, to_markdown
from harness.report.units import NONE, rows_short, seconds, significant
from harness.scale.checks import checks, largest_error
from harness.scale.costs import ANALYZED_ROWS
from harness.scale.describe import time_text
from harness.scale.predict import (
    BOUNDS,
    WORTH,
    loading_cores_fed,
    predict,
    server_cores_fed,
    with_step,
)
from harness.scale.work import Hardware, Load, sort_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.model.record import Run
    from harness.report.blocks import Block, Cell
    from harness.scale.costs import Costs
    from harness.scale.predict import Prediction
    from harness.scale.work import Compression

_GB = 1e9
_GIB = 1 << 30
_BITS = 8
_US = 1e-6
SIZES = (100_000_000, 1_000_000_000, 10_000_000_000)
QUOTED = 1_000_000_000
CORES = (2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class Described:
    """A server and its client machine, with a name."""

    name: str
    hardware: Hardware


def _machines(cores: int, client: int, gbit: float, disk_gb_s: float, memory_gib: int) -> Hardware:
    return Hardware(
        server_cores=cores,
        client_cores=client,
        machines=1,
        network_bytes_s=gbit * _GB / _BITS,
        disk_bytes_s=disk_gb_s * _GB,
        memory_bytes=memory_gib * _GIB,
    )


SMALL = Described("small", _machines(4, 2, 1, 0.25, 16))
MEDIUM = Described("medium", _machines(16, 4, 10, 1, 64))
LARGE = Described("large", _machines(64, 16, 25, 4, 512))
DESCRIBED = (SMALL, MEDIUM, LARGE)


def scale_blocks(costs: Costs, repeated: Costs, runs: Sequence[Run]) -> dict[str, str]:
    """Return the text of each block, by its name.

    Args:
        costs: the stored costs.
        repeated: those of the same measurement at another time.
        runs: the published runs, to check predictions with.
    """
    made: dict[str, tuple[Block, ...]] = {
        "scale_machine": (_machine(costs),),
        "scale_costs": (_costs(costs),),
        "scale_ratio": (_ratio(costs),),
        "scale_bounds": (_bounds(costs), _longest(costs)),
        "scale_second": (_second(costs),),
        "scale_times": (_times(costs),),
        "scale_checks": (*_checks(costs, runs), _repeated(costs, repeated, runs)),
    }
    return {name: to_markdown(blocks) for name, blocks in made.items()}


def load_of(
    hardware: Hardware, rows: float, jobs: int | None = None, compression: Compression = "none"
) -> Load:
    """Return a load by a connection for each core of the server, unless there are to be others."""
    count = jobs or int(hardware.server_cores)
    memory = sort_bytes(hardware.memory_bytes, count)
    return Load(
        rows=rows, jobs=count, sort_bytes=memory, minimal_wal=False, compression=compression
    )


def _machine(costs: Costs) -> str:
    machine = costs.machine
    small, large = (rows_short(size) for size in costs.sizes)
    return (
        f"Measured {machine.measured_at[:10]} on {machine.cores} cores of {machine.cpu} with "
        f"{machine.memory_bytes / _GB:.0f} GB of memory, PostgreSQL {machine.postgresql}, the "
        f"dataset {costs.scenario} of {small} and {large} records. The server's processor time "
        f"in whole restores is {costs.server_factor:.2f} of that of the statements one by one. A "
        f"restore of no records takes {seconds(costs.client_fixed_s)} of the restorer and "
        f"{seconds(costs.server_fixed_s)} of the server. Parallel workers divide "
        f"{costs.parallel:.0%} of an index build."
    )


def _costs(costs: Costs) -> Grid:
    """Lay out what a record costs, at the larger measured size and at the quoted one."""
    client, factor = costs.client, costs.server_factor

    memory = sort_bytes(MEDIUM.hardware.memory_bytes, int(MEDIUM.hardware.server_cores))

    def sorts_s(field: str, rows: float) -> float:
        parts = [(t.share * rows, each) for t in costs.tables for each in getattr(t, field)]
        return factor * sum(float(each.at(records, memory)) for records, each in parts) / rows

    def row(
        side: str, name: str, figure_s: float, size: float | None, far_s: float
    ) -> tuple[Cell, ...]:
        each = NONE if size is None else f"{size:.0f}"
        micro = [significant(value / _US, 2) for value in (figure_s, far_s)]
        return ((side,), (name,), (micro[0],), (micro[1],), (each,))

    measured = costs.sizes[1]
    index_s, key_s = (
        [sorts_s(field, rows) for rows in (measured, QUOTED)]
        for field in ("indexes", "foreign_keys")
    )
    heap_s, wal_s = (factor * costs.mean(name) for name in ("heap_s", "wal_s"))
    index_bytes = sum(t.share * index.bytes for t in costs.tables for index in t.indexes)
    analyze_s = [
        factor * sum(min(t.share * rows, ANALYZED_ROWS) * t.analyze_s for t in costs.tables) / rows
        for rows in (measured, QUOTED)
    ]
    rows = (
        row("client", "reading", client.read_s, costs.mean("json_bytes"), client.read_s),
        row("client", "decoding", client.decode_s, None, client.decode_s),
        row("client", "sending", client.send_s, costs.mean("row_bytes"), client.send_s),
        row("server", "heap", heap_s, costs.mean("heap_bytes"), heap_s),
        row("server", "WAL", wal_s, costs.mean("wal_bytes"), wal_s),
        row("server", "index builds", index_s[0], index_bytes, index_s[1]),
        row("server", "statistics", analyze_s[0], None, analyze_s[1]),
        row("server", "foreign keys", key_s[0], None, key_s[1]),
    )
    columns = (
        Column("side", "left"),
        Column("part", "left"),
        Column(f"us a record at {rows_short(measured)}"),
        Column(f"at {rows_short(QUOTED)}"),
        Column("bytes a record"),
    )
    return Grid(columns, rows)


def _ratio(costs: Costs) -> str:
    hardware = MEDIUM.hardware
    loads = [load_of(hardware, rows) for rows in (costs.sizes[1], QUOTED)]
    whole = [server_cores_fed(costs, load, hardware) for load in loads]
    loading = loading_cores_fed(costs, loads[0], hardware)
    small, large = (rows_short(round(load.rows)) for load in loads)
    client = costs.client
    locked = client.s / client.send_s if client.send_s else float("inf")
    return (
        f"While rows are loaded, one client core feeds {loading:.1f} server cores. Over a whole "
        f"restore it is {whole[0]:.1f} at {small} records and {whole[1]:.1f} at {large}, since the "
        "server also builds what the restorer only asks for. One restorer keeps at most "
        f"{locked:.1f} cores busy: {client.send_s / client.s:.0%} of its time is sending and what "
        "Python does for a batch, and the model takes the interpreter's lock to be held for all "
        "of that."
    )


def _bounds(costs: Costs) -> Grid:
    """Lay out how the bound moves with the server's cores, by the client's cores."""
    rows = []
    for cores in CORES:
        cells: list[Cell] = [(f"{cores}",)]
        for client, gbit in ((1, 10), (4, 1), (4, 10), (16, 25)):
            hardware = replace(
                MEDIUM.hardware,
                server_cores=cores,
                client_cores=client,
                network_bytes_s=gbit * _GB / _BITS,
                disk_bytes_s=LARGE.hardware.disk_bytes_s,
            )
            cells.append(_time_and_bound(predict(costs, load_of(hardware, QUOTED), hardware)))
        rows.append(tuple(cells))
    titles = ("1 client core, 10 Gbit/s", "4, 1 Gbit/s", "4, 10 Gbit/s", "16, 25 Gbit/s")
    return Grid((Column("server cores"), *(Column(each, "left") for each in titles)), tuple(rows))


def _longest(costs: Costs) -> str:
    """Say which build takes longest on the large server, and what workers would gain."""
    hardware = LARGE.hardware
    load = load_of(hardware, QUOTED)
    now = predict(costs, load, hardware)
    shared = predict(costs, replace(load, parallel_builds=True), hardware)
    name, taken_s = now.outcome.longest or (NONE, 0.0)
    return (
        f"On the large server below, {name} takes {time_text(taken_s)} of {time_text(now.wall_s)}: "
        "it begins while other indexes are built, and so without parallel workers. If each index "
        f"build had them, the restore would take {time_text(shared.wall_s)}."
    )


def _time_and_bound(of: Prediction) -> Cell:
    return (time_text(of.wall_s), BOUNDS[of.outcome.bound])


def _second(costs: Costs) -> Grid:
    """Lay out from how many server cores a second client machine gains something."""
    rows = []
    conditions: tuple[tuple[str, Compression, float], ...] = (
        ("JSON, 25 Gbit/s", "none", 25),
        ("JSON, 1 Gbit/s", "none", 1),
        ("JSON.zst, 25 Gbit/s", "zst", 25),
        ("JSON.gz, 25 Gbit/s", "gz", 25),
    )
    for name, compression, gbit in conditions:
        cells: list[Cell] = [(name,)]
        for client in (1, 2, 4, 8):
            hardware = replace(
                LARGE.hardware, client_cores=client, network_bytes_s=gbit * _GB / _BITS
            )
            cells.append((_pays_from(costs, hardware, compression),))
        rows.append(tuple(cells))
    clients = (Column(f"client cores: {client}") for client in (1, 2, 4, 8))
    return Grid((Column("backup and network", "left"), *clients), tuple(rows))


def _pays_from(costs: Costs, hardware: Hardware, compression: Compression) -> str:
    """Return the least server cores with which a second machine saves enough."""
    for cores in CORES:
        one = replace(hardware, server_cores=cores)
        load = load_of(one, QUOTED, compression=compression)
        alone_s = predict(costs, load, one).wall_s
        if predict(costs, load, replace(one, machines=2)).wall_s < alone_s * (1 - WORTH):
            return f"{cores}"
    return "never"


def _times(costs: Costs) -> Grid:
    rows = []
    for each in DESCRIBED:
        for size in SIZES:
            found = with_step(costs, predict(costs, load_of(each.hardware, size), each.hardware))
            tail = (found.wall_s - found.outcome.loaded_s) / found.wall_s
            step = found.step
            cells = (
                *(each.name, rows_short(size), time_text(found.wall_s), f"{tail:.0%}"),
                BOUNDS[found.outcome.bound],
                NONE if step is None else f"{step.name}: {time_text(step.wall_s)}",
            )
            rows.append(tuple((cell,) for cell in cells))
    columns = (
        *(Column("machines", "left"), Column("records"), Column("time")),
        *(Column("after the last record"), Column("bound by", "left"), Column("next step", "left")),
    )
    return Grid(columns, tuple(rows))


def _repeated(costs: Costs, repeated: Costs, runs: Sequence[Run]) -> str:
    """Say what the same measurement at another time predicts."""
    hardware = LARGE.hardware
    first_s, second_s = (
        predict(each, load_of(hardware, QUOTED), hardware).wall_s for each in (costs, repeated)
    )
    return (
        "The costs were measured twice in the same way. By the other measurement that error is "
        f"{largest_error(checks(repeated, runs)):.0%}, and {rows_short(QUOTED)} records on the "
        f"large server take {time_text(second_s)}, not {time_text(first_s)}."
    )


def _checks(costs: Costs, runs: Sequence[Run]) -> tuple[Block, ...]:
    found = checks(costs, runs)
    rows = []
    for each in found:
        server = NONE if each.server_error is None else f"{each.server_error:+.0%}"
        rows.append(
            tuple(
                (cell,)
                for cell in (
                    rows_short(round(each.observed.load.rows)),
                    each.observed.name,
                    "yes" if each.is_fitted else "no",
                    seconds(each.observed.wall_s),
                    seconds(each.prediction.wall_s),
                    f"{each.wall_error:+.0%}",
                    f"{each.client_error:+.0%}",
                    server,
                )
            )
        )
    columns = (
        *(Column("records"), Column("conditions", "left"), Column("calibrated with it", "left")),
        *(Column("measured"), Column("predicted"), Column("error")),
        *(Column("client CPU"), Column("server CPU")),
    )
    said = (
        f"The largest error of a time that the costs were not calibrated with is "
        f"{largest_error(found):.0%}."
    )
    return Grid(columns, tuple(rows)), said
