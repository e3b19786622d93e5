"""Creates and drops a database for each trial, all of them comparable."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from harness.servers.errors import ServerError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The first version with PostgreSQL's own collations, equal on every system.
BUILTIN_LOCALES = 170000


@contextlib.contextmanager
def fresh_database(
    connect: Callable[[], psycopg.Connection[Any]], name: str, *, owned: bool
) -> Iterator[None]:
    """Provide an empty database, and drop it at the end, even if sessions are connected.

    Args:
        connect: returns an autocommit connection to another database of the server. It is called
            again at the end, since whoever uses the database may have ended all sessions.
        name: its name.
        owned: whether the server is ours; then its collation is set and a checkpoint made first.

    Raises:
        ServerError: it could not be created, or not be dropped.
    """
    try:
        with connect() as connection:
            create(connection, name, owned=owned)
            if owned:
                # Data still to be written by the previous trial must not slow this one.
                connection.execute("CHECKPOINT")
        yield
    finally:
        with connect() as connection:
            drop(connection, name)


def create(
    connection: psycopg.Connection[Any], name: str, *, owned: bool, tablespace: str | None = None
) -> None:
    """Create an empty database, optionally in a tablespace.

    Raises:
        ServerError: the server refuses.
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
        may_not = isinstance(error, psycopg.errors.InsufficientPrivilege)
        raise ServerError(
            f"cannot create a database ({one_line(error)})",
            "give the role the right to create databases"
            if may_not
            else "free disk space for the server; an embedded one keeps its data below TMPDIR",
        ) from error


def drop(connection: psycopg.Connection[Any], name: str) -> None:
    """Drop a database if it exists.

    Raises:
        ServerError: the server refuses.
    """
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        raise ServerError(
            f"cannot drop the database {name} ({one_line(error)})",
            "drop it by hand if the server is still running",
        ) from error


def apply(connection: psycopg.Connection[Any], schema_sql: str) -> None:
    """Execute a script of many statements, such as a dataset's ``schema.sql``.

    Raises:
        ServerError: a statement fails.
    """
    try:
        connection.execute(schema_sql.encode())
    except psycopg.errors.FeatureNotSupported as error:
        raise ServerError(
            f"the dataset's schema cannot be applied ({one_line(error)})",
            "choose a server that has this by --server, or correct its schema.sql",
        ) from error
    except psycopg.Error as error:
        raise ServerError(
            f"the dataset's schema cannot be applied ({one_line(error)})", "correct its schema.sql"
        ) from error


def collation(connection: psycopg.Connection[Any], *, owned: bool) -> str:
    """Return the collation of the databases that ``fresh_database`` creates, for the record."""
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
