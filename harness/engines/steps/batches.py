"""Chunked batches: inserts of 1,000 records, in place of one of all.

The naive restorer hands all records of a table to one insert, so all of them have to be there. Here
1,000 records at a time are converted and inserted. By itself that gives little: the driver sends an
insert of any size in pieces, and memory peaks where a file is parsed as a whole, as it still is.
But only what is inserted in batches can be read in batches, which is the next step.
"""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import exc

from harness.engines.shared.command import Files, main, opened
from harness.engines.shared.database import connect, parents_first, set_sequences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from harness.engines.shared.database import Connection

    Record = dict[str, Any]

BATCH = 1_000


def restore(dsn: str, files: Files, read: dict[str, int]) -> None:
    """Parse each file as a whole, and insert its records in batches."""
    insert_all(dsn, files, read, records)


def records(stream: BinaryIO) -> list[Record]:
    """Parse a whole file."""
    with io.TextIOWrapper(stream, encoding="utf-8") as text:
        found: list[Record] = json.load(text)
    return found


def insert_all(
    dsn: str,
    files: Files,
    read: dict[str, int],
    parse: Callable[[BinaryIO], Iterable[Record]],
) -> None:
    """Insert what ``parse`` makes of each file, in batches, in one transaction."""
    engine = sa.create_engine("postgresql+psycopg://", creator=lambda: connect(dsn))
    try:
        with engine.begin() as connection:
            driver: Connection = connection.connection.driver_connection  # type: ignore[assignment]
            metadata = sa.MetaData()
            metadata.reflect(connection, only=list(files))
            for name in parents_first(driver, files):
                table = metadata.tables[name]
                read[name] = 0
                with opened(files[name]) as stream:
                    for batch in batches(parse(stream)):
                        insert(connection, table, batch)
                        read[name] += len(batch)
            set_sequences(driver, files)
    except exc.StatementError as error:  # without the statement and its thousands of parameters
        raise error.orig or error from None
    finally:
        engine.dispose()


def batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Cut records into lists of 1,000."""
    rest = iter(records)
    while batch := list(islice(rest, BATCH)):
        yield batch


def insert(connection: sa.Connection, table: sa.Table, records: list[Record]) -> None:
    """Convert what JSON has no type for, and insert the records."""
    if any(len(record) != len(table.columns) for record in records):
        # SQLAlchemy would leave out what only later records have, and say nothing.
        raise ValueError(f"{table.name}: the fields of a record are not the columns of the table")
    for column in table.columns:
        convert = converter(column.type)
        for record in records if convert else ():
            if convert and record.get(column.name) is not None:
                record[column.name] = convert(record[column.name])
    connection.execute(table.insert(), records)


def converter(kind: sa.types.TypeEngine[Any]) -> Callable[[str], object] | None:
    """Return what turns JSON's strings into a column's values, if they need it."""
    if isinstance(kind, sa.JSON):
        kind.none_as_null = True  # SQL's NULL, which is not JSON's null
    if isinstance(kind, sa.DateTime):
        return dt.datetime.fromisoformat if kind.timezone else utc
    if isinstance(kind, sa.Date):
        return lambda text: dt.datetime.fromisoformat(text).date()
    if isinstance(kind, sa.LargeBinary):
        return base64.b64decode
    return None


def utc(text: str) -> dt.datetime:
    """Read an instant for a column without a time zone, which means UTC."""
    moment = dt.datetime.fromisoformat(text)
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment


if __name__ == "__main__":
    sys.exit(main(restore, "step-batches"))
