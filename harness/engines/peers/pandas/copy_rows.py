"""pandas with the COPY of its own documentation: a function that to_sql calls for each chunk.

The function is that of "Insertion method" in pandas' user guide
(https://pandas.pydata.org/docs/user_guide/io.html#io-sql-method), which writes CSV into memory.
What CSV has no form for is text as PostgreSQL reads it. The function writes NULL and an empty text
alike, so an empty text would be lost.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
from typing import TYPE_CHECKING, Any

from harness.engines.peers.pandas.load import CHUNK, convert, load
from harness.engines.shared.command import Files, main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pandas as pd
    import sqlalchemy
    from pandas.io.sql import SQLTable


def restore(dsn: str, files: Files, read: dict[str, int]) -> None:
    """Copy all tables, parents first, in one transaction."""
    load(dsn, files, read, copy)


def copy(
    frame: pd.DataFrame, table: str, columns: Mapping[str, str], target: sqlalchemy.Connection
) -> None:
    """Copy a frame."""
    for name, kind in columns.items():
        if kind in TEXTS:
            convert(frame, name, TEXTS[kind])
    frame.to_sql(
        table, target, if_exists="append", index=False, chunksize=CHUNK, method=psql_insert_copy
    )


def psql_insert_copy(
    table: SQLTable,
    connection: sqlalchemy.Connection,
    names: list[str],
    rows: Iterable[tuple[object, ...]],
) -> None:
    """Copy a chunk of rows as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    text.seek(0)
    columns = ", ".join(f'"{name}"' for name in names)
    with contextlib.closing(connection.connection.cursor()) as cursor:
        cursor.copy_expert(f'COPY "{table.name}" ({columns}) FROM STDIN WITH CSV', text)


def array(items: list[str]) -> str:
    """Return an array as PostgreSQL reads it."""
    escaped = (item.replace("\\", r"\\").replace('"', r"\"") for item in items)
    return "{" + ",".join(f'"{item}"' for item in escaped) + "}"


def hexadecimal(data: bytes) -> str:
    """Return bytes as PostgreSQL reads them."""
    return "\\x" + data.hex()


TEXTS: dict[str, Callable[[Any], str]] = {
    "bytea": hexadecimal,
    "jsonb": json.dumps,
    "_text": array,
}

if __name__ == "__main__":
    sys.exit(main(restore, "pandas-copy"))
