"""Reads foreign keys, and how PostgreSQL compares a row with its parent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

from restore.target.indexes import qualified_names
from restore.target.queries import load_query

if TYPE_CHECKING:
    import psycopg

_FOREIGN_KEYS = load_query("foreign_keys")


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a parent's column is compared with a child's, as fully qualified SQL.

    Attributes:
        parent: what follows the parent's value: a cast, or nothing.
        operator: ``OPERATOR(schema.name)``, with the parent's value on its left.
        child: what follows the child's value: a cast, ``COLLATE``, both, or nothing.
    """

    parent: str
    operator: str
    child: str

    def of(self, parent: sql.Composable, child: sql.Composable) -> sql.Composed:
        """Return the comparison of two values."""
        parts = (parent, sql.SQL(f"{self.parent} {self.operator} "), child, sql.SQL(self.child))
        return sql.Composed(parts)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key, with all that is needed to recreate it. Tables are given by oid.

    ``comparisons``: one a column. ``period``: the last column is a period, which the periods of
    all matching parents together have to cover (PERIOD, PostgreSQL 18). ``validated``: all rows are
    known to fit it. ``enforced``: it forbids rows at all.
    """

    name: str
    table: int
    columns: tuple[str, ...]
    parent: int
    parent_columns: tuple[str, ...]
    definition: str
    comment: str | None
    comparisons: tuple[Comparison, ...]
    period: bool = False
    match_full: bool = False
    validated: bool = True
    enforced: bool = True

    def present(self, child: str) -> sql.Composed:
        """Return the condition on which a row refers to something.

        A key of which a part is NULL refers to nothing; with MATCH FULL, one that is all NULL.

        Args:
            child: the row's alias.
        """
        return sql.SQL(" OR " if self.match_full else " AND ").join(
            sql.SQL("{} IS NOT NULL").format(sql.Identifier(child, name)) for name in self.columns
        )

    def matches(self, child: str, parent: str) -> sql.Composed:
        """Return the condition on which a row matches a parent; periods match if they overlap.

        Args:
            child: the row's alias.
            parent: the parent's.
        """
        pairs = zip(self.comparisons, self.columns, self.parent_columns, strict=True)
        return sql.SQL(" AND ").join(
            comparison.of(sql.Identifier(parent, other), sql.Identifier(child, own))
            for comparison, own, other in pairs
        )

    def has_parent(self, child: str, parent: str, table: sql.Composable) -> sql.Composed:
        """Return the condition on which the key allows a row.

        Args:
            child: the row's alias.
            parent: an alias for parents.
            table: the parents' table.
        """
        parts: dict[str, sql.Composable] = {
            "parent": sql.Identifier(parent),
            "table": table,
            "matches": self.matches(child, parent),
            "own": sql.Identifier(child, self.columns[-1]),
            "other": sql.Identifier(parent, self.parent_columns[-1]),
        }
        query = _COVERED if self.period else _EXISTS
        return query.format(**parts)


_EXISTS = sql.SQL("EXISTS (SELECT FROM {table} AS {parent} WHERE {matches})")
_COVERED = sql.SQL(
    "EXISTS (SELECT FROM {table} AS {parent} WHERE {matches}"
    " HAVING {own} OPERATOR(pg_catalog.<@) pg_catalog.range_agg({other}))"
)


def read_foreign_keys(conn: psycopg.Connection, oids: list[int]) -> dict[int, list[ForeignKey]]:
    """Read the foreign keys of tables, by the tables' oids."""
    with qualified_names(conn):
        rows = conn.execute(_FOREIGN_KEYS, [oids]).fetchall()
    keys: dict[int, list[ForeignKey]] = {oid: [] for oid in oids}
    for oid, name, parent, own, other, definition, comment, comparisons, *facts in rows:
        compared = tuple(Comparison(*each) for each in comparisons)
        key = ForeignKey(
            *(name, oid, tuple(own), parent, tuple(other), definition, comment, compared, *facts)
        )
        keys[oid].append(key)
    return keys
