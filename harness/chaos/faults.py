"""The kinds of fault, and how each is injected into a running restore."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import psycopg

from harness.chaos import restorer
from harness.chaos.choices import pick_target
from harness.chaos.proxy import Proxy
from harness.servers import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.chaos.choices import FaultChoice
    from harness.chaos.dask_cluster import DaskCluster
    from harness.chaos.disk import SmallDisk
    from harness.chaos.restorer import Restorer
    from harness.chaos.store import Store
    from harness.chaos.target import Target

    Fault = Callable[["Scene", FaultChoice], "Hit | None"]


# A disk stays full until the restorer gives up, or this long: it need not write at once.
FULL_S = 10.0
# A store fails for about as long as the restorer retries a request.
STORE_FAILS_S = 10.0


@dataclass(frozen=True, slots=True)
class Disks:
    """The small disks of a campaign: one for the server's tables, one for the rejects."""

    tables: SmallDisk
    rejects: SmallDisk


@dataclass(frozen=True, slots=True)
class Scene:
    """The possible targets of a fault; a field is None if the campaign has no such target."""

    target: Target
    proxy: Proxy
    disks: Disks | None
    database: str
    restorer: Restorer
    cluster: DaskCluster | None = None
    store: Store | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """The target of an injected fault; ``end`` ends a temporary one after ``hold_s``."""

    text: str
    end: Callable[[], None] | None = None
    hold_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A kind of fault.

    ``inject`` returns None if there is no target yet. ``weight`` is its relative frequency.
    """

    weight: int
    inject: Fault
    needs_disks: bool = False
    needs_cluster: bool = False
    needs_store: bool = False


def _to_restorer(number: signal.Signals, scene: Scene, _: FaultChoice) -> Hit | None:
    said, process = restorer.describe(scene.restorer.pid), scene.restorer.process
    if process.poll() is not None:  # it has ended since
        return None
    process.send_signal(number)
    # A process that was about to exit still exits: nothing was killed then.
    if number is signal.SIGKILL and process.wait() != -number:
        return None
    return Hit(said)


def _session(scene: Scene, choice: FaultChoice) -> int | None:
    try:
        return pick_target(choice.victim, scene.target.sessions(scene.database))
    except (ServerError, psycopg.OperationalError):  # down, because of an earlier fault
        return None


def _terminate_session(scene: Scene, choice: FaultChoice) -> Hit | None:
    pid = _session(scene, choice)
    if pid is None:
        return None
    try:
        scene.target.terminate(pid)
    except (ServerError, psycopg.OperationalError):
        return None
    return Hit(f"session pid {pid}")


def _kill_session(scene: Scene, choice: FaultChoice) -> Hit | None:
    """Kill a session's backend, upon which the server restarts all others."""
    pid = _session(scene, choice)
    return None if pid is None else _kill(pid, "session")


def _stop_server(scene: Scene, _: FaultChoice) -> Hit | None:
    """Stop the server immediately, without a checkpoint; its keeper restarts it."""
    for first in scene.target.processes()[:1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            first.send_signal(signal.SIGQUIT)
            return Hit(f"server pid {first.pid}")
    return None


def _kill_server(scene: Scene, _: FaultChoice) -> Hit | None:
    """Kill the server with all its processes, as a power cut does; its keeper restarts it."""
    processes = scene.target.processes()
    if not processes:
        return None
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return Hit(f"server pid {processes[0].pid} and {len(processes) - 1} more")


def _to_server(scene: Scene) -> Proxy:
    return scene.proxy


def _to_store(scene: Scene) -> Proxy | None:
    return scene.store.proxy if scene.store is not None else None


def _interrupt(
    proxy_of: Callable[[Scene], Proxy | None],
    interruption: Callable[[Proxy], object],
    scene: Scene,
    choice: FaultChoice,
) -> Hit | None:
    """Interrupt all connections through a proxy until it forwards again."""
    proxy = proxy_of(scene)
    if proxy is None or not (connections := proxy.connections):
        return None
    interruption(proxy)
    return Hit(f"{_several(connections)}, {choice.hold_s:.1f} s", proxy.flow, choice.hold_s)


def _reset(proxy_of: Callable[[Scene], Proxy | None], scene: Scene, _: FaultChoice) -> Hit | None:
    proxy = proxy_of(scene)
    connections = proxy.reset() if proxy is not None else 0
    return Hit(_several(connections)) if connections else None


def _fill_tables(scene: Scene, choice: FaultChoice) -> Hit | None:
    return None if scene.disks is None else _fill(scene.disks.tables, choice)


def _fill_rejects(scene: Scene, choice: FaultChoice) -> Hit | None:
    return None if scene.disks is None else _fill(scene.disks.rejects, choice)


def _fill(disk: SmallDisk, _: FaultChoice) -> Hit:
    disk.fill()
    return Hit(f"disk of the {disk.folder.name}", disk.free, hold_s=FULL_S)


def _kill_dask_worker(scene: Scene, choice: FaultChoice) -> Hit | None:
    """Kill a worker, which its nanny starts again."""
    workers = scene.cluster.worker_pids() if scene.cluster is not None else []
    pid = pick_target(choice.victim, workers)
    return None if pid is None else _kill(pid, "Dask worker")


def _kill_dask_scheduler(scene: Scene, choice: FaultChoice) -> Hit | None:
    """Kill the scheduler; it is started again a moment later, with new workers."""
    if scene.cluster is None:
        return None
    pid = scene.cluster.kill_scheduler()
    return Hit(f"Dask scheduler pid {pid}", scene.cluster.restart, choice.hold_s)


def _fail_store(scene: Scene, _: FaultChoice) -> Hit | None:
    """Make the store answer with status 500, if a client is connected to it."""
    if scene.store is None or not (connections := scene.store.proxy.connections):
        return None
    scene.store.fail()
    return Hit(_several(connections), scene.store.recover, STORE_FAILS_S)


def _kill(pid: int, what: str) -> Hit | None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:  # it has ended since
        return None
    return Hit(f"{what} pid {pid}")


def _several(connections: int) -> str:
    return f"{connections} connection{'' if connections == 1 else 's'}"


# A killed restorer is the most common fault in practice; signals and lost connections have several
# code paths.
KINDS: dict[str, FaultKind] = {
    "restorer-sigkill": FaultKind(3, functools.partial(_to_restorer, signal.SIGKILL)),
    "restorer-sigterm": FaultKind(2, functools.partial(_to_restorer, signal.SIGTERM)),
    "restorer-sigint": FaultKind(2, functools.partial(_to_restorer, signal.SIGINT)),
    "session-terminated": FaultKind(2, _terminate_session),
    "session-sigkill": FaultKind(1, _kill_session),
    "server-stopped": FaultKind(1, _stop_server),
    "server-killed": FaultKind(1, _kill_server),
    "connection-stalled": FaultKind(1, functools.partial(_interrupt, _to_server, Proxy.stall)),
    "connection-reset": FaultKind(2, functools.partial(_reset, _to_server)),
    "network-down": FaultKind(1, functools.partial(_interrupt, _to_server, Proxy.take_down)),
    "disk-full-tables": FaultKind(1, _fill_tables, needs_disks=True),
    "disk-full-rejects": FaultKind(1, _fill_rejects, needs_disks=True),
    "dask-worker-sigkill": FaultKind(4, _kill_dask_worker, needs_cluster=True),
    "dask-scheduler-sigkill": FaultKind(2, _kill_dask_scheduler, needs_cluster=True),
    "store-stalled": FaultKind(
        1, functools.partial(_interrupt, _to_store, Proxy.stall), needs_store=True
    ),
    "store-reset": FaultKind(1, functools.partial(_reset, _to_store), needs_store=True),
    "store-500": FaultKind(2, _fail_store, needs_store=True),
}


def possible_kinds(executor: str) -> tuple[str, ...]:
    """Return the kinds of fault that a restore by this executor can suffer."""
    return tuple(
        name for name, kind in KINDS.items() if executor == "dask" or not kind.needs_cluster
    )


def default_kinds(executor: str) -> tuple[str, ...]:
    """Return those to choose from if none is named: threads then read the backup's own files."""
    return tuple(
        name
        for name in possible_kinds(executor)
        if executor == "dask" or not KINDS[name].needs_store
    )
