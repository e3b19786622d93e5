r"""DuckDB as a converter: read_json to CSV, which psql loads with its \copy, through a pipe.

This is the pipeline that people build in a shell, ``duckdb -c "COPY (...) TO '/dev/stdout'" | psql
-c '\copy ... FROM STDIN CSV'``, once for each table, so DuckDB needs no extension to write. In CSV
an unquoted nothing is NULL and ``""`` an empty text, on both sides. Bytes and arrays are written as
PostgreSQL reads them. Each table is a transaction of its own, so indexes and foreign keys, of which
one goes round in a cycle, are dropped first and recreated at the end, as PostgreSQL advises.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from harness.engines.peers.duckdb.load import attached, select
from harness.engines.shared.command import Files, main
from harness.engines.shared.constraints import drop
from harness.engines.shared.database import connect, set_sequences
from harness.engines.shared.shell import literal, quoted

if TYPE_CHECKING:
    import duckdb

_PSQL = os.environ.get("PSQL", "psql")


def restore(dsn: str, files: Files, read: dict[str, int]) -> None:
    """Drop indexes and keys, pipe all tables into psql, and recreate them."""
    with connect(dsn) as connection:
        recreate = drop(connection, list(files))
    try:
        with attached(dsn) as database:
            for table in files:
                read[table] = pipe(database, dsn, table, files)
    except BaseException:
        with connect(dsn) as connection:
            connection.execute(f"TRUNCATE {', '.join(map(quoted, files))}")
        raise
    finally:
        with connect(dsn) as connection:
            for statement in recreate:
                connection.execute(statement)
            set_sequences(connection, files)


def pipe(database: duckdb.DuckDBPyConnection, dsn: str, table: str, files: Files) -> int:
    """Copy a table's records by psql, and return how many they are."""
    copy = f"\\copy {quoted(table)} FROM STDIN (FORMAT csv)"
    command = (_PSQL, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "-c", copy, dsn)
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:  # noqa: S603 - no shell
        count = write(database, table, files, process.stdin.fileno() if process.stdin else -1)
    if process.returncode != 0:
        raise RuntimeError(f"psql failed: table {table}, exit code {process.returncode}")
    return count


def write(database: duckdb.DuckDBPyConnection, table: str, files: Files, descriptor: int) -> int:
    """Write the records of a table's file as CSV, and return how many they are."""
    rows = database.sql(select(database, table, files[table]))
    values = ", ".join(
        rf"'\x' || hex({quoted(name)})" if kind == "BLOB" else quoted(name)
        for name, kind in zip(rows.columns, rows.types, strict=True)
    )
    source = f"SELECT {values} FROM ({rows.sql_query()})"  # noqa: S608 - all quoted
    target = f"{literal(f'/dev/fd/{descriptor}')} (FORMAT csv, HEADER false, USE_TMP_FILE false)"
    [(count,)] = database.execute(f"COPY ({source}) TO {target}").fetchall()
    return int(count)


if __name__ == "__main__":
    sys.exit(main(restore, "duckdb-csv"))
