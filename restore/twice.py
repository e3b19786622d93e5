"""The values of a unique key that several rows of a table have, found by sets and noted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

    from restore.indexes import UniqueAside


@dataclass(frozen=True, slots=True)
class Twice:
    """The values of one key that several rows have.

    Attributes:
        key: the key, which is aside.
        table: its table, in SQL.
        store: the table of the database that they are noted in.
    """

    key: UniqueAside
    table: sql.Composed
    store: sql.Identifier

    @property
    def comparable(self) -> bool:
        """Tell whether ``=`` is how the key compares."""
        return self.key.terms is not None

    def _terms(self) -> list[sql.SQL]:
        return [sql.SQL(f"({term})") for term in self.key.terms or ()]  # the catalogue's own SQL

    def _predicate(self) -> sql.SQL:
        return sql.SQL(f"({self.key.predicate})" if self.key.predicate else "true")

    def note(self) -> sql.Composed:
        """Return what makes the store."""
        terms = self._terms()
        return _NOTE.format(
            store=self.store,
            table=self.table,
            values=sql.SQL(", ").join(
                sql.SQL("{} AS {}").format(term, value)
                for term, value in zip(terms, self._values(), strict=True)
            ),
            predicate=self._predicate(),
            present=sql.SQL("true") if self.key.nulls_not_distinct else all_there(terms),
            places=sql.SQL(", ").join(map(sql.Literal, range(1, len(terms) + 1))),
        )

    def _values(self) -> list[sql.Identifier]:
        return [sql.Identifier(f"v{n}") for n in range(len(self.key.terms or ()))]

    def condition(self, conn: psycopg.Connection) -> sql.Composed | None:
        """Return what is true of the rows that have to leave; None: there are none.

        That is one condition for each pattern of NULLs among the noted values, so that the server
        can look these up in a hash table. Of rows that a partial key does not mind nothing else is
        asked: its expressions may not bear them.
        """
        values = self._values()
        nulls = sql.SQL(", ").join(sql.SQL("{} IS NULL").format(value) for value in values)
        query = sql.SQL("SELECT DISTINCT {} FROM {}").format(nulls, self.store)
        found = [
            self._condition(list(zip(self._terms(), values, pattern, strict=True)))
            for pattern in conn.execute(query).fetchall()
        ]
        if not found:
            return None
        condition = sql.SQL("({})").format(sql.SQL(" OR ").join(found))
        if self.key.predicate is None:
            return condition
        return sql.SQL("(CASE WHEN {} THEN {} END)").format(self._predicate(), condition)

    def _condition(self, parts: list[tuple[sql.SQL, sql.Identifier, bool]]) -> sql.Composed:
        """Return what is true of rows with noted values, of which these parts are NULL."""
        tests = [sql.SQL("{} IS NULL").format(term) for term, _, is_null in parts if is_null]
        there = [(term, value) for term, value, is_null in parts if not is_null]
        if there:
            empty = [sql.SQL("{} IS NULL").format(value) for _, value, is_null in parts if is_null]
            full = [sql.SQL("{} IS NOT NULL").format(value) for _, value in there]
            tests.append(
                sql.SQL("({}) IN (SELECT {} FROM {} WHERE {})").format(
                    sql.SQL(", ").join(term for term, _ in there),
                    sql.SQL(", ").join(value for _, value in there),
                    self.store,
                    sql.SQL(" AND ").join(empty + full),
                )
            )
        return sql.SQL("({})").format(sql.SQL(" AND ").join(tests))


def all_there(values: Iterable[sql.Composable]) -> sql.Composed:
    """Return what is true where none of the values is NULL."""
    return sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(value) for value in values)


_NOTE = sql.SQL(
    "CREATE TABLE {store} AS SELECT {values}, count(*) AS count FROM {table}"
    " WHERE {predicate} AND {present} GROUP BY {places} HAVING count(*) > 1"
)
