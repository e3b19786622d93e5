"""dlt: a pipeline into a dataset of its own, from which SQL moves the rows to their tables.

Each file is a resource, parsed as a whole by dlt's own parser; the types of its columns are hints
that follow the target's catalog. Bytes are decoded here: dlt reads base64 as well, but takes what
begins with "0x" for hexadecimal digits. dlt writes what it extracts, and what it makes of that, to
files in a temporary folder, and loads those with INSERT. It has no types for UUIDs, enums and
arrays, makes tables of its own, and loads them in any order: so the rows are moved.
"""

from __future__ import annotations

import base64
import os
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import dlt
from dlt.common import json
from dlt.destinations import postgres
from dlt.destinations.impl.postgres.configuration import PostgresCredentials
from dlt.pipeline.exceptions import PipelineStepFailed

from harness.engines.shared import staging
from harness.engines.shared.command import Files, main, opened
from harness.engines.shared.database import columns_of, connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What dlt calls the types of columns; others are text.
TYPES = {
    **dict.fromkeys(("int2", "int4", "int8"), "bigint"),
    **dict.fromkeys(("float4", "float8"), "double"),
    **dict.fromkeys(("json", "jsonb", "_text"), "json"),
    **dict.fromkeys(("timestamp", "timestamptz"), "timestamp"),
    "bool": "bool",
    "bytea": "binary",
    "date": "date",
    "numeric": "decimal",
}
# An array comes as a document.
VALUES = {
    "_text": "CASE WHEN {0} IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text({0})) END"
}
# Without this, dlt gives a value of another type a column of its own, and the record a NULL.
CONTRACT = {"columns": "freeze", "data_type": "freeze"}


def restore(dsn: str, files: Files, read: dict[str, int]) -> None:
    """Load all files into the staging dataset, then move the rows."""
    with connect(dsn) as connection:
        hints = {table: hints_of(columns_of(connection, table)) for table in files}
    resources = [
        dlt.resource(
            records(table, file, hints[table], read),
            name=table,
            columns=hints[table],
            schema_contract=CONTRACT,
        )
        for table, file in files.items()
    ]
    with staging.dropped_afterwards(dsn):
        run(postgres(credentials(dsn), naming_convention="direct"), resources)
        staging.move(dsn, files, VALUES)


def hints_of(columns: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return the hints for columns, given their types."""
    return {
        name: {"data_type": TYPES.get(kind, "text"), "timezone": kind != "timestamp"}
        for name, kind in columns.items()
    }


def run(destination: postgres, resources: list[Any], **options: str) -> None:
    """Run a pipeline into the staging dataset, its files in a temporary folder.

    Raises:
        Exception: the cause of a failure; dlt's own error begins with no more than the step.
    """
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            "restore",
            pipelines_dir=folder,
            destination=destination,
            dataset_name=staging.SCHEMA,
        )
        try:
            pipeline.run(resources, **options)
        except PipelineStepFailed as error:
            raise error.exception from None


def credentials(dsn: str) -> PostgresCredentials:
    """Return what dlt connects with: it asks for a host even where libpq takes a socket."""
    found = PostgresCredentials(dsn)
    found.host = found.host or "localhost"
    found.password = found.password or os.environ.get("PGPASSWORD", "")
    return found


def records(
    table: str, file: Path, hints: dict[str, dict[str, Any]], read: dict[str, int]
) -> Iterator[list[dict[str, Any]]]:
    """Yield the records of a file, their bytes decoded."""
    with opened(file) as stream:
        found = json.load(stream)
    read[table] = len(found)
    for column in (name for name, hint in hints.items() if hint["data_type"] == "binary"):
        for record in found:
            if record.get(column) is not None:
                record[column] = base64.b64decode(record[column])
    yield found


if __name__ == "__main__":
    sys.exit(main(restore, "dlt"))
