"""Measures what reading and decoding a backup's records cost the restorer, per record.

``python -m restore.tests.load.client_rates BACKUP --dsn DSN`` prints them as JSON, for ``python -m
harness scale --measure``. Only files whose tables are there count; nothing is written.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from restore.decode.convert import Converter
from restore.decode.shapes import ShapeLearner
from restore.options import DEFAULT_CHUNK_BYTES
from restore.source.discovery import find_backup
from restore.source.reader import Batch, Reader
from restore.target.catalog import read_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

    from restore.source.table_file import TableFile
    from restore.target.catalog import Table

ROUNDS = 3


def rates_of(backup: Path, conn: psycopg.Connection) -> dict[str, float]:
    """Return the records, and the processor time of reading and of decoding one of them.

    Args:
        backup: the folder of the backup.
        conn: a connection to a database with its tables in schema public.
    """
    records, read_s, decode_s = 0, 0.0, 0.0
    for file in find_backup(backup).files:
        [(oid,)] = conn.execute("SELECT to_regclass(%s)::oid::bigint", [f'public."{file.table}"'])
        if oid is None:
            continue
        table = read_tables(conn, [oid])[oid]
        cut_s, _ = min(_read(file, lambda _: range(1)) for _ in range(ROUNDS))
        both_s, found = min(_read(file, _decoder(table)) for _ in range(ROUNDS))
        records, read_s, decode_s = records + found, read_s + cut_s, decode_s + both_s - cut_s
    if not records:
        raise SystemExit("the database has no table of the backup: apply its schema first")
    return {"records": records, "read_s": read_s / records, "decode_s": decode_s / records}


def _decoder(table: Table) -> Callable[[bytes], Sized]:
    return ShapeLearner(table, Converter()).decode


def _read(file: TableFile, decode: Callable[[bytes], Sized]) -> tuple[float, int]:
    """Read a file to its end; return the processor time, and the records that were decoded."""
    started_s, records = time.process_time(), 0
    with contextlib.closing(file.open()) as stream:
        for found in Reader(stream, DEFAULT_CHUNK_BYTES, decode):
            records += found.count if isinstance(found, Batch) else 0
    return time.process_time() - started_s, records


def main() -> None:
    """Print the rates."""
    parser = argparse.ArgumentParser(prog="python -m restore.tests.load.client_rates")
    parser.add_argument("backup", type=Path)
    parser.add_argument("--dsn", required=True)
    given = parser.parse_args()
    with psycopg.connect(given.dsn) as conn:
        print(json.dumps(rates_of(given.backup, conn)))  # noqa: T201 - its output


if __name__ == "__main__":
    main()
