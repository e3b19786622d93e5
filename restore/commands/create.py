"""Creates the tables of a backup in the target, if it has none of them."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from restore.commands.unfinished import check_no_unfinished_restore, find_unfinished
from restore.errors import SchemaError
from restore.infer.files import choose_table_files
from restore.infer.schema import TableName, infer_schema
from restore.infer.statements import statements
from restore.report.events import Stage
from restore.target.connection import users_schemas
from restore.target.relations import read_relations
from restore.target.sqlstate import describe
from restore.text import first_few, pluralize, shell_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restore.options import JsonStrings, Options
    from restore.report.events import ProgressCallback
    from restore.source.discovery import Backup

_MOST_NAMED = 5


def create_tables(
    conn: psycopg.Connection,
    backup: Backup,
    options: Options,
    watch: ProgressCallback,
    undo: contextlib.ExitStack,
) -> Options:
    """Infer the schema of a backup and create it, in one transaction.

    Nothing is created if an unfinished restore is resumed: it has created its tables, and recorded
    which columns it gave other names than their fields.

    Args:
        conn: a connection that commits each statement.
        backup: the backup.
        options: the restore's options.
        watch: receives progress.
        undo: drops the tables again, unless it is emptied.

    Returns:
        Options for a restore into these tables.

    Raises:
        SchemaError: a table exists, or the role may not create it.
    """
    # A field of texts alone has a column of type text: in one of type json a text is a text.
    strings: JsonStrings = "keep" if options.json_strings == "auto" else options.json_strings
    done = replace(options, create=False, json_strings=strings)
    if options.resume and (unfinished := find_unfinished(conn)) is not None:
        recorded = unfinished.options["map_column"]
        return replace(done, map_column={**recorded, **options.map_column})
    check_no_unfinished_restore(conn, options)
    named = replace(options, schema=options.schema or _default_schema(conn))
    files, _ = choose_table_files(backup, named)
    names = list(dict.fromkeys(TableName(file.schema, file.table) for file in files))
    _check_new(conn, names, options)
    schema = infer_schema(backup, named, watch)
    watch(Stage(f"creating {pluralize(len(names), 'table')}"))
    try:
        with conn.transaction():
            for statement in statements(schema):
                conn.execute(statement.encode())
    except psycopg.errors.LockNotAvailable:
        raise
    except (psycopg.ProgrammingError, psycopg.errors.InvalidSchemaName) as error:
        raise SchemaError(f"--create: {describe(error)}; nothing was created") from error
    undo.callback(_drop, conn, names)
    return replace(done, map_column={**options.map_column, **schema.map_column})


def _default_schema(conn: psycopg.Connection) -> str:
    """Return the first schema of the search path.

    Raises:
        SchemaError: the search path has none.
    """
    own = [name for name in users_schemas(conn) if not name.startswith("pg_")]
    if not own:
        raise SchemaError("--create: the search path has no schema; name one with --schema")
    return own[0]


def _check_new(conn: psycopg.Connection, names: Sequence[TableName], options: Options) -> None:
    """Raise if the target has one of these tables, in any case of letters.

    Raises:
        SchemaError: it has.
    """
    wanted = {(schema, name.lower()) for schema, name in names}
    relations = read_relations(conn, options.schema)
    found = [r.display_name for r in relations if (r.schema, r.name.lower()) in wanted]
    if found:
        excludes = " ".join(shell_option("--exclude", name) for name in found[:_MOST_NAMED])
        raise SchemaError(
            f"--create makes new tables, and the database has {first_few(found, _MOST_NAMED)}:"
            f" restore without --create, or leave them out with {excludes}"
        )


def _drop(conn: psycopg.Connection, names: Sequence[TableName]) -> None:
    """Drop tables that a restore has created and did not fill."""
    tables = sql.SQL(", ").join(sql.Identifier(*filter(None, name)) for name in names)
    with contextlib.suppress(psycopg.Error):  # the connection may be lost
        conn.execute(sql.SQL("DROP TABLE {}").format(tables))
