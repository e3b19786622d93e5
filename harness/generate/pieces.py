"""Makes all blocks of a dataset in several processes, or by a cluster; yields them in order.

Each worker is a new ``python -m harness.generate.worker`` that makes every n-th block and writes it
to its standard output. Only a pipe and a short queue are buffered, so memory is constant for any
number of rows; a worker whose parent is gone ends at its next write.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import queue
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from harness.generate.block import Piece, blocks, blocks_of, make_piece
from harness.model.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from harness.generate.plan import Plan

ROOT = Path(__file__).resolve().parents[2]  # makes ``import harness`` find this checkout
#: Queued blocks per worker, so that it need not wait for the others.
AHEAD = 2
#: Below this number of records, starting processes takes longer than making the records.
ALONE_RECORDS = 20_000


def make_pieces(plan: Plan, makers: int | str) -> Generator[Iterator[Piece]]:
    """Yield each table's pieces, in the order of the scenario's tables.

    Each must be read to its end before the next.

    Args:
        plan: The dataset's.
        makers: How many processes, or the Dask cluster, ``dask://host:port``.

    Raises:
        InputError: There is no such cluster.
        HarnessError: A worker exited early.
    """
    counts = [len(blocks_of(plan, table)) for table in plan.scenario.tables]
    with ExitStack() as stack:
        if isinstance(makers, str):
            from harness.generate.cluster import cluster_pieces  # noqa: PLC0415 - few need Dask

            pieces = stack.enter_context(cluster_pieces(plan, makers))
        elif makers == 1 or plan.spec.rows < ALONE_RECORDS:
            pieces = (make_piece(plan, table, block) for table, block in blocks(plan))
        else:
            workers = [stack.enter_context(_worker(plan, n, makers)) for n in range(makers)]
            pieces = (_next(worker) for worker in itertools.cycle(workers))
        for count in counts:
            yield itertools.islice(pieces, count)


@contextmanager
def _worker(plan: Plan, index: int, processes: int) -> Iterator[queue.Queue[Piece | None]]:
    """Start a worker; yield the queue of its pieces, which ends with None."""
    spec = json.dumps(dataclasses.asdict(plan.spec))
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(  # noqa: S603 - our own code, by this interpreter
        [sys.executable, "-P", "-m", "harness.generate.worker", spec, str(index), str(processes)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        process_group=0,  # Ctrl-C is handled by the parent, which ends its workers
    )
    pieces: queue.Queue[Piece | None] = queue.Queue(AHEAD)
    reader = threading.Thread(target=_read, args=(process.stdout, pieces), daemon=True)
    reader.start()
    try:
        yield pieces
    finally:
        process.kill()
        process.wait()
        _drain(pieces, reader)


def _read(stream: IO[bytes], pieces: queue.Queue[Piece | None]) -> None:
    """Read a worker's pieces until it ends, which is queued as None."""
    with stream:
        while (header := stream.readline()).endswith(b"\n"):
            *sizes, damaged = header.split(maxsplit=3)
            records, digests_size, size = map(int, sizes)
            digests, data = stream.read(digests_size), stream.read(size)
            if len(data) < size:
                break
            places = {ordinal: (offset, hash_) for ordinal, (offset, hash_) in json.loads(damaged)}
            pieces.put(Piece(records, digests, places, data))
    pieces.put(None)


def _next(pieces: queue.Queue[Piece | None]) -> Piece:
    piece = pieces.get()
    if piece is None:
        raise HarnessError(
            "a generator process exited early, perhaps for lack of memory; try --processes 1"
        )
    return piece


def _drain(pieces: queue.Queue[Piece | None], reader: threading.Thread) -> None:
    """Drain the queue until the reader of an ended worker has finished."""
    while reader.is_alive():
        try:
            pieces.get(timeout=0.01)
        except queue.Empty:
            continue
