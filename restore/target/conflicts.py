"""Describes when two rows of a table conflict: its unique and exclusion indexes, as SQL.

Every operator is the index's own, by its schema: ``=`` alone would mean whatever the search path
finds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from psycopg import sql

from restore.errors import SchemaError
from restore.target.queries import load_query

if TYPE_CHECKING:
    import psycopg

    from restore.target.catalog import Table, UniqueKey

_CONFLICTS = load_query("conflicts")


class Conflict(Struct, frozen=True):
    """A unique or exclusion index: two rows conflict if each pair of its terms compares as true.

    Attributes:
        name: the index's.
        terms: columns and expressions, as SQL over the table.
        operators: how each pair of terms is compared, qualified.
        predicate: only rows for which it is true are compared, as SQL; None: all.
        collations: what follows each term: `` COLLATE ...``, or nothing.
        nulls_not_distinct: NULL conflicts with NULL.
        immediate: it is checked row by row; ON CONFLICT takes no other.
    """

    name: str
    terms: list[str]
    operators: list[str]
    predicate: str | None = None
    collations: list[str] | None = None
    nulls_not_distinct: bool = False
    immediate: bool = True

    def select(
        self, table: str, source: sql.Composable, where: sql.Composable | None = None
    ) -> sql.Composed:
        """Return a query for the terms, ``k0``, ``k1``, ..., and the ctid of the rows it compares.

        Args:
            table: the table's name. As the alias it lets expressions name the whole row.
            source: where the rows are.
            where: condition on the rows; None: all rows.
        """
        collations = self.collations or [""] * len(self.terms)
        terms = [
            sql.SQL(f"({term}){collation} AS {{}}").format(sql.Identifier(f"k{n}"))
            for n, (term, collation) in enumerate(zip(self.terms, collations, strict=True))
        ]
        return sql.SQL("SELECT {0}.ctid AS row_id, {1} FROM {2} AS {0} WHERE {3} AND {4}").format(
            sql.Identifier(table),
            sql.SQL(", ").join(terms),
            source,
            sql.SQL(f"({self.predicate})" if self.predicate else "true"),
            where or sql.SQL("true"),
        )

    def matches(self, one: str, other: str) -> sql.Composed:
        """Return the condition on which two rows of ``select``, given by alias, conflict."""
        pairs = [
            self.same(sql.Identifier(one, f"k{n}"), operator, sql.Identifier(other, f"k{n}"))
            for n, operator in enumerate(self.operators)
        ]
        return sql.SQL(" AND ").join(pairs)

    def same(self, one: sql.Identifier, operator: str, other: sql.Identifier) -> sql.Composed:
        """Return the condition on which an operator of the index takes two values as equal."""
        same = sql.SQL("{} {} {}").format(one, sql.SQL(operator), other)
        if not self.nulls_not_distinct:
            return same
        return sql.SQL("({0} OR ({1} IS NULL AND {2} IS NULL))").format(same, one, other)


def read_conflicts(conn: psycopg.Connection, table: sql.Identifier) -> list[Conflict]:
    """Read a table's unique and exclusion indexes, its primary key first."""
    rows = conn.execute(_CONFLICTS, [table.as_string(conn)]).fetchall()
    return [Conflict(*row) for row in rows]


def replace_key(table: Table) -> UniqueKey:
    """Return the key that identifies a row to replace: the primary key, or another.

    Raises:
        SchemaError: the table has no key.
    """
    if not table.unique_keys:
        raise SchemaError(
            "--on-conflict replace tells rows by a key that compares by equality, and table"
            f" {table.name} has none: use skip or reject"
        )
    return table.unique_keys[0]
