"""Typed decoding and binary COPY: each value gets its column's type as it is parsed.

``ijson`` makes a dictionary of strings of each record, which are converted in Python, written as
text and read again by the server. ``msgspec`` decodes a record straight into a ``Struct`` whose
fields have the columns' types: no names, no conversion afterwards. Such values have a binary form
that the server takes without reading text, at about half its cost. As msgspec parses no stream, the
file is cut into chunks at the end of a record.
"""

from __future__ import annotations

import datetime as dt
import decimal
import re
import sys
import uuid
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec
from psycopg.types.json import Jsonb

from harness.engines.shared.command import Files, main, opened
from harness.engines.shared.database import (
    Connection,
    columns_of,
    connect,
    copy_statement,
    parents_first,
    set_sequences,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CHUNK_BYTES = 1 << 18
# Where one record may end and the next begin. Within a record or a string this stands as well.
BETWEEN_RECORDS = re.compile(rb"\}\s*,\s*(?=\{)")

# What a value is decoded as, by the name of its column's type.
DECODED: dict[str, Any] = {
    **dict.fromkeys(("text", "varchar", "bpchar"), str | None),
    **dict.fromkeys(("float4", "float8"), float | None),
    **dict.fromkeys(("int2", "int4"), int | None),
    **dict.fromkeys(("timestamp", "timestamptz"), dt.datetime | None),
    "bool": bool | None,
    "bytea": bytes | None,  # msgspec reads base64
    "date": str | None,  # which JavaScript writes as an instant
    "int8": int | str | None,  # which JavaScript writes as a string
    "jsonb": msgspec.Raw,
    "numeric": decimal.Decimal | None,
    "_text": list[str] | None,
    "uuid": uuid.UUID | None,
}


def document(raw: msgspec.Raw) -> Jsonb | None:
    """Pass a document on as it stands in the file; its null is SQL's NULL."""
    text = bytes(raw)
    return None if text == b"null" else Jsonb(text, dumps=bytes)


def utc(moment: dt.datetime) -> dt.datetime:
    """Return an instant for a column without a time zone, which means UTC."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment


def date(text: str) -> dt.date:
    """Read a date, or the date of an instant."""
    return dt.datetime.fromisoformat(text).date()


CONVERT: dict[str, Callable[[Any], Any]] = {
    "date": date,
    "int8": int,
    "jsonb": document,
    "timestamp": utc,
}


def restore(dsn: str, files: Files, read: dict[str, int]) -> None:
    """Copy all tables in the binary form, in one transaction."""
    with connect(dsn) as connection:
        tables = parents_first(connection, files)
        copy_all(connection, tables, files, read)
        set_sequences(connection, tables)


def copy_all(connection: Connection, tables: list[str], files: Files, read: dict[str, int]) -> None:
    """Copy tables one after the other."""
    for table in tables:
        read[table] = 0
        copy(connection, table, files[table], read)


def copy(connection: Connection, table: str, file: Path, read: dict[str, int]) -> None:
    """Copy the records of a file into a table."""
    columns = columns_of(connection, table)
    record = msgspec.defstruct(
        "Record",
        [(f"c{n}", DECODED[kind]) for n, kind in enumerate(columns.values())],
        rename={f"c{n}": name for n, name in enumerate(columns)},
        forbid_unknown_fields=True,
    )
    decoder = msgspec.json.Decoder(list[record])  # type: ignore[valid-type]
    converters = [(n, CONVERT[kind]) for n, kind in enumerate(columns.values()) if kind in CONVERT]
    statement = copy_statement(table, columns, binary=True)
    with opened(file) as stream, connection.cursor().copy(statement) as rows:
        rows.set_types(["text[]" if kind == "_text" else kind for kind in columns.values()])
        for records in decoded(stream, decoder):
            for values in map(list, map(msgspec.structs.astuple, records)):
                for n, convert in converters:
                    if values[n] is not None:
                        values[n] = convert(values[n])
                rows.write_row(values)
            read[table] += len(records)


def decoded(stream: BinaryIO, decoder: msgspec.json.Decoder[list[Any]]) -> Iterator[list[Any]]:
    """Decode an array chunk by chunk, each cut behind its last whole record."""
    rest = stream.read(CHUNK_BYTES).lstrip().removeprefix(b"[")
    while chunk := stream.read(CHUNK_BYTES):
        rest += chunk
        for end in reversed(list(BETWEEN_RECORDS.finditer(rest))):
            try:
                records = decoder.decode(b"[%b]" % rest[: end.start() + 1])
            except msgspec.ValidationError:
                raise
            except msgspec.DecodeError:
                continue  # it stands within a record
            yield records
            rest = rest[end.end() :]
            break
    yield decoder.decode(b"[" + rest)


if __name__ == "__main__":
    sys.exit(main(restore, "step-copy-binary"))
