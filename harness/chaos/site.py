"""The surroundings of a campaign: server, proxy, small disks, expected state."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.chaos import checks, disk, target
from harness.chaos.dask_cluster import DaskCluster
from harness.chaos.disk import NoDiskError
from harness.chaos.faults import KINDS, Disks
from harness.chaos.proxy import Proxy
from harness.chaos.store import ENV, Store
from harness.engines import registry as engines
from harness.model import manifest
from harness.servers import open_restarting_server
from harness.trial import baseline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.chaos.checks import ExpectedState
    from harness.chaos.options import ChaosOptions
    from harness.chaos.target import Target
    from harness.servers import RunningServer
    from harness.trial.stop import StopListener

    Announce = Callable[[str], None]

# How long a killed server is down, much as under a service manager.
RESTART_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Site:
    """What all cycles share.

    Attributes:
        folder: for logs and, without small disks, rejects.
        env: the environment of the engine.
        expected: the state that a restored database must have.
        undisturbed_s: duration of a restore without faults; 0 until it is known.
    """

    options: ChaosOptions
    backup: Path
    server: RunningServer
    target: Target
    proxy: Proxy
    disks: Disks | None
    folder: Path
    env: dict[str, str]
    expected: ExpectedState
    stop: StopListener
    announce: Announce
    cluster: DaskCluster | None = None
    store: Store | None = None
    undisturbed_s: float = 0.0

    @property
    def source(self) -> str:
        """Return the backup's URL in the store, or its folder."""
        return self.store.url if self.store else str(self.backup.resolve())

    def rejects(self, cycle: int) -> Path:
        """Return the folder for the rejects of a cycle."""
        return (self.disks.rejects.folder if self.disks else self.folder) / f"rejects-{cycle}"

    def log(self, cycle: int) -> Path:
        """Return the file for the restorer's output in a cycle."""
        return self.folder / f"restorer-{cycle}.log"


@contextlib.contextmanager
def prepare(
    options: ChaosOptions, backup: Path, stop: StopListener, announce: Announce
) -> Iterator[tuple[Site, dict[str, str]]]:
    """Set up a campaign, and report which kinds of fault are not available, and why."""
    with contextlib.ExitStack() as stack:
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="restorebench-", ignore_cleanup_errors=True)
            )
        )
        folder.chmod(0o711)  # the server's user must reach its small disk
        disks, why_not = _disks(options, folder, stack)
        server = stack.enter_context(open_restarting_server(RESTART_AFTER_S, announce=announce))
        aimed = target.make_target(server, stop.check)
        if disks is not None:
            aimed.use(disks.tables)
        proxy = stack.enter_context(Proxy(aimed.socket).serving())
        database = aimed.make((backup / manifest.SCHEMA_SQL).read_text(encoding="utf-8"))
        expected = _expected(backup, aimed, database)
        aimed.drop(database)
        env = engines.environment(server.env) | ENV
        cluster = None
        if options.executor == "dask":
            cluster = DaskCluster(folder, env, options.jobs, stop.check)
            stack.enter_context(cluster.serving())
        store = None
        if options.reads_from_store:
            store = Store(backup, folder / "store")
            stack.enter_context(store.serving())
        left_out = {kind: why_not for kind in options.kinds if why_not and KINDS[kind].needs_disks}
        for kind, why in left_out.items():
            announce(f"not available: {kind}: {why}")
        site = Site(
            options=options,
            backup=backup,
            server=server,
            target=aimed,
            proxy=proxy,
            disks=disks,
            folder=folder,
            env=env,
            expected=expected,
            stop=stop,
            announce=announce,
            cluster=cluster,
            store=store,
        )
        yield site, left_out


def _expected(dataset: Path, aimed: Target, empty: str) -> ExpectedState:
    """Return what a restore must come to, from the ground truth and an empty database."""
    truth = manifest.load(dataset)
    with aimed.connect(empty) as connection:
        return checks.ExpectedState(dataset, truth, baseline.take(connection, truth, owned=True))


def _disks(
    options: ChaosOptions, folder: Path, stack: contextlib.ExitStack
) -> tuple[Disks | None, str | None]:
    """Mount the small disks if a kind needs them; return why they are not available."""
    if not any(KINDS[kind].needs_disks for kind in options.kinds):
        return None, None
    try:
        disk.separate()
        mounted = []
        for name in ("tables", "rejects"):
            mounted.append(disk.mount(folder / name))
            stack.callback(disk.unmount, mounted[-1])
    except NoDiskError as error:
        return None, str(error)
    return Disks(*mounted), None
