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
    from harness.chaos.disk import SmallDisk
    from harness.chaos.restorer import Restorer
    from harness.chaos.target import Target

    Fault = Callable[["Scene", FaultChoice], "Hit | None"]


# A disk stays full until the restorer gives up, or this long: it need not write at once.
FULL_S = 10.0


@dataclass(frozen=True, slots=True)
class Disks:
    """The small disks of a campaign: one for the server's tables, one for the rejects."""

    tables: SmallDisk
    rejects: SmallDisk


@dataclass(frozen=True, slots=True)
class Scene:
    """The possible targets of a fault. ``disks`` is None if they are not available."""

    target: Target
    proxy: Proxy
    disks: Disks | None
    database: str
    restorer: Restorer


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


def _interrupt(
    interruption: Callable[[Proxy], object], scene: Scene, choice: FaultChoice
) -> Hit | None:
    """Interrupt all connections until the proxy forwards again."""
    connections = scene.proxy.connections
    if not connections:
        return None
    interruption(scene.proxy)
    return Hit(f"{_several(connections)}, {choice.hold_s:.1f} s", scene.proxy.flow, choice.hold_s)


def _reset(scene: Scene, _: FaultChoice) -> Hit | None:
    connections = scene.proxy.reset()
    return Hit(_several(connections)) if connections else None


def _fill_tables(scene: Scene, choice: FaultChoice) -> Hit | None:
    return None if scene.disks is None else _fill(scene.disks.tables, choice)


def _fill_rejects(scene: Scene, choice: FaultChoice) -> Hit | None:
    return None if scene.disks is None else _fill(scene.disks.rejects, choice)


def _fill(disk: SmallDisk, _: FaultChoice) -> Hit:
    disk.fill()
    return Hit(f"disk of the {disk.folder.name}", disk.free, hold_s=FULL_S)


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
    "connection-stalled": FaultKind(1, functools.partial(_interrupt, Proxy.stall)),
    "connection-reset": FaultKind(2, _reset),
    "network-down": FaultKind(1, functools.partial(_interrupt, Proxy.take_down)),
    "disk-full-tables": FaultKind(1, _fill_tables, needs_disks=True),
    "disk-full-rejects": FaultKind(1, _fill_rejects, needs_disks=True),
}
