"""What a restore takes on described hardware, what bounds it, and what would help; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.scale.simulate import CONNECTIONS, TAIL, capacities, simulate
from harness.scale.work import Resource, connections, make_tasks, sort_bytes, total

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.scale.costs import Costs
    from harness.scale.simulate import Outcome
    from harness.scale.work import Hardware, Load, Pool

# A change that gains less than this share of the time is not worth its price.
WORTH = 0.05

BOUNDS = {
    "start": "the start of the restorer",
    "client": "client CPU",
    "server": "server CPU",
    "network": "network",
    "disk": "disk",
    "interpreter": "the interpreter's lock of one restorer",
    "decompression": "decompression, which is sequential",
    CONNECTIONS: "the number of connections",
    TAIL: "index builds at the tail",
}


@dataclass(frozen=True, slots=True)
class Step:
    """A change of the hardware or of the options, and the time with it."""

    name: str
    wall_s: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """A prediction.

    Args:
        hardware, load: what it is of.
        outcome: the simulated restore.
        client_s, server_s: the processor time of both sides.
        step: the change that would help most; None if none is worth it.
    """

    hardware: Hardware
    load: Load
    outcome: Outcome
    client_s: float
    server_s: float
    step: Step | None = None

    @property
    def wall_s(self) -> float:
        """Return the predicted time."""
        return self.outcome.wall_s

    def utilization(self, resource: Resource) -> float | None:
        """Return the share of a resource that is used over the whole time; None if unlimited."""
        limit = float(capacities(self.hardware)[resource])
        if limit == float("inf") or not self.wall_s:
            return None
        return self.outcome.used[resource] / limit / self.wall_s


def predict(costs: Costs, load: Load, hardware: Hardware) -> Prediction:
    """Simulate a restore."""
    tasks = make_tasks(costs, load, hardware)
    sessions: dict[Pool, int] = {"start": 1, "load": connections(costs, load), "finish": load.jobs}
    return Prediction(
        hardware,
        load,
        simulate(tasks, hardware, sessions),
        total(tasks, Resource.CLIENT),
        total(tasks, Resource.SERVER),
    )


def with_step(costs: Costs, prediction: Prediction) -> Prediction:
    """Return a prediction with the change that would help most."""
    steps = [
        Step(name, predict(costs, load, hardware).wall_s)
        for name, load, hardware in _changes(prediction.load, prediction.hardware)
    ]
    best = min(steps, key=lambda each: each.wall_s)
    is_worth = best.wall_s < prediction.wall_s * (1 - WORTH)
    return replace(prediction, step=best if is_worth else None)


def _changes(load: Load, hardware: Hardware) -> Iterator[tuple[str, Load, Hardware]]:
    """Yield changes, the cheapest first."""
    yield "parallel workers for every index", replace(load, parallel_builds=True), hardware
    jobs = 2 * load.jobs
    memory = sort_bytes(hardware.memory_bytes, jobs)
    yield f"--jobs {jobs}", replace(load, jobs=jobs, sort_bytes=memory), hardware
    if load.compression != "none":
        yield "a backup that is not compressed", replace(load, compression="none"), hardware
    if not load.minimal_wal:
        yield "wal_level=minimal", replace(load, minimal_wal=True), hardware
    if hardware.machines:
        machines = hardware.machines + 1
        yield f"{machines} client machines", load, replace(hardware, machines=machines)
        cores = 2 * hardware.client_cores
        yield f"{cores:g} client cores", load, replace(hardware, client_cores=cores)
        faster = replace(hardware, network_bytes_s=2 * hardware.network_bytes_s)
        yield "twice the network", load, faster
    else:
        own = replace(hardware, machines=1, client_cores=hardware.server_cores)
        yield "a client machine of its own", load, replace(own, network_bytes_s=float("inf"))
    yield (
        "twice the disk bandwidth",
        load,
        replace(hardware, disk_bytes_s=2 * hardware.disk_bytes_s),
    )
    cores = 2 * hardware.server_cores
    more = replace(load, jobs=jobs, sort_bytes=memory)
    yield f"{cores:g} server cores and --jobs {jobs}", more, replace(hardware, server_cores=cores)


def server_cores_fed(costs: Costs, load: Load, hardware: Hardware) -> float:
    """Return how many server cores one client core feeds, over a whole restore.

    That is the server's processor time over the client's, without what does not grow with the rows.
    """
    tasks = make_tasks(costs, load, hardware)
    server_s = total(tasks, Resource.SERVER) - costs.server_fixed_s
    return server_s / (total(tasks, Resource.CLIENT) - costs.client_fixed_s)


def loading_cores_fed(costs: Costs, load: Load, hardware: Hardware) -> float:
    """Return the same while rows are loaded: without indexes, statistics and validation."""
    tasks = [task for task in make_tasks(costs, load, hardware) if task.pool == "load"]
    return total(tasks, Resource.SERVER) / total(tasks, Resource.CLIENT)
