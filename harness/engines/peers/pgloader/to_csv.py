"""A table's file as CSV: reads the array of records as a stream.

pgloader reads no JSON. An unquoted nothing is NULL to it, and ``""`` an empty text. Bytes and
arrays are written as PostgreSQL reads them, and times as they are: the server reads those.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ijson

from harness.engines.shared.command import opened
from harness.engines.shared.database import columns_of, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def main(dsn: str, table: str, file: str) -> None:
    """Write the records of a table's file."""
    with connect(dsn) as connection:
        columns = columns_of(connection, table)
    with opened(Path(file)) as stream:
        records = ijson.items(stream, "item", use_float=True)
        sys.stdout.buffer.writelines(lines(records, columns))


def lines(records: Iterator[dict[str, Any]], columns: dict[str, str]) -> Iterator[bytes]:
    """Yield the records as lines of CSV, their fields in the order of the columns."""
    converters = [(name, CONVERT.get(kind, text)) for name, kind in columns.items()]
    for record in records:
        fields = (
            "" if (value := record.get(name)) is None else quoted(convert(value))
            for name, convert in converters
        )
        yield (",".join(fields) + "\n").encode()


def quoted(field: str) -> str:
    """Quote a field."""
    return '"' + field.replace('"', '""') + '"'


def text(value: object) -> str:
    """Return a text as it is, and other values as JSON."""
    return value if isinstance(value, str) else _JSON(value)


def bytes_of(value: object) -> str:
    """Return base64 as PostgreSQL reads bytes, and other values for it to refuse."""
    try:
        return "\\x" + base64.b64decode(str(value), validate=True).hex()
    except ValueError:
        return text(value)


def array(value: object) -> str:
    """Return an array of texts as PostgreSQL reads it, and other values for it to refuse."""
    if not isinstance(value, list):
        return text(value)
    return "{" + ",".join("NULL" if item is None else element(text(item)) for item in value) + "}"


def element(item: str) -> str:
    """Quote an element of an array."""
    return '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'


CONVERT: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(("json", "jsonb"), _JSON),
    "_text": array,
    "bytea": bytes_of,
}


if __name__ == "__main__":
    main(*sys.argv[1:])
