"""Fits the totals of the costs to whole restores at two small sizes; pure.

Statements are timed one by one, so their sum is not what they cost side by side, and a busy machine
stretches all of them. Two restores of known processor time, of different sizes, fix both: the time
that does not depend on the size, and a factor for all that does.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from harness.analysis.figures import cpu_s
from harness.model.errors import InputError
from harness.model.record import Status
from harness.scale.work import Hardware, Load, Resource, make_tasks, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.model.record import Environment, Run, Server
    from harness.scale.costs import Costs

_ENGINE = "restore"
_UNITS = {"kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}


@dataclass(frozen=True, slots=True)
class Observed:
    """A whole restore as it was observed: medians of its trials, and its conditions.

    ``server_s`` is None if no trial recorded it; ``cpu`` is the machine's processor.
    """

    name: str
    cpu: str
    load: Load
    hardware: Hardware
    wall_s: float
    client_s: float
    server_s: float | None


def calibrated(costs: Costs, observed: Sequence[Observed]) -> Costs:
    """Return costs whose totals are those of the observed restores.

    Args:
        costs: their proportions, from statements.
        observed: restores of two sizes.

    Raises:
        InputError: they are not of two sizes, or the server's processor time is unknown.
    """
    sizes = sorted({each.load.rows for each in observed})
    found = [
        (each, each.server_s)
        for size in (*sizes[:1], *sizes[1:][-1:])
        for each in observed
        if each.load.rows == size and each.server_s is not None
    ]
    if len(found) != 2:  # noqa: PLR2004 - a line needs two points
        raise InputError(
            "the costs cannot be calibrated: that takes one restore at each of two sizes, with the "
            "server's processor time; run bench at both"
        )
    (small, small_s), (large, large_s) = found
    plain = msgspec.structs.replace(
        costs, server_factor=1.0, client_fixed_s=0.0, server_fixed_s=0.0
    )

    def server_s(of: Observed) -> float:
        return total(make_tasks(plain, of.load, of.hardware), Resource.SERVER)

    server_factor = (large_s - small_s) / (server_s(large) - server_s(small))
    client_s = (large.client_s - small.client_s) / (large.load.rows - small.load.rows)
    factor = client_s / costs.client.s
    return msgspec.structs.replace(
        plain,
        machine=msgspec.structs.replace(plain.machine, totals_cpu=large.cpu),
        server_factor=server_factor,
        server_fixed_s=max(small_s - server_factor * server_s(small), 0.0),
        client_fixed_s=max(small.client_s - client_s * small.load.rows, 0.0),
        client=msgspec.structs.replace(
            costs.client,
            **{
                name: factor * getattr(costs.client, name)
                for name in costs.client.__struct_fields__
            },
        ),
    )


def observed_runs(runs: Iterable[Run]) -> list[Observed]:
    """Return the restores of sound backups in recorded runs, by profile and size.

    Args:
        runs: the runs; of two of the same conditions the one with more trials counts.
    """
    found: dict[tuple[str, float, int], tuple[int, Observed]] = {}
    for run in runs:
        ok = [
            trial
            for trial in run.trials
            if trial.engine == _ENGINE
            and trial.status is Status.OK
            and not (trial.repeated or trial.warmup)
        ]
        jobs = run.parameters.get("jobs")
        plain = run.dataset.faults == "none" and run.dataset.compress == "none"
        if not ok or not plain or run.parameters.get("traffic") or not isinstance(jobs, int):
            continue
        curves = [trial.server_cpu_curve for trial in ok]
        each = observed(
            *(run.dataset.rows, jobs, run.server, run.environment),
            wall_s=[trial.wall_s or 0.0 for trial in ok],
            client_s=[cpu_s(trial) or 0.0 for trial in ok],
            server_s=[curve.cpu_ms[-1] / 1000 for curve in curves if curve is not None],
        )
        key = (run.server.profile_name, each.load.rows, jobs)
        if key not in found or found[key][0] < len(ok):
            found[key] = (len(ok), each)
    return [each for _, (_, each) in sorted(found.items())]


def observed(
    rows: int,
    jobs: int,
    server: Server,
    machine: Environment,
    *,
    wall_s: Sequence[float],
    client_s: Sequence[float],
    server_s: Sequence[float],
) -> Observed:
    """Return what was observed of the trials of one size, which ran beside their server.

    Its disk is taken to be no bound: at these sizes the page cache holds what is written.
    """
    settings = server.settings
    memory_bytes = max(
        size_of(settings["maintenance_work_mem"]), size_of(settings["shared_buffers"]) / jobs
    )
    return Observed(
        name=f"profile {server.profile_name}, {jobs} connections",
        cpu=machine.cpu,
        load=Load(
            rows=rows,
            jobs=jobs,
            sort_bytes=memory_bytes,
            minimal_wal=settings.get("wal_level") == "minimal",
        ),
        hardware=Hardware(
            server_cores=machine.cores,
            client_cores=machine.cores,
            machines=0,
            network_bytes_s=float("inf"),
            disk_bytes_s=float("inf"),
            memory_bytes=machine.memory_bytes,
        ),
        wall_s=statistics.median(wall_s),
        client_s=statistics.median(client_s),
        server_s=statistics.median(server_s) if server_s else None,
    )


def size_of(setting: str) -> float:
    """Return the bytes of a setting as PostgreSQL prints it: ``512MB``."""
    return float(setting[:-2]) * _UNITS[setting[-2:]]
