"""Makes the blocks of a dataset by the workers of a Dask cluster, and yields them in order.

A worker is sent the dataset's arguments and a block's number, and plans the dataset itself, once.
The blocks come back here, where they are written: the bytes are those of local processes.
"""

from __future__ import annotations

import contextlib
import re
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.generate.block import blocks, make_piece
from harness.generate.plan import fingerprint, make_plan
from harness.generate.scenario import load_scenario
from harness.model.errors import HarnessError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client, Future

    from harness.generate.block import Piece
    from harness.generate.column import Block
    from harness.generate.plan import Plan
    from harness.generate.scenario import Table
    from harness.generate.spec import DatasetSpec

_ADDRESS = re.compile(r"(dask|tls)://([^/@\s]+:\d+)")
_CONNECT_S = 10.0
_WORKERS_S = 30.0
#: Blocks on their way per thread of the cluster, so that it need not wait for the writer.
_AHEAD = 2


def scheduler_address(executor: str) -> str:
    """Return the address of a scheduler as Dask writes it.

    Raises:
        InputError: It is none.
    """
    match = _ADDRESS.fullmatch(executor)
    if match is None:
        raise InputError(f"--executor {executor!r}: write dask://HOST:PORT or tls://HOST:PORT")
    return f"{'tls' if match[1] == 'tls' else 'tcp'}://{match[2]}"


@contextlib.contextmanager
def cluster_pieces(plan: Plan, executor: str) -> Iterator[Iterator[Piece]]:
    """Yield the pieces of all blocks, in order, made by a Dask cluster.

    Raises:
        InputError: Dask is not installed, or the address is none.
        HarnessError: The cluster does not answer, or a block could not be made.
    """
    address = scheduler_address(executor)
    try:
        from distributed import Client  # noqa: PLC0415 - the base install has no Dask
    except ImportError as error:
        raise InputError(
            "--executor needs Dask, which is not installed: pip install 'restorebench[dask]', here"
            " and where the workers run"
        ) from error
    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise HarnessError(
            f"the Dask scheduler at {address} does not answer: {' '.join(str(error).split())};"
            " start it with `dask scheduler`, or check the address"
        ) from error
    with client:
        yield _in_order(client, plan)


def _in_order(client: Client, plan: Plan) -> Iterator[Piece]:
    try:
        client.wait_for_workers(1, timeout=_WORKERS_S)
    except TimeoutError as error:
        raise HarnessError(
            "the Dask cluster has no workers: start some with `dask worker`"
        ) from error
    ahead = _AHEAD * sum(client.nthreads().values())
    waiting: deque[Future[Piece]] = deque()
    code = fingerprint(plan.spec, plan.scenario)
    for number, _ in enumerate(blocks(plan)):
        waiting.append(client.submit(make_block, plan.spec, number, code, pure=False))
        if len(waiting) >= ahead:
            yield _result(waiting.popleft())
    while waiting:
        yield _result(waiting.popleft())


def _result(future: Future[Piece]) -> Piece:
    try:
        piece: Piece = future.result()
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise HarnessError(f"a worker could not make a block: {why}") from error
    return piece


def make_block(spec: DatasetSpec, number: int, code: str) -> Piece:
    """Make one block of a dataset, by its number. Called by Dask in a worker.

    Raises:
        HarnessError: The worker has another version of the generator than ``code``.
    """
    plan, every, own_code = _planned(spec)
    if own_code != code:
        raise HarnessError("it has another version of restorebench, or of the scenario")
    return make_piece(plan, *every[number])


@lru_cache(maxsize=2)
def _planned(spec: DatasetSpec) -> tuple[Plan, list[tuple[Table, Block]], str]:
    plan = make_plan(spec, load_scenario(spec.scenario))
    return plan, list(blocks(plan)), fingerprint(spec, plan.scenario)
