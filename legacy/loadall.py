"""Loads every table of a backup whole and inserts it in one go."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import exc
from sqlalchemy.schema import sort_tables_and_constraints

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

Record = dict[str, Any]

CONNECT_TIMEOUT_S = 10
#: The drivers, by SQLAlchemy's name of the dialect; they batch an insert differently.
DRIVERS = ("psycopg", "psycopg2")
STAMP = re.compile(r"\d{8}_\d{6}")
#: What a generated backup holds beside its tables.
NO_TABLES = frozenset({"manifest.json"})
#: All that can be wrong with a table's file, its records or the server's opinion of them.
TABLE_ERRORS = (
    exc.SQLAlchemyError,
    *(OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, RecursionError),
)


class InputError(Exception):
    """What was asked for makes no sense; the message says what to do."""


class DatabaseError(Exception):
    """The database does not answer, or not any more."""


@dataclass(slots=True)
class TableOutcome:
    """What became of one table; all of its records are loaded, or none."""

    table: str
    read: int = 0
    loaded: int = 0
    wall_s: float = 0.0
    error: str | None = None

    def lose(self, error: str) -> None:
        """Write down that the table is lost."""
        self.loaded, self.error = 0, error


def find_backup(path: Path) -> Path:
    """Return the backup folder: ``path`` itself, or the newest timestamped one in it."""
    if not path.is_dir():
        raise InputError(f"there is no backup at {path}; name a folder of .json files")
    stamped = [one for one in path.iterdir() if one.is_dir() and STAMP.fullmatch(one.name)]
    return max(stamped, default=path, key=lambda one: one.name)


def table_files(backup: Path) -> dict[str, Path]:
    """Return the backup's files by the name of their table."""
    files = sorted(path for path in backup.iterdir() if path.name not in NO_TABLES)
    for path in files:
        if path.name.endswith((".zst", ".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")):
            raise InputError(f"{path} is neither .json nor .json.gz, the only forms legacy reads")
    tables = {path.name.split(".json")[0]: path for path in files if is_json(path)}
    for path in tables.values():
        if not path.is_file() or not os.access(path, os.R_OK):
            raise InputError(f"{path} cannot be read; correct its permissions, or take it away")
    if not tables:
        raise InputError(f"{backup} holds no .json files; name a backup folder, or a root of them")
    return tables


def is_json(path: Path) -> bool:
    """Whether a file is one of the two forms that are read."""
    return path.name.endswith((".json", ".json.gz"))


def restore(
    backup: Path,
    dsn: str,
    tables: Sequence[str] | None = None,
    lost: Callable[[TableOutcome], None] = lambda _: None,
    *,
    driver: str = "psycopg",
) -> list[TableOutcome]:
    """Restore a backup into the database's existing, empty tables.

    Args:
        backup: The backup folder.
        dsn: The database, in any form that libpq reads.
        tables: The order of the tables; by default parents come first.
        lost: Called for each table that is lost, as soon as it is.
        driver: One of ``DRIVERS``.

    Raises:
        InputError: The backup or ``tables`` make no sense.
        DatabaseError: The database does not answer.
    """
    check_dsn(dsn)
    files = table_files(backup)
    engine = sa.create_engine(f"postgresql+{driver}://", creator=lambda: connect(dsn, driver))
    try:
        with engine.connect() as connection:
            metadata = reflect(connection)
            order = tables or default_order(metadata, files)
            check_order(order, files, metadata, declared=tables is not None)
            outcomes = [TableOutcome(table) for table in order]
            restore_all(connection, metadata, files, outcomes, lost)
    except exc.DBAPIError as error:
        raise DatabaseError(f"the database does not answer: {one_line(error)}") from error
    finally:
        engine.dispose()
    return outcomes


def check_dsn(dsn: str) -> None:
    """Refuse what libpq cannot read, in our own words: its own may quote parts of a password."""
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        parts = {"port": "?"}
    port, host = str(parts.get("port") or ""), str(parts.get("host") or "")
    if not re.fullmatch(r"[\d,]*", port) or "@" in host:
        raise InputError(
            "--dsn makes no sense; write postgresql://user@host:5432/name, special characters as"
            " %XX, the password better in PGPASSWORD"
        )


def connect(dsn: str, driver: str) -> sa.PoolProxiedConnection:
    """Connect by a driver; a host that does not answer is given up after a while."""
    wait = conninfo_to_dict(dsn).get("connect_timeout", CONNECT_TIMEOUT_S)
    connection: sa.PoolProxiedConnection = import_module(driver).connect(dsn, connect_timeout=wait)
    return connection


def reflect(connection: sa.Connection) -> sa.MetaData:
    """Read the tables from the database."""
    metadata = sa.MetaData()
    metadata.reflect(connection)
    connection.commit()
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, sa.JSON):
                # Or None would become JSON's null, which is not SQL's.
                column.type.none_as_null = True
    return metadata


def default_order(metadata: sa.MetaData, files: dict[str, Path]) -> list[str]:
    """Sort tables parents first; foreign keys that wait until the commit do not count."""
    ordered = sort_tables_and_constraints(  # type: ignore[no-untyped-call]  # SQLAlchemy's gap
        metadata.tables.values(), filter_fn=lambda key: True if key.deferrable else None
    )
    known = [table.name for table, _ in ordered if table is not None and table.name in files]
    return known + [table for table in files if table not in metadata.tables]


def check_order(
    order: Sequence[str], files: dict[str, Path], metadata: sa.MetaData, *, declared: bool
) -> None:
    """Refuse tables that the backup or the database does not have, where they were asked for."""
    for table in order if declared else ():
        if table not in files:
            raise InputError(f"the backup has no file for table {table}; correct --tables")
        if table not in metadata.tables:
            raise InputError(f"the database has no table {table}; create it or correct --tables")


def restore_all(
    connection: sa.Connection,
    metadata: sa.MetaData,
    files: dict[str, Path],
    outcomes: list[TableOutcome],
    lost: Callable[[TableOutcome], None],
) -> None:
    """Restore all tables in one transaction, for foreign keys that are checked at its end."""
    transaction = connection.begin()
    for outcome in outcomes:
        restore_table(connection, metadata, files[outcome.table], outcome)
        if outcome.error is not None:
            lost(outcome)
    for outcome in outcomes:
        if outcome.loaded:
            set_sequences(connection, metadata.tables[outcome.table])
    try:
        transaction.commit()
    except exc.IntegrityError as error:
        for outcome in outcomes:
            if outcome.error is None:
                outcome.lose(f"the transaction could not be committed: {one_line(error)}")
                lost(outcome)


def restore_table(
    connection: sa.Connection, metadata: sa.MetaData, file: Path, outcome: TableOutcome
) -> None:
    """Restore one table; if anything is wrong with any record, the table is lost."""
    started = time.perf_counter()
    try:
        records = read_records(file)
        outcome.read = len(records)
        if outcome.table not in metadata.tables:
            raise LookupError(f"the database has no table {outcome.table}; create it first")
        insert(connection, metadata.tables[outcome.table], records)
        outcome.loaded = len(records)
    except TABLE_ERRORS as error:
        if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
            raise
        outcome.lose(one_line(error))
    outcome.wall_s = time.perf_counter() - started


def read_records(file: Path) -> list[Record]:
    """Load a whole file."""
    if file.suffix == ".gz":
        with gzip.open(file, "rt", encoding="utf-8") as text:
            records = json.load(text)
    else:
        with file.open(encoding="utf-8") as text:
            records = json.load(text)
    if not isinstance(records, list):
        raise TypeError(f"{file.name} is not an array of records")
    return records


def insert(connection: sa.Connection, table: sa.Table, records: list[Record]) -> None:
    """Insert all records of a table at once."""
    for column in table.columns:
        convert = converter(column.type)
        if convert is None:
            continue
        for record in records:
            if record.get(column.name) is not None:
                record[column.name] = convert(record[column.name])
    if records:
        with connection.begin_nested():
            connection.execute(table.insert(), records)


def set_sequences(connection: sa.Connection, table: sa.Table) -> None:
    """Set the sequences of a table's keys to the largest number that was loaded."""
    quote = connection.dialect.identifier_preparer
    name = quote.format_table(table)
    for column in table.primary_key:
        if isinstance(column.type, sa.Integer):
            largest = f"SELECT max({quote.format_column(column)}) FROM {name}"  # noqa: S608 - quoted
            connection.execute(
                sa.text(f"SELECT setval(pg_get_serial_sequence(:name, :key), ({largest}))"),
                {"name": name, "key": column.name},
            )


def converter(kind: sa.types.TypeEngine[Any]) -> Callable[[str], object] | None:
    """Return what turns JSON's strings into a column's values, where they need it."""
    if isinstance(kind, sa.DateTime):
        return datetime.fromisoformat if kind.timezone else to_timestamp
    if isinstance(kind, sa.Date):
        return lambda value: datetime.fromisoformat(value).date()
    if isinstance(kind, sa.LargeBinary):
        return base64.b64decode
    return None


def to_timestamp(value: str) -> datetime:
    """Read an instant for a column without time zone, which means UTC here."""
    moment = datetime.fromisoformat(value)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def one_line(error: BaseException) -> str:
    """Say what is wrong in one line, without the statement and its thousands of parameters."""
    cause = error.orig if isinstance(error, exc.StatementError) and error.orig else error
    text = str(cause).strip() or type(cause).__name__
    return text.splitlines()[0]
