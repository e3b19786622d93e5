"""DuckDB for a bulk load: indexes and foreign keys are dropped first, and recreated at the end.

An INSERT of DuckDB is one COPY over one connection, that of its transaction
(github.com/duckdb/duckdb-postgres/issues/185), so more threads only read and convert faster. The
rest is PostgreSQL's advice for populating a database: no indexes or foreign keys during the load,
and the tables truncated in its transaction, so that the server need not log their rows. DuckDB's
guide to performance advises not to preserve the order of rows if it does not matter.
"""

from __future__ import annotations

import sys

from harness.engines.peers.duckdb.load import attached, execute, insert
from harness.engines.shared.command import Files, parallel_main
from harness.engines.shared.constraints import drop
from harness.engines.shared.database import connect, set_sequences
from harness.engines.shared.shell import quoted


def restore(dsn: str, files: Files, read: dict[str, int], *, jobs: int) -> None:
    """Drop indexes and keys, insert all tables in one transaction, and recreate them."""
    with connect(dsn) as connection:
        recreate = drop(connection, list(files))
    try:
        with attached(dsn) as database:
            database.execute(f"SET threads = {jobs}")
            database.execute("SET preserve_insertion_order = false")
            database.execute("BEGIN")
            execute(database, f"TRUNCATE {', '.join(map(quoted, files))}")
            insert(database, list(files), files, read)
            database.execute("COMMIT")
    finally:  # if the load failed, the tables are empty
        with connect(dsn) as connection:
            for statement in recreate:
                connection.execute(statement)
            set_sequences(connection, files)


if __name__ == "__main__":
    sys.exit(parallel_main(restore, "duckdb-tuned"))
