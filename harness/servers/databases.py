"""A fresh database for each trial, all of them comparable, none of them left behind."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from harness.servers.errors import ServerError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

# The first version whose collations can come from PostgreSQL itself, equal on every system.
BUILTIN_LOCALES = 170000


@contextlib.contextmanager
def fresh_database(
    connection: psycopg.Connection[Any], name: str, *, owned: bool
) -> Iterator[None]:
    """Have an empty database; drop it at the end, whatever happened and whoever is connected.

    Args:
        connection: an autocommit connection to another database of the server.
        name: the name to give it.
        owned: the server is ours, so the collation is fixed and the disk is settled first.

    Raises:
        ServerError: it could not be made, or not be dropped.
    """
    try:
        create(connection, name, owned=owned)
        if owned:
            # What the trial before left to be written must not cost this one.
            connection.execute("CHECKPOINT")
        yield
    finally:
        drop(connection, name)


def create(
    connection: psycopg.Connection[Any], name: str, *, owned: bool, tablespace: str | None = None
) -> None:
    """Make an empty database; where ``tablespace`` says, if it says anything.

    Raises:
        ServerError: the server does not do it.
    """
    place = sql.SQL(" TABLESPACE {}").format(sql.Identifier(tablespace)) if tablespace else None
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'{}{}").format(
        sql.Identifier(name),
        _locale_clause(connection) if owned else sql.SQL(""),
        place or sql.SQL(""),
    )
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        raise ServerError(
            f"no database could be made ({one_line(error)})",
            "the role needs the right to create databases, the server room for one more",
        ) from error


def drop(connection: psycopg.Connection[Any], name: str) -> None:
    """Drop a database if it is there.

    Raises:
        ServerError: the server does not do it.
    """
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        raise ServerError(
            f"the database {name} could not be dropped ({one_line(error)})",
            "drop it by hand if the server is still there",
        ) from error


def apply(connection: psycopg.Connection[Any], schema_sql: str) -> None:
    """Run a script of many statements, such as a dataset's ``schema.sql``.

    Raises:
        ServerError: the server refuses it.
    """
    try:
        connection.execute(schema_sql.encode())
    except psycopg.Error as error:
        raise ServerError(
            f"the dataset's schema does not apply ({one_line(error)})", "mend its schema.sql"
        ) from error


def collation(connection: psycopg.Connection[Any], *, owned: bool) -> str:
    """Return the collation of the databases that ``fresh_database`` makes, for the record."""
    if owned:
        return " ".join(_locale(connection))
    row = connection.execute(
        "SELECT to_jsonb(d) FROM pg_database AS d WHERE datname = 'template0'"
    ).fetchone()
    facts: dict[str, str | None] = row[0] if row else {}
    provider = {"b": "builtin", "i": "icu"}.get(facts.get("datlocprovider") or "c", "libc")
    locale = facts.get("datlocale") or facts.get("daticulocale") or facts.get("datcollate")
    return f"{provider} {locale}"


def _locale_clause(connection: psycopg.Connection[Any]) -> sql.Composed:
    provider, locale = _locale(connection)
    if provider == "libc":
        return sql.SQL(" LOCALE {}").format(locale)
    return sql.SQL(" LOCALE_PROVIDER builtin LOCALE {}").format(locale)


def _locale(connection: psycopg.Connection[Any]) -> tuple[str, str]:
    """Return provider and locale of the databases on a server that we own."""
    if connection.info.server_version >= BUILTIN_LOCALES:
        return "builtin", "C.UTF-8"
    return "libc", "C"
