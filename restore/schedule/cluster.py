"""Opens the Dask cluster that loads a restore's shards, and checks that its workers can.

Dask is imported here alone, and in what runs on a worker: the base install has none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from restore.errors import LoadError, SchemaError, UsageError
from restore.journal.store import can_journal
from restore.options import EXECUTOR, MOST_JOBS
from restore.schedule.dask_executor import DaskExecutor
from restore.schedule.dask_worker import Run, check_worker
from restore.startup import load_openssl
from restore.target.dsn import check_dsn, password_of, to_libpq
from restore.target.session_locks import own_session
from restore.version import version

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    import psycopg
    from distributed import Client

    from restore.options import Options
    from restore.schedule.executor import ExecutorFactory
    from restore.source.table_file import TableFile

_CONNECT_S = 10.0
_WORKERS_S = 30.0
# Each worker logs in, and looks at the start of each file.
_ANSWER_S = 60.0
_MISSING = (
    "--executor dask needs Dask: run `python -m pip install 'restorebench[dask]'`, here and where"
    " the workers run"
)
# Parameters of a connection string that no worker is sent.
_SECRET = frozenset({"password", "sslpassword", "oauth_client_secret"})


class Cluster(Struct, frozen=True):
    """The cluster of a restore.

    Args:
        client: the client of its scheduler.
        address: the scheduler's.
        is_local: the restore has started it.
    """

    client: Client
    address: str
    is_local: bool

    def executor(
        self, conn: psycopg.Connection, options: Options, files: Sequence[TableFile]
    ) -> ExecutorFactory:
        """Return what makes the executor, once each worker can log in and read the files.

        Raises:
            SchemaError: the role may not create a journal, which shards loaded elsewhere need.
            LoadError: a worker cannot load, or has another version.
        """
        if not can_journal(conn):
            raise SchemaError(
                "--executor dask notes in the database how far each worker is, for which the role"
                " must be allowed to create a schema there: GRANT CREATE ON DATABASE, or leave the"
                " option out"
            )
        key = secrets.randbits(61) | 1 << 61
        run = Run(
            key=key,
            topic=f"restore-{key}",
            owner=own_session(conn),
            options=replace(options, dsn=_without_secrets(conn, options.dsn), rejects=None),
            is_local=self.is_local,
        )
        self._ask_all(check_worker, run, tuple(files))
        return partial(DaskExecutor, client=self.client, run=run)

    def check_versions(self) -> None:
        """Check that the scheduler, which unpacks tasks, and each worker have this version.

        Raises:
            LoadError: one has another, or none.
        """

        def other_version(expected: str) -> str | None:
            # Sent as it stands here: the worker may have nothing to import it from.
            from importlib import import_module  # noqa: PLC0415

            try:
                found = import_module("restore.version").version()
            except ImportError:
                return f"it has no restorebench, and this is {expected}"
            same = found == expected
            return None if same else f"it has restorebench {found}, and this is {expected}"

        self._ask_all(other_version, version())
        said = self.client.run_on_scheduler(other_version, version())
        if said is not None:
            raise LoadError(f"the scheduler cannot hand shards on: {said}; install the same")

    def _ask_all(self, problem: Callable[..., str | None], *arguments: object) -> None:
        """Ask all workers for a problem; ignore a worker that ends before it answers.

        Raises:
            LoadError: a worker has a problem, or the cluster does not answer.
        """
        from distributed.comm.core import CommClosedError  # noqa: PLC0415 - the base install has no Dask

        async def ask(workers: Collection[str]) -> dict[str, Any]:
            asked = {
                worker: asyncio.create_task(
                    self.client._run(problem, *arguments, workers=[worker], on_error="return")  # noqa: SLF001 - run, for coroutines
                )
                for worker in workers
            }
            _, silent = await asyncio.wait(asked.values(), timeout=_ANSWER_S)
            for task in silent:
                task.cancel()
            late = f"it has not answered for {_ANSWER_S:.0f} s; end it, and start another"
            return {
                worker: late if task in silent else task.result().get(worker)
                for worker, task in asked.items()
            }

        try:
            workers = self.client.scheduler_info(n_workers=-1)["workers"]
            said = self.client.sync(ask, workers) if workers else {}
        except (OSError, ValueError) as error:
            raise LoadError(
                f"the Dask cluster at {self.address} does not answer: {error}"
            ) from error
        for worker, line in said.items():
            if line is not None and not isinstance(line, CommClosedError):
                raise LoadError(f"worker {worker} cannot load: {' '.join(str(line).split())}")


@contextlib.contextmanager
def open_cluster(options: Options) -> Iterator[Cluster]:
    """Connect to the cluster that the options name, or start one, and stop it afterwards.

    Raises:
        UsageError: Dask is not installed.
        LoadError: there is no such cluster, or it has no workers, or workers of another version.
    """
    load_openssl()
    try:
        import distributed  # noqa: F401, PLC0415 - the base install has no Dask

        if options.executor == "dask":
            import cryptography  # noqa: F401, PLC0415 - makes the certificates of its workers
    except ImportError as error:
        raise UsageError(_MISSING) from error
    # What the end of a worker or a scheduler means for the restore, the restore says itself.
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(("distributed", "tornado")):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    match = EXECUTOR.fullmatch(options.executor)
    address = match and match["address"]
    with contextlib.ExitStack() as stack:
        if match is None or address is None:
            cluster = _start(options, stack)
        else:
            scheme = "tls" if match["scheme"] == "tls" else "tcp"
            cluster = _connect(f"{scheme}://{address}", stack)
        cluster.check_versions()
        yield cluster


def with_jobs(options: Options, cluster: Cluster) -> Options:
    """Return the options with as many jobs as the cluster has threads, unless they say how many."""
    if options.jobs is not None or cluster.is_local:
        return options
    return replace(options, jobs=min(MOST_JOBS, sum(cluster.client.nthreads().values())))


def _connect(address: str, stack: contextlib.ExitStack) -> Cluster:
    from distributed import Client  # noqa: PLC0415 - as above

    try:
        client = stack.enter_context(Client(address, timeout=_CONNECT_S, set_as_default=False))
    except (OSError, ValueError, TypeError) as error:
        raise LoadError(
            f"the Dask scheduler at {address} does not answer: {' '.join(str(error).split())};"
            " start it with `dask scheduler`, or check the address"
        ) from error
    try:
        client.wait_for_workers(1, timeout=_WORKERS_S)
    except TimeoutError as error:
        raise LoadError(
            f"the Dask cluster at {address} has no workers: start some with `dask worker {address}`"
        ) from error
    return Cluster(client, address, is_local=False)


def _start(options: Options, stack: contextlib.ExitStack) -> Cluster:
    import dask.config  # noqa: PLC0415 - as above
    from distributed import Client, LocalCluster  # noqa: PLC0415 - as above

    # Dask's scheduler and workers import from their folders first. By default these are in
    # dask-scratch-space in the system's temporary folder, which may belong to another user.
    folder = tempfile.TemporaryDirectory(prefix="restore-", ignore_cleanup_errors=True)
    stack.enter_context(dask.config.set({"temporary-directory": stack.enter_context(folder)}))
    password = password_of(options.dsn)
    # Dask's profiler looks at each thread a hundred times a second, for a dashboard that is off.
    environment = {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
    if password is not None:  # an environment can be read by its user alone
        environment["PGPASSWORD"] = password
    settings: dict[str, Any] = {
        "n_workers": options.processes,
        "threads_per_worker": 1,
        "processes": True,
        "host": "127.0.0.1",
        # Certificates of its own: others on this machine may connect to its port.
        "security": True,
        "dashboard_address": "127.0.0.1:0",
        "scheduler_kwargs": {"dashboard": False},
        "memory_limit": None,
        "silence_logs": logging.CRITICAL,
        "env": environment,
    }
    # In a thread of its own, which no signal interrupts: what is half started cannot be stopped.
    with ThreadPoolExecutor(1, "dask-start") as thread:
        starting = thread.submit(LocalCluster, **settings)
        stack.callback(lambda: starting.exception() or starting.result().close())
        try:
            started = starting.result()
        except (OSError, RuntimeError) as error:
            raise LoadError(
                f"cannot start workers here: {' '.join(str(error).split())}; load with threads, or"
                " on a cluster that runs already"
            ) from error
    client = stack.enter_context(Client(started, set_as_default=False))
    return Cluster(client, str(started.scheduler_address), is_local=True)


def _without_secrets(conn: psycopg.Connection, dsn: str) -> str:
    """Return the connection string without its secrets."""
    if dsn:
        given = conninfo_to_dict(to_libpq(check_dsn(dsn)))
        return make_conninfo("", **{k: v for k, v in given.items() if k not in _SECRET})
    info = conn.info
    return make_conninfo("", host=info.host, port=info.port, user=info.user, dbname=info.dbname)
