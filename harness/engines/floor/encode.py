"""Encodes a dataset for the engine ``floor``: its rows as the server itself writes them.

``python -m harness.engines.floor.encode DATASET --dsn DSN --out FOLDER`` copies the tables of a
database in which the dataset was restored, in the server's binary format.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg import sql

from harness.engines.floor import encoded
from harness.model import manifest
from harness.model.errors import ExitCode, HarnessError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    Connection = psycopg.Connection[Any]

# Since this version the server scans the pages of a range alone. Before, it reads the whole table
# for each part, so that there must be few.
_TID_RANGE_SCAN = 140_000
_FEW_PARTS = 8

# Synchronized and parallel scans would change the order of the rows.
_IN_ORDER = "SET synchronize_seqscans = off; SET max_parallel_workers_per_gather = 0"
_TABLE = """
    SELECT n.nspname, c.relname, pg_relation_size(c.oid) / current_setting('block_size')::int,
        pg_table_size(c.oid),
        ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid
            AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s
"""
# The header of a binary COPY file, its trailer, and nothing between.
_NO_ROW_BYTES = 21


class _StoredTable(NamedTuple):
    """A table as it is stored in the database."""

    schema: str
    name: str
    pages: int
    bytes: int
    columns: list[str]


def copy_out(connection: Connection, names: Iterable[tuple[str, str]], folder: Path) -> None:
    """Copy tables out to a folder, and write its index.

    Args:
        connection: the database in which the dataset was restored.
        names: the schema and name of each table.
        folder: the folder, empty.

    Raises:
        InputError: a table is not there.
        OSError: a file cannot be written.
    """
    connection.execute(_IN_ORDER)
    tables = []
    for number, name in enumerate(names):
        row = connection.execute(_TABLE, name).fetchone()
        if row is None:
            raise InputError(f"the database has no table {'.'.join(name)}")
        stored = _StoredTable(*row)
        tables.append(
            encoded.Table(
                schema=stored.schema,
                table=stored.name,
                columns=tuple(stored.columns),
                parts=tuple(_copy_parts(connection, stored, folder, f"{number:03}")),
            )
        )
    encoded.save(folder, encoded.Encoded(tables=tuple(tables)))


def _copy_parts(
    connection: Connection, stored: _StoredTable, folder: Path, stem: str
) -> list[encoded.Part]:
    """Copy a table out in parts, split between its pages; an empty table has none."""
    parts = -(-stored.bytes // encoded.PART_BYTES)
    if connection.info.server_version < _TID_RANGE_SCAN:
        parts = min(parts, _FEW_PARTS)
    step = -(-stored.pages // max(parts, 1))
    made = []
    for number, first in enumerate(range(0, stored.pages, max(step, 1))):
        path = folder / f"{stem}-{number:05}.copy"
        query = sql.SQL(
            "COPY (SELECT {columns} FROM ONLY {table} WHERE ctid >= {first} AND ctid < {end})"
            " TO STDOUT (FORMAT binary)"
        ).format(
            columns=sql.SQL(", ").join(map(sql.Identifier, stored.columns)),
            table=sql.Identifier(stored.schema, stored.name),
            first=sql.Literal(f"({first},0)"),
            end=sql.Literal(f"({first + step},0)"),
        )
        with connection.cursor().copy(query) as copy, path.open("wb") as file:
            for data in copy:
                file.write(data)
        size = path.stat().st_size
        if size > _NO_ROW_BYTES:
            made.append(encoded.Part(path.name, size))
        else:
            path.unlink()
    return made


def main() -> int:
    """Encode a dataset, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m harness.engines.floor.encode")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    try:
        truth = manifest.load(options.dataset)
        with psycopg.connect(options.dsn) as connection:
            copy_out(connection, [table.name for table in truth.tables], options.out)
    except HarnessError as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return error.exit_code
    except (psycopg.Error, OSError) as error:
        sys.stderr.write(f"{parser.prog}: {' '.join(str(error).split())}\n")
        return ExitCode.FAILED
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
