"""A simulation of tasks that share resources: discrete in tasks, continuous in rates.

Between two events, the start or end of a task, every task runs at a constant rate. A task alone
runs as fast as its slowest part: reading, sending and storing are a pipeline, so it needs as long
as the largest of its amounts, with one core for each side. Tasks that together ask for more of a
resource than there is are slowed down by the same factor (max-min fairness, by progressive
filling); those that do not need it go on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from harness.scale.work import Pool, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.scale.work import Hardware, Task

_RESOURCES = len(Resource)
# ``restore`` lets an index that is built alone have the server's usual two parallel workers, or one
# for each connection up to the server's usual max_parallel_workers.
_LEAST_WORKERS, _MOST_WORKERS = 2, 8
# Below this remaining share of a resource, it counts as used up.
_TINY = 1e-9
_FULL = 1 - 1e-6

CONNECTIONS = "connections"
TAIL = "index builds"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A simulated restore.

    Args:
        wall_s: the time from start to end.
        used: what was used of each resource, in seconds or bytes.
        bound_s: how long each bound held: a resource's name, or ``CONNECTIONS`` (loading, no
            resource used up), ``TAIL`` (the same after the last load) or ``start``.
        loaded_s: when the last record was loaded.
        longest: the index or validation that took longest, and how long; None: there was none.
    """

    wall_s: float
    used: dict[Resource, float]
    bound_s: dict[str, float]
    loaded_s: float
    longest: tuple[str, float] | None

    @property
    def bound(self) -> str:
        """Return what bounds most of the time."""
        return max(self.bound_s, key=lambda name: self.bound_s[name])


@dataclass(slots=True)
class _Running:
    """A task under way: its amounts, its least time, and which share of it is left."""

    task: Task
    amounts: np.ndarray
    least_s: float
    started_s: float
    left: float = 1.0


@dataclass(slots=True)
class _State:
    """The clock, and what is under way."""

    waiting: dict[int, int]
    now_s: float = 0.0
    loaded_s: float = 0.0
    longest: tuple[str, float] | None = None
    running: list[_Running] = field(default_factory=list)
    ready: list[int] = field(default_factory=list)


def capacities(hardware: Hardware) -> np.ndarray:
    """Return how much of each resource there is in a second."""
    machines = max(hardware.machines, 1)
    limits = np.full(_RESOURCES, np.inf)
    limits[Resource.SERVER] = hardware.server_cores
    limits[Resource.DISK] = hardware.disk_bytes_s
    limits[Resource.INTERPRETER] = limits[Resource.DECOMPRESSION] = machines
    if hardware.machines:
        limits[Resource.CLIENT] = machines * hardware.client_cores
        limits[Resource.NETWORK] = hardware.network_bytes_s
    return limits


def simulate(tasks: Sequence[Task], hardware: Hardware, sessions: Mapping[Pool, int]) -> Outcome:
    """Run tasks to the end.

    Args:
        tasks: in the order in which free sessions take them.
        hardware: what they run on.
        sessions: how many tasks of each pool run at a time.
    """
    places = {id(task): place for place, task in enumerate(tasks)}
    followers: dict[int, list[int]] = {}
    for place, task in enumerate(tasks):
        for before in task.after:
            followers.setdefault(places[id(before)], []).append(place)
    state = _State({place: len(task.after) for place, task in enumerate(tasks)})
    state.ready = [place for place, count in state.waiting.items() if not count]
    loads_left = sum(task.pool == "load" for task in tasks)
    limits, used, bound_s = (
        capacities(hardware),
        np.zeros(_RESOURCES),
        defaultdict[str, float](float),
    )
    while state.ready or state.running:
        _start(tasks, state, hardware, sessions, is_loading=loads_left > 0)
        speeds, rates, full = _share(state.running, limits)
        step_s = min(
            each.left * each.least_s / speed
            for each, speed in zip(state.running, speeds, strict=True)
        )
        bound_s[_bound(state.running, full, is_loading=loads_left > 0)] += step_s
        state.now_s += step_s
        used += rates * step_s
        going = []
        for each, speed in zip(state.running, speeds, strict=True):
            each.left -= step_s * speed / each.least_s if each.least_s else 1.0
            if each.left > _TINY:
                going.append(each)
                continue
            if each.task.pool == "load":
                loads_left -= 1
                state.loaded_s = state.now_s
            taken_s = state.now_s - each.started_s
            if each.task.pool == "finish" and (not state.longest or taken_s > state.longest[1]):
                state.longest = (each.task.name, taken_s)
            for place in followers.get(places[id(each.task)], ()):
                state.waiting[place] -= 1
                if not state.waiting[place]:
                    state.ready.append(place)
        state.running = going
    amounts = {resource: float(used[resource]) for resource in Resource}
    return Outcome(state.now_s, amounts, dict(bound_s), state.loaded_s, state.longest)


def _start(
    tasks: Sequence[Task],
    state: _State,
    hardware: Hardware,
    sessions: Mapping[Pool, int],
    *,
    is_loading: bool,
) -> None:
    """Start tasks in their order, as long as sessions are free."""
    free = Counter(sessions)
    free.subtract(each.task.pool for each in state.running)
    rest = []
    for place in sorted(state.ready):
        task = tasks[place]
        if free[task.pool] <= 0:
            rest.append(place)
            continue
        free[task.pool] -= 1
        has_workers = not task.needs_quiet or not (is_loading or state.running)
        workers = min(max(sessions["finish"], _LEAST_WORKERS), _MOST_WORKERS) if has_workers else 0
        state.running.append(_begun(task, hardware, workers, state.now_s))
    state.ready = rest


def _begun(task: Task, hardware: Hardware, workers: int, now_s: float) -> _Running:
    """Return a task as it begins: its amounts by resource, and how long it takes alone."""
    amounts = np.zeros(_RESOURCES)
    for resource, amount in task.needs.items():
        amounts[resource] = amount
    cores = amounts[[Resource.CLIENT, Resource.SERVER]].copy()
    cores[1] *= 1 - task.parallel + task.parallel / (1 + workers)
    # The start of a restore is a dialogue: neither side goes on before the other has answered.
    core_s = cores.sum() if task.pool == "start" else cores.max()
    least_s = max(float(core_s), amounts[Resource.INTERPRETER], amounts[Resource.DECOMPRESSION])
    limits = capacities(hardware)
    least_s = max(least_s, float(np.max(amounts / limits)))
    if not hardware.machines:
        amounts[Resource.SERVER] += amounts[Resource.CLIENT]
    return _Running(task, amounts, least_s, now_s)


def _share(
    running: Sequence[_Running], limits: np.ndarray
) -> tuple[list[float], np.ndarray, set[Resource]]:
    """Share the resources among tasks.

    Returns:
        the speed of each task, relative to its speed alone; the rate at which each resource is
        used; and the resources of which nothing is left.
    """
    # A task that needs nothing takes no time, and asks for nothing.
    wanted = np.array([each.amounts / (each.least_s or np.inf) for each in running])
    speeds, open_ = np.zeros(len(running)), np.ones(len(running), dtype=bool)
    while open_.any():
        left = np.maximum(limits - speeds @ wanted, 0.0)
        asked = wanted[open_].sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.where(asked > 0, left / asked, np.inf)
        step = min(float(steps.min()), float(1 - speeds[open_].max()))
        speeds[open_] += step
        if step >= steps.min() - _TINY and speeds[open_].max() < 1 - _TINY:
            open_ &= wanted[:, int(steps.argmin())] <= 0
        else:
            open_[:] = False
    rates = speeds @ wanted
    full = {resource for resource in Resource if rates[resource] >= limits[resource] * _FULL}
    return speeds.tolist(), rates, full


def _bound(running: Sequence[_Running], full: set[Resource], *, is_loading: bool) -> str:
    """Return what is used up, or else whose number of tasks is too small to use anything up."""
    if any(each.task.pool == "start" for each in running):
        return "start"
    if full:
        return min(full).name.lower()
    return CONNECTIONS if is_loading else TAIL
