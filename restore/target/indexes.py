"""Reads a table's indexes and unique keys, with all that is needed to recreate each.

Only those are read that come back exactly as they were. All others stay in place during a load.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from msgspec import Struct
from psycopg import sql

from restore.target.queries import load_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import psycopg

_INDEXES = load_query("indexes")

_UNIQUE = load_query("unique_indexes")


class UniqueKeyDefinition(Struct, frozen=True):
    """What a unique index forbids, needed while the index is dropped.

    Attributes:
        name: the index's, and its constraint's if it has one.
        columns: its key columns, which are compared with ``=``; None if it has expressions, or
            compares in another way (an operator class or a collation of its own).
        terms: the same, as SQL over the table's columns, quoted; expressions too. None if it
            compares in another way than with ``=``.
        predicate: SQL; only rows for which it is true are compared. None: all rows.
        nulls_not_distinct: NULL is like NULL; else a row with a NULL in its key is like no other.
    """

    name: str
    columns: tuple[str, ...] | None
    terms: tuple[str, ...] | None
    predicate: str | None = None
    nulls_not_distinct: bool = False


class Index(Struct, frozen=True):
    """An index and its constraint, with all that is needed to recreate both.

    ``constraint`` is ``PRIMARY KEY``, ``UNIQUE`` or None. ``statistics`` holds numbers of columns,
    each with its target. ``unique`` is None if the index lets all rows in.
    """

    oid: int
    name: str
    unique: UniqueKeyDefinition | None
    statistics: tuple[tuple[int, int], ...]
    extensions: tuple[str, ...]
    definition: str
    tablespace: str | None
    constraint: str | None
    deferrable: bool
    deferred: bool
    comment: str | None
    constraint_comment: str | None
    clustered: bool
    replica_identity: bool

    def drop_statement(self, schema: str, table: str) -> sql.Composed:
        """Return the statement that drops it."""
        if self.constraint is None:
            return sql.SQL("DROP INDEX {}").format(sql.Identifier(schema, self.name))
        return sql.SQL("ALTER TABLE ONLY {} DROP CONSTRAINT {}").format(
            sql.Identifier(schema, table), sql.Identifier(self.name)
        )

    def create_statements(self, schema: str, table: str) -> list[sql.Composable]:
        """Return the statements that recreate it and its properties in one transaction."""
        parts = {
            "table": sql.Identifier(schema, table),
            "index": sql.Identifier(schema, self.name),
            "name": sql.Identifier(self.name),
        }

        def form(statement: str, **more: sql.Composable) -> sql.Composed:
            return sql.SQL(statement).format(**parts, **more)

        made: list[sql.Composable] = []
        if self.tablespace is not None:
            name = sql.Literal(self.tablespace)
            made.append(form("SET LOCAL default_tablespace = {space}", space=name))
        made.append(sql.SQL(self.definition))
        if self.constraint is not None:
            made.append(
                form("ALTER TABLE ONLY {table} ADD CONSTRAINT {name} ")
                + sql.SQL(self.constraint)
                + form(" USING INDEX {name}")
                + sql.SQL(" DEFERRABLE" if self.deferrable else "")
                + sql.SQL(" INITIALLY DEFERRED" if self.deferred else "")
            )
        if self.comment is not None:
            said = sql.Literal(self.comment)
            made.append(form("COMMENT ON INDEX {index} IS {said}", said=said))
        if self.constraint_comment is not None:
            said = sql.Literal(self.constraint_comment)
            made.append(form("COMMENT ON CONSTRAINT {name} ON {table} IS {said}", said=said))
        made += [
            form(
                "ALTER INDEX {index} ALTER COLUMN {number} SET STATISTICS {target}",
                number=sql.Literal(number),
                target=sql.Literal(target),
            )
            for number, target in self.statistics
        ]
        if self.clustered:
            made.append(form("ALTER TABLE {table} CLUSTER ON {name}"))
        if self.replica_identity:
            made.append(form("ALTER TABLE ONLY {table} REPLICA IDENTITY USING INDEX {name}"))
        made += [
            form("ALTER INDEX {index} DEPENDS ON EXTENSION {extension}", extension=extension)
            for extension in map(sql.Identifier, self.extensions)
        ]
        return made


@contextlib.contextmanager
def qualified_names(conn: psycopg.Connection) -> Iterator[None]:
    """Make the server qualify all names in definitions.

    The session that reads a definition may have another search path than the one that follows it.
    """
    with conn.transaction():
        conn.execute("SET LOCAL search_path = pg_catalog, pg_temp")
        yield


def read_indexes(conn: psycopg.Connection, oids: Iterable[int]) -> dict[int, list[Index]]:
    """Read the indexes of these tables that can be dropped and recreated, in creation order.

    PostgreSQL checks a row against the indexes of its table in that order.
    """
    wanted = list(oids)
    with qualified_names(conn):
        rows = conn.execute(_INDEXES, [wanted]).fetchall()
        unique = {
            row[0]: row[1:] for row in conn.execute(_UNIQUE, [[row[1] for row in rows]]).fetchall()
        }
    indexes: dict[int, list[Index]] = {oid: [] for oid in wanted}
    for table, oid, name, *facts, statistics, extensions in rows:
        found = unique.get(oid)
        indexes[table].append(
            Index(
                oid,
                name,
                _unique(name, *found) if found else None,
                tuple((number, target) for number, target in statistics),
                tuple(extensions),
                *facts,
            )
        )
    return indexes


def _unique(  # noqa: PLR0917 - a row of the query
    name: str,
    columns: list[str | None],
    terms: list[str],
    by_equality: bool,  # noqa: FBT001
    predicate: str | None,
    nulls_not_distinct: bool,  # noqa: FBT001
) -> UniqueKeyDefinition:
    plain = tuple(column for column in columns if column is not None)
    return UniqueKeyDefinition(
        name,
        plain if by_equality and len(plain) == len(columns) else None,
        tuple(terms) if by_equality else None,
        predicate,
        nulls_not_distinct,
    )
