"""DuckDB: read_json into the tables of PostgreSQL, which its postgres extension attaches.

Its documentation writes to PostgreSQL with ``INSERT INTO postgres_db.tbl SELECT ...``, which the
extension sends as one COPY: binary, or as text if a column is jsonb or an array. The types of a
file's columns are those of the attached table, so nothing is guessed from the records. What JSON
has no type for is converted in SQL. The extension does not quote the text ``NULL`` in an array, so
that it would be no text any more: tables with arrays are staged with the arrays as text, which the
server casts. All tables are loaded in one transaction; indexes and foreign keys stay. The
extension is the one in the environment: nothing is downloaded.
"""

from __future__ import annotations

import importlib.resources
import sys
from typing import TYPE_CHECKING

import duckdb

from harness.engines.shared.command import Files, main
from harness.engines.shared.database import connect, parents_first, set_sequences
from harness.engines.shared.shell import literal, quoted

if TYPE_CHECKING:
    from pathlib import Path

_EXTENSION = "duckdb_extension_postgres_scanner"
_FILE = "postgres_scanner.duckdb_extension"
_COLUMNS = """
    SELECT column_name, data_type FROM duckdb_columns()
    WHERE database_name = 'postgres_db' AND table_name = ?
"""
_TYPES = """
    SELECT name, type FROM postgres_query('postgres_db', $$
        SELECT c.relname::text AS table, a.attname::text AS name,
            format_type(a.atttypid, a.atttypmod) AS type
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE pg_table_is_visible(c.oid)
            AND a.attnum > 0 AND NOT a.attisdropped
    $$) WHERE "table" = ?
"""
_ELEMENT = r"""'"' || replace(replace(x, '\', '\\'), '"', '\"') || '"'"""
# An array as PostgreSQL reads it.
_ARRAY = f"'{{{{' || array_to_string([coalesce({_ELEMENT}, 'NULL') FOR x IN {{0}}], ',') || '}}}}'"


def restore(dsn: str, files: Files, read: dict[str, int]) -> None:
    """Insert all tables, parents first, in one transaction."""
    with connect(dsn) as connection:
        tables = parents_first(connection, files)
    with attached(dsn) as database:
        database.execute("BEGIN")
        insert(database, tables, files, read)
        database.execute("COMMIT")
    with connect(dsn) as connection:
        set_sequences(connection, tables)


def attached(dsn: str) -> duckdb.DuckDBPyConnection:
    """Open a database in memory with the target attached as ``postgres_db``."""
    database = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    package = importlib.resources.files(_EXTENSION)
    extension = package / "extensions" / f"v{duckdb.__version__}" / _FILE
    database.execute(f"LOAD {literal(str(extension))}")
    database.execute("SET TimeZone = 'UTC'")
    database.execute(f"ATTACH {literal(dsn)} AS postgres_db (TYPE postgres)")
    return database


def insert(
    database: duckdb.DuckDBPyConnection, tables: list[str], files: Files, read: dict[str, int]
) -> None:
    """Insert the records of the tables' files."""
    for table in tables:
        rows = select(database, table, files[table])
        kinds = dict(database.execute(_COLUMNS, [table]).fetchall())
        has_arrays = any(kind.endswith("[]") for kind in kinds.values())
        target = quoted(f"{table}_staging" if has_arrays else table)
        if has_arrays:
            database.execute(f"CREATE TABLE postgres_db.{target} AS {rows} WITH NO DATA")
        done = database.execute(f"INSERT INTO postgres_db.{target} {rows}")
        [(read[table],)] = done.fetchall()
        if has_arrays:
            move(database, target, table)


def move(database: duckdb.DuckDBPyConnection, staging: str, table: str) -> None:
    """Have the server move rows from a staging table into their own."""
    types = database.execute(_TYPES, [table]).fetchall()
    names = ", ".join(quoted(name) for name, _ in types)
    cast = ", ".join(f"{quoted(name)}::{kind}" for name, kind in types)
    moved = f"INSERT INTO {quoted(table)} ({names}) SELECT {cast} FROM {staging}"  # noqa: S608
    execute(database, moved)
    execute(database, f"DROP TABLE {staging}")


def execute(database: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Execute a statement on the server, in the transaction."""
    database.execute("CALL postgres_execute('postgres_db', ?)", [statement])


def select(database: duckdb.DuckDBPyConnection, table: str, file: Path) -> str:
    """Return the SELECT that reads a file as rows of its table."""
    on_server = dict(database.execute(_TYPES, [table]).fetchall())
    types, values = {}, []
    for column, kind in database.execute(_COLUMNS, [table]).fetchall():
        name = quoted(column)
        if on_server[column] == "jsonb":  # which is text to DuckDB
            types[column], value = "JSON", f"nullif({name}, 'null')"
        elif kind == "BLOB":
            types[column], value = "VARCHAR", f"from_base64({name})"
        elif kind == "DATE":  # which JavaScript writes as an instant
            types[column], value = "TIMESTAMP", f"{name}::DATE"
        elif kind.startswith("ENUM"):
            types[column], value = "VARCHAR", name
        else:
            types[column] = kind
            value = _ARRAY.format(name) if kind.endswith("[]") else name
        values.append(f"{value} AS {name}")
    columns = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in types.items())
    source = f"read_json({literal(str(file))}, columns = {{{columns}}})"
    return f"SELECT {', '.join(values)} FROM {source}"  # noqa: S608 - all quoted


if __name__ == "__main__":
    sys.exit(main(restore, "duckdb"))
