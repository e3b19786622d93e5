"""COPY: the rows of a table as one stream of text, in place of an INSERT for each.

An INSERT is parsed, planned and answered by itself, even if psycopg sends many without waiting. A
COPY is one statement for all rows of a table: the server only reads lines and stores them. It also
reads every type from its text, so most strings of the backup go as they are. What is left to
convert are bytes, documents, and times for columns without a zone. Parsing is that of
``streaming``.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import TYPE_CHECKING, Any

from harness.engines.shared.command import Files, main, opened
from harness.engines.shared.database import (
    Connection,
    columns_of,
    connect,
    copy_statement,
    parents_first,
    set_sequences,
)
from harness.engines.steps.batches import utc
from harness.engines.steps.streaming import records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# What text the server reads for a value, by the column's type; others go as psycopg writes them.
CONVERT: dict[str, Callable[[Any], Any]] = {
    "bytea": base64.b64decode,
    "json": json.dumps,
    "jsonb": json.dumps,
    "timestamp": utc,
}


def restore(dsn: str, files: Files, read: dict[str, int]) -> None:
    """Copy all tables as text, in one transaction."""
    with connect(dsn) as connection:
        for table in parents_first(connection, files):
            read[table] = 0
            copy(connection, table, files[table], read)
        set_sequences(connection, files)


def copy(connection: Connection, table: str, file: Path, read: dict[str, int]) -> None:
    """Copy the records of a file into a table."""
    columns = columns_of(connection, table)
    converters = [(name, CONVERT.get(kind)) for name, kind in columns.items()]
    statement = copy_statement(table, columns)
    with opened(file) as stream, connection.cursor().copy(statement) as rows:
        for record in records(stream):
            if len(record) != len(columns):
                raise ValueError(
                    f"{table}: the fields of a record are not the columns of the table"
                )
            rows.write_row(
                [
                    convert(record[name]) if convert and record[name] is not None else record[name]
                    for name, convert in converters
                ]
            )
            read[table] += 1


if __name__ == "__main__":
    sys.exit(main(restore, "step-copy-text"))
