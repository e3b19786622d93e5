"""The values of a unique key that several rows of a table have, found by sets and noted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

from restore.target.conflicts import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import psycopg

    from restore.target.catalog import Table
    from restore.target.indexes import UniqueKeyDefinition


@dataclass(frozen=True, slots=True)
class Twice:
    """The values of one key that several rows have.

    Attributes:
        key: the key, whose index is dropped.
        table: its table.
        store: the table of the database that they are noted in.
    """

    key: UniqueKeyDefinition
    table: Table
    store: sql.Identifier

    @property
    def comparable(self) -> bool:
        """Tell whether grouping compares as the key does."""
        return self.key.terms is not None

    def _values(self, alias: str, letter: str) -> list[sql.Identifier]:
        return [sql.Identifier(alias, f"{letter}{n}") for n in range(len(self.key.terms or ()))]

    def _rows(self) -> sql.Composed:
        key = self.key
        terms, operators = list(key.terms or ()), list(key.operators)
        conflict = Conflict(key.name, terms, operators, key.predicate)
        return conflict.select(self.table.name, self.table.sql_only)

    def note(self) -> sql.Composed:
        """Return what makes the store."""
        terms = self._values("restore_key", "k")
        return _NOTE.format(
            store=self.store,
            rows=self._rows(),
            values=sql.SQL(", ").join(
                sql.SQL("{} AS {}").format(term, sql.Identifier(f"v{n}"))
                for n, term in enumerate(terms)
            ),
            present=sql.SQL("true") if self.key.nulls_not_distinct else all_there(terms),
            places=sql.SQL(", ").join(map(sql.Literal, range(1, len(terms) + 1))),
        )

    def rows(self, conn: psycopg.Connection) -> sql.Composed | None:
        """Return a query for the rows with noted values, by their ctid; None: there are none.

        It has a part for each pattern of NULLs among the noted values, so that the server can look
        these up in a hash table.
        """
        values = self._values("restore_twice", "v")
        nulls = sql.SQL(", ").join(sql.SQL("{} IS NULL").format(value) for value in values)
        query = sql.SQL("SELECT DISTINCT {} FROM {} AS restore_twice").format(nulls, self.store)
        parts = [
            _ROWS.format(rows=self._rows(), store=self.store, same=self._same(pattern))
            for pattern in conn.execute(query).fetchall()
        ]
        return sql.SQL(" UNION ").join(parts) if parts else None

    def _same(self, pattern: Sequence[bool]) -> sql.Composed:
        """Return what is true of a row and noted values of which these are NULL."""
        tests = []
        for n, is_null in enumerate(pattern):
            one, other = (
                sql.Identifier("restore_key", f"k{n}"),
                sql.Identifier("restore_twice", f"v{n}"),
            )
            if is_null:
                tests.append(sql.SQL("{} IS NULL AND {} IS NULL").format(one, other))
            else:
                operator = sql.SQL(self.key.operators[n])
                tests.append(sql.SQL("{} {} {}").format(one, operator, other))
        return sql.SQL(" AND ").join(tests)


def all_there(values: Iterable[sql.Identifier]) -> sql.Composed:
    """Return what is true where none of the values is NULL."""
    return sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(value) for value in values)


_NOTE = sql.SQL(
    "CREATE TABLE {store} AS SELECT {values}, count(*) AS rows FROM ({rows}) AS restore_key"
    " WHERE {present} GROUP BY {places} HAVING count(*) > 1"
)
_ROWS = sql.SQL(
    "SELECT restore_key.row_id FROM ({rows}) AS restore_key JOIN {store} AS restore_twice ON {same}"
)
