"""dlt as its pages on speed advise: Arrow tables in place of records, loaded by COPY.

Records are parsed as the file is read, and handed over in pages of 10,000 as Arrow tables, which
dlt does not normalise: it writes them to Parquet files, which the ADBC driver copies into the
staging dataset over several connections. What Arrow or the driver has no exact type for is text,
which the server casts as it moves the rows, with keys and indexes dropped until all are there.
"""

from __future__ import annotations

import base64
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

import dlt
import ijson
import pyarrow as pa
from dlt.common import json
from dlt.destinations import postgres

from harness.engines.peers.dlt.load import credentials, run
from harness.engines.shared import staging
from harness.engines.shared.command import Files, opened, parallel_main
from harness.engines.shared.constraints import drop
from harness.engines.shared.database import columns_of, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PAGE = 10_000
FILE_ITEMS = 100_000  # so that the files of a large table are loaded in parallel

ARROW = {
    **dict.fromkeys(("int2", "int4"), pa.int64()),
    **dict.fromkeys(("float4", "float8"), pa.float64()),
    "bool": pa.bool_(),
    "bytea": pa.binary(),
}
CONVERT: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("int8", "numeric"), str),
    **dict.fromkeys(("json", "jsonb", "_text"), json.dumps),
    "bytea": base64.b64decode,
}
VALUES = {
    "_text": "CASE WHEN {0} IS NOT NULL"
    " THEN ARRAY(SELECT jsonb_array_elements_text({0}::jsonb)) END",
    "date": "{0}::timestamptz",
    "timestamp": "{0}::timestamptz",
}


def restore(dsn: str, files: Files, read: dict[str, int], *, jobs: int) -> None:
    """Load all files into the staging dataset, then move the rows."""
    dlt.config["load.workers"] = jobs
    dlt.config["data_writer.file_max_items"] = FILE_ITEMS
    dlt.config["data_writer.buffer_max_items"] = PAGE
    with connect(dsn) as connection:
        columns = {table: columns_of(connection, table) for table in files}
    resources = [
        dlt.resource(pages(table, file, columns[table], read), name=table)
        for table, file in files.items()
    ]
    with staging.dropped_afterwards(dsn):
        destination = postgres(credentials(dsn), create_indexes=False, naming_convention="direct")
        run(destination, resources, loader_file_format="parquet")
        staging.move(dsn, files, VALUES, drop)


def pages(
    table: str, file: Path, columns: dict[str, str], read: dict[str, int]
) -> Iterator[pa.Table]:
    """Yield the records of a file as Arrow tables."""
    schema = pa.schema({name: ARROW.get(kind, pa.string()) for name, kind in columns.items()})
    converters = [(name, CONVERT[kind]) for name, kind in columns.items() if kind in CONVERT]
    read[table] = 0
    with opened(file) as stream:
        records = ijson.items(stream, "item", use_float=True)
        while page := list(islice(records, PAGE)):
            for record in page:
                for name, convert in converters:
                    if record.get(name) is not None:
                        record[name] = convert(record[name])
            read[table] += len(page)
            yield pa.Table.from_pylist(page, schema)


if __name__ == "__main__":
    sys.exit(parallel_main(restore, "dlt-tuned"))
