"""pgloader with ``drop indexes``, several tables at a time.

pgloader drops the indexes of a table before its load and builds them all at once after it; but
where foreign keys refer to a table, that fails and pgloader loads nothing. So SQL drops foreign
keys first, and recreates them at the end, which checks them.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from harness.engines.peers.pgloader.load import load
from harness.engines.shared.command import Files, parallel_main
from harness.engines.shared.constraints import drop_foreign_keys
from harness.engines.shared.database import connect, set_sequences


def restore(dsn: str, files: Files, read: dict[str, int], *, jobs: int) -> None:
    """Drop foreign keys, load all tables, largest first, and recreate the keys."""
    with connect(dsn) as connection:
        recreate = drop_foreign_keys(connection, list(files))
    order = sorted(files, key=lambda table: files[table].stat().st_size, reverse=True)
    with ThreadPoolExecutor(jobs) as pool:
        loaded = pool.map(lambda table: load(dsn, table, files[table], "drop indexes"), order)
        read.update(zip(order, loaded, strict=True))
    with connect(dsn) as connection:
        for statement in recreate:
            connection.execute(statement)
        set_sequences(connection, order)


if __name__ == "__main__":
    sys.exit(parallel_main(restore, "pgloader-tuned"))
