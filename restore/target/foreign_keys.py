"""Reads foreign keys, and how PostgreSQL compares a row with its parent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, convert
from psycopg import sql

from restore.target.indexes import qualified_names
from restore.target.queries import load_query

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from restore.target.catalog import Table

_FOREIGN_KEYS = load_query("foreign_keys")


class Comparison(Struct, frozen=True):
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


class RelatedTable(Struct, frozen=True):
    """A partition of a table, or one that the table is a partition of.

    Attributes:
        partitioned: it has partitions.
        is_above: the table is a partition of it.
        decided_by: the columns that decide which rows are in a partition; None: an expression does.
        bound: SQL over the table's columns: true of the rows that are in the partition. Only for a
            dry run, whose shadows have no partitions.
    """

    oid: int
    schema: str
    name: str
    partitioned: bool
    is_above: bool
    decided_by: tuple[str | None, ...] = ()
    bound: str | None = None

    @property
    def identifier(self) -> sql.Identifier:
        """The qualified name, in SQL."""
        return sql.Identifier(self.schema, self.name)

    @property
    def sql_only(self) -> sql.Composed:
        """It with its partitions, in SQL."""
        return sql.SQL("{}" if self.partitioned else "ONLY {}").format(self.identifier)


class ForeignKey(Struct, frozen=True):
    """A foreign key, with all that is needed to recreate it. Tables are given by oid.

    ``table`` and ``parent`` are loaded tables, if it is one of these. ``holder`` has the key and
    ``referenced`` is what it refers to, if they are partitions of them, or the other way round.
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
    holder: RelatedTable | None = None
    referenced: RelatedTable | None = None

    @property
    def label(self) -> str:
        """Its name, which is unique among the keys of ``table``."""
        return self.name if self.holder is None else f"{self.holder.oid}.{self.name}"

    @property
    def lookup_columns(self) -> tuple[str, ...] | None:
        """The columns, its own first, by which it can be told if it concerns a row.

        Rows with the same values may be in another partition. None: an expression decides that.
        """
        decided_by = self.holder.decided_by if self.holder else ()
        names = tuple(name for name in decided_by if name is not None)
        if len(names) < len(decided_by):
            return None
        return tuple(dict.fromkeys((*self.columns, *names)))

    def holding_table(self, tables: Mapping[int, Table]) -> Table | RelatedTable:
        """Return the table that has the key, given those that are loaded."""
        return self.holder or tables[self.table]

    def child_table(self, tables: Mapping[int, Table]) -> Table | RelatedTable:
        """Return the table whose rows it concerns."""
        is_part = self.holder and not self.holder.is_above and self.holder.bound is None
        return self.holder if self.holder and is_part else tables[self.table]

    def parent_table(self, tables: Mapping[int, Table]) -> Table | RelatedTable:
        """Return the table of the rows that it refers to."""
        is_part = self.referenced and self.referenced.bound is None
        return self.referenced if self.referenced and is_part else tables[self.parent]

    def present(self, child: str) -> sql.Composed:
        """Return the condition on which a row refers to something.

        A key of which a part is NULL refers to nothing; with MATCH FULL, one that is all NULL.

        Args:
            child: the row's alias.
        """
        filled = sql.SQL(" OR " if self.match_full else " AND ").join(
            sql.SQL("{} IS NOT NULL").format(sql.Identifier(child, name)) for name in self.columns
        )
        return sql.SQL("({}){}").format(filled, _within(self.holder, child))

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
        ) + _within(self.referenced, parent)

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


def _within(part: RelatedTable | None, row: str) -> sql.Composable:
    """Return the condition, after others, on which a shadow's row would be in a partition.

    PostgreSQL's own expression names the columns without a table: they are looked for in the
    innermost one.
    """
    if part is None or part.bound is None:
        return sql.SQL("")
    return sql.SQL(" AND EXISTS (SELECT FROM (SELECT {}.*) AS restore_part WHERE {})").format(
        sql.Identifier(row), sql.SQL(part.bound)
    )


_EXISTS = sql.SQL("EXISTS (SELECT FROM {table} AS {parent} WHERE {matches})")
_COVERED = sql.SQL(
    "EXISTS (SELECT FROM {table} AS {parent} WHERE {matches}"
    " HAVING {own} OPERATOR(pg_catalog.<@) pg_catalog.range_agg({other}))"
)


def read_foreign_keys(conn: psycopg.Connection, oids: list[int]) -> dict[int, list[ForeignKey]]:
    """Read the foreign keys of tables, by the tables' oids.

    Also those of their partitions alone, and those of what they are partitions of. They come after
    those that a partition has from above: added later, these would take the place of its own.
    """
    with qualified_names(conn):
        rows = conn.execute(_FOREIGN_KEYS, {"oids": oids}).fetchall()
    keys: dict[int, list[ForeignKey]] = {oid: [] for oid in oids}
    for oid, name, parent, own, other, definition, comment, comparisons, *facts, at, to in rows:
        compared = tuple(Comparison(*each) for each in comparisons)
        key = ForeignKey(
            *(name, oid, tuple(own), parent, tuple(other), definition, comment, compared, *facts),
            *(convert(each, RelatedTable | None) for each in (at, to)),
        )
        keys[oid].append(key)
    return keys
