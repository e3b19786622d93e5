"""Reads the target's relations: names, kinds, inheritance, references, rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from psycopg import sql

from restore.target.connection import users_schemas
from restore.target.queries import load_query
from restore.target.scattered import scattered_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import psycopg

    from restore.target.catalog import Table
    from restore.target.scattered import Extension

_RELATIONS = load_query("relations")

_ABOVE = load_query("ancestors")

_BELOW = load_query("partitions")

_REFERRERS = load_query("referencing_tables")

_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}


class Relation(Struct, frozen=True):
    """A relation that a file may be named after. ``kind`` is pg_class's relkind.

    ``visible`` says that its bare name means it: it is in the schema that was chosen, or the search
    path finds it. ``scattered``: the extension that keeps its rows in other
    relations.
    """

    oid: int
    schema: str
    name: str
    kind: str
    visible: bool
    scattered: Extension | None = None

    @property
    def qualified(self) -> str:
        """``schema.name``."""
        return f"{self.schema}.{self.name}"

    @property
    def display_name(self) -> str:
        """The shortest unambiguous name."""
        return self.name if self.visible else self.qualified

    @property
    def identifier(self) -> sql.Identifier:
        """The qualified name, in SQL."""
        return sql.Identifier(self.schema, self.name)

    @property
    def sql_only(self) -> sql.Composed:
        """The relation without tables that inherit from it, but with its partitions, in SQL."""
        form = "{}" if self.kind == "p" or self.scattered else "ONLY {}"
        return sql.SQL(form).format(self.identifier)

    @property
    def unsupported_kind(self) -> str | None:
        """What it is in words, if it holds no rows of its own; None for tables."""
        return _KINDS.get(self.kind)


class Reference(Struct, frozen=True):
    """A table with a foreign key to ``parent``, a table's bare name."""

    relation: Relation
    parent: str


def read_relations(conn: psycopg.Connection, schema: str | None) -> list[Relation]:
    """Read the relations of the target.

    Args:
        conn: a connection to the target.
        schema: the schema of bare names; None: the search path.
    """
    schemas = users_schemas(conn) if schema is None else [schema]
    scattered = scattered_tables(conn)
    rows = conn.execute(_RELATIONS, {"schemas": schemas}).fetchall()
    return [_relation(row, scattered) for row in rows]


def _relation(row: Sequence[Any], scattered: dict[int, Extension]) -> Relation:
    oid, schema, name, kind, visible = row
    return Relation(oid, schema, name, kind, visible, scattered.get(oid))


def ancestors(conn: psycopg.Connection, oids: Iterable[int]) -> list[tuple[int, int, bool]]:
    """Return which of these tables are partitions or children of others of them.

    Returns:
        For each such pair the lower, the upper, and whether the lower is a partition (else it
        inherits).
    """
    return conn.execute(_ABOVE, {"oids": list(oids)}).fetchall()


def with_partitions(conn: psycopg.Connection, oids: Iterable[int]) -> list[int]:
    """Return these tables and all their partitions; the chunks of hypertables, too."""
    given = {"oids": list(oids), "scattered": list(scattered_tables(conn))}
    return [oid for (oid,) in conn.execute(_BELOW, given).fetchall()]


def referencing_tables(conn: psycopg.Connection, oids: Iterable[int]) -> list[Reference]:
    """Return the other tables that refer to these, directly or indirectly."""
    found = {"oids": with_partitions(conn, oids), "schemas": users_schemas(conn)}
    scattered = scattered_tables(conn)
    rows = conn.execute(_REFERRERS, found).fetchall()
    return [Reference(_relation(row[:5], scattered), row[6]) for row in rows]


def count_rows(conn: psycopg.Connection, relation: Relation) -> int:
    """Count the rows of a table."""
    query = sql.SQL("SELECT count(*) FROM {}").format(relation.sql_only)
    row = conn.execute(query).fetchone()
    return int(row[0]) if row else 0


def has_rows(conn: psycopg.Connection, relation: Relation | Table) -> bool:
    """Tell if a table holds a row."""
    query = sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(relation.sql_only)
    return conn.execute(query).fetchone() == (True,)
