"""pandas: read_json into a DataFrame, and to_sql into the existing table.

A file that is an array is read as a whole: read_json can read only lines in chunks. It guesses no
types (``dtype``, ``convert_dates``), and parses numbers exactly (``precise_float``). What the
target's types need is done with the frame: base64 is decoded, and whole numbers with nulls among
them, which pandas reads as floats, are Int64. Documents and arrays are named to to_sql
(``dtype``). All tables are loaded in one transaction; indexes and foreign keys stay.
"""

from __future__ import annotations

import base64
import sys
from typing import TYPE_CHECKING, Any

import pandas as pd
import psycopg2
import sqlalchemy
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from harness.engines.shared.command import Files, main
from harness.engines.shared.database import columns_of, connect, parents_first, set_sequences

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Write = Callable[[pd.DataFrame, str, Mapping[str, str], sqlalchemy.Connection], None]

CHUNK = 10_000  # rows of a frame that to_sql turns into Python's objects at a time
INTEGERS = frozenset({"int2", "int4", "int8"})
TYPES = {"jsonb": JSONB(none_as_null=True), "_text": ARRAY(sqlalchemy.Text)}


def restore(dsn: str, files: Files, read: dict[str, int]) -> None:
    """Insert all tables, parents first, in one transaction."""
    load(dsn, files, read, insert)


def load(dsn: str, files: Files, read: dict[str, int], write: Write) -> None:
    """Read each file, and write it to its table."""
    with connect(dsn) as connection:
        tables = parents_first(connection, files)
        columns = {table: columns_of(connection, table) for table in tables}
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg2://", creator=lambda: psycopg2.connect(dsn)
    )
    with engine.begin() as target:
        for table in tables:
            frame = frame_of(files[table], columns[table])
            read[table] = len(frame)
            write(frame, table, columns[table], target)
    with connect(dsn) as connection:
        set_sequences(connection, tables)


def frame_of(file: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """Read a file."""
    frame = pd.read_json(file, dtype=False, convert_dates=False, precise_float=True)
    for name, kind in columns.items():
        if kind in INTEGERS and frame[name].dtype == "float64":
            frame[name] = frame[name].astype("Int64")
        elif kind == "bytea":
            convert(frame, name, base64.b64decode)
    return frame


def convert(frame: pd.DataFrame, name: str, function: Callable[[Any], Any]) -> None:
    """Convert the values of a column but for nulls."""
    frame[name] = frame[name].astype(object).map(function, na_action="ignore")


def insert(
    frame: pd.DataFrame, table: str, columns: Mapping[str, str], target: sqlalchemy.Connection
) -> None:
    """Insert a frame by SQLAlchemy's executemany, to_sql's default."""
    types = types_of(columns)
    frame.to_sql(table, target, if_exists="append", index=False, chunksize=CHUNK, dtype=types)


def types_of(columns: Mapping[str, str]) -> dict[str, Any]:
    """Return the types of columns that to_sql cannot tell from a frame."""
    return {name: TYPES[kind] for name, kind in columns.items() if kind in TYPES}


if __name__ == "__main__":
    sys.exit(main(restore, "pandas"))
