"""Sling with JSON lines from named pipes, over several processes, and without temporary tables.

Sling decodes an array as a whole, and JSON lines as a stream. So a small program unwraps the
arrays, as people do it with ``jq -c '.[]'``, and Sling reads its named pipes. A replication loads
one stream after another, so there are several, each with its share of the files. With
``SLING_DIRECT_INSERT``, Sling writes to the staging table without a temporary one before it. Keys
and indexes of the tables are dropped until all rows are moved.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.engines.peers.sling.load import VALUES, counts, replicate
from harness.engines.shared import staging
from harness.engines.shared.command import Files, parallel_main
from harness.engines.shared.constraints import drop
from harness.engines.shared.database import connect

_TO_LINES = (sys.executable, "-P", "-m", "harness.engines.peers.sling.to_lines")
_SETTINGS = {"SLING_DIRECT_INSERT": "true", "SLING_LOADED_AT_COLUMN": "false"}


def restore(dsn: str, files: Files, read: dict[str, int], *, jobs: int) -> None:
    """Load the files into the staging schema, then move the rows."""
    with staging.dropped_afterwards(dsn):
        with connect(dsn) as connection:
            connection.execute(f"CREATE SCHEMA {staging.SCHEMA}")
        with ThreadPoolExecutor(jobs) as pool:
            for _ in pool.map(functools.partial(load, dsn), shares(files, jobs)):
                pass
        read.update(counts(dsn, files))
        staging.move(dsn, read, VALUES, drop)


def shares(files: Files, jobs: int) -> list[Files]:
    """Divide files into shares of about the same size."""
    sizes = {table: file.stat().st_size for table, file in files.items()}
    divided: list[Files] = [{} for _ in range(min(jobs, len(files)))]
    for table in sorted(sizes, key=lambda table: -sizes[table]):
        smallest = min(divided, key=lambda share: sum(sizes[table] for table in share))
        smallest[table] = files[table]
    return divided


def load(dsn: str, files: Files) -> None:
    """Load files through pipes into their staging tables.

    Raises:
        RuntimeError: Sling fails, or a file cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        pipes = {table: Path(folder, f"{table}.jsonl") for table in files}
        for pipe in pipes.values():
            os.mkfifo(pipe)
        pairs = (str(path) for table in files for path in (files[table], pipes[table]))
        with subprocess.Popen((*_TO_LINES, *pairs)) as lines:  # noqa: S603 - no shell
            try:
                replicate(dsn, pipes, _SETTINGS, lines)
            except BaseException:
                lines.terminate()  # it may wait for a reader
                raise
    if lines.returncode != 0:
        raise RuntimeError("a file cannot be read")


if __name__ == "__main__":
    sys.exit(parallel_main(restore, "sling-tuned"))
