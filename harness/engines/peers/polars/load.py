r"""Polars: read_ndjson in batches, and write_database over ADBC into tables of its own.

jq writes each record on a line of its own. What has a type in Polars is read with the schema that
the target's columns give. A document would become a Struct, whose numbers are all of one type
(``28`` would be written as ``28.0``), and read_ndjson does not escape the backslashes of one that
it reads as text: so json_path_match takes documents from the line. ADBC's binary COPY takes no text
for UUIDs, so the rows go to a staging table, from which SQL moves them. Indexes and foreign keys
stay.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from itertools import islice
from typing import IO, TYPE_CHECKING

import adbc_driver_postgresql.dbapi
import polars as pl

from harness.engines.shared import staging
from harness.engines.shared.command import Files, main
from harness.engines.shared.database import columns_of, connect
from harness.engines.shared.shell import lines_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from adbc_driver_postgresql.dbapi import Connection

BATCH = 10_000
LINE = ""  # the name of no column
# The schema of columns for read_ndjson; others are text, which the server casts: instants too,
# as read_ndjson takes several times as long for them as for text.
TYPES = {
    **dict.fromkeys(("int2", "int4"), pl.Int64()),
    **dict.fromkeys(("float4", "float8"), pl.Float64()),
    "_text": pl.List(pl.String),
    "bool": pl.Boolean(),
}


def restore(dsn: str, files: Files, read: dict[str, int]) -> None:
    """Write all files to staging tables, then move the rows."""
    with connect(dsn) as connection:
        columns = {table: columns_of(connection, table) for table in files}
        connection.execute(f"CREATE SCHEMA {staging.SCHEMA}")
    with staging.dropped_afterwards(dsn):
        with adbc_driver_postgresql.dbapi.connect(dsn) as target:
            for table, file in files.items():
                read[table] = write(target, table, file, columns[table])
        staging.move(dsn, files, {})


def write(target: Connection, table: str, file: Path, columns: Mapping[str, str]) -> int:
    """Write the records of a file to a staging table, and return how many they are."""
    schema = {
        name: TYPES.get(kind, pl.String()) for name, kind in columns.items() if kind != "jsonb"
    }
    values = [value(name, kind) for name, kind in columns.items()]
    name = f'{staging.SCHEMA}."{table}"'
    empty = pl.DataFrame(schema={**schema, LINE: pl.String()}).select(values)
    empty.write_database(name, target, if_table_exists="fail", engine="adbc")
    count = 0
    with lines_of(file) as stream:
        while lines := list(islice(stream, BATCH)):
            frame = pl.read_ndjson(io.BytesIO(b"".join(lines)), schema=schema)
            text = pl.Series(LINE, [line.decode() for line in lines])
            batch = frame.with_columns(text).select(values)
            batch.write_database(name, target, if_table_exists="append", engine="adbc")
            count += len(batch)
    return count


def value(name: str, kind: str) -> pl.Expr:
    """Return the expression for a column."""
    column = pl.col(name)
    if kind == "jsonb":
        return pl.col(LINE).str.json_path_match(f"$['{name}']").alias(name)
    return column.str.decode("base64") if kind == "bytea" else column


@contextlib.contextmanager
def lines_of(file: Path) -> Iterator[IO[bytes]]:
    """Run jq on a file, through gzip if it is compressed.

    Raises:
        RuntimeError: jq failed.
    """
    command = ("/bin/sh", "-c", lines_command(file))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 - its own text
        if process.stdout is not None:
            yield process.stdout
    if process.returncode != 0:
        raise RuntimeError(f"jq failed: {file.name}, exit code {process.returncode}")


if __name__ == "__main__":
    sys.exit(main(restore, "polars"))
