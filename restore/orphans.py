"""Rows that a foreign key forbids leave the table, and their records go to the rejects.

The rows are found by sets, in the database, again and again, since taking one out may orphan
others; their records by a second pass over the table's file for the forbidden keys alone. What is
taken out is kept in the database, in the same transaction, until its record is among the rejects.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from psycopg import sql

from restore.origins import Values, as_texts, exact_origins
from restore.plain import plain_origins
from restore.rejects import Reason
from restore.trust import keep_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import psycopg

    from restore.batch import RawRecord
    from restore.catalog import ForeignKey, Table
    from restore.limits import Limits
    from restore.origins import Kept
    from restore.writes import Writes

# How many rows with these values were taken out and are not found yet.
Missing = dict["ForeignKey", dict[Values, int]]
# A record, and the key and its values for which it is no row any more.
Origin = tuple["RawRecord", "ForeignKey", Values]

_FOREIGN_KEY_VIOLATION = "23503"
_FETCH = 1_000


class Orphans:
    """Takes rows out that foreign keys forbid, and keeps their records as rejects.

    Args:
        conn: a connection to the target, on which the keys do not hold now.
        tables: every table that the keys name, by oid.
        keys: the foreign keys, those of parents before those of their children.
        chunk_bytes: how much of a file is read at a time.
        jobs: how many files are read at once.
        schema: where what is taken out is kept meanwhile.
        writes: tells the rows that are ours to take out; None: all are.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        tables: dict[int, Table],
        keys: Sequence[ForeignKey],
        *,
        chunk_bytes: int,
        jobs: int,
        schema: str,
        writes: Writes | None = None,
    ) -> None:
        self._writes = writes
        self._conn = conn
        self._tables = tables
        self._keys = keys
        self._chunk_bytes = chunk_bytes
        self._jobs = jobs
        self._stores = {
            key: sql.Identifier(schema, f"orphans_{number}") for number, key in enumerate(keys)
        }

    @property
    def begun(self) -> bool:
        """Tell whether rows were taken out whose records are not all kept yet."""
        names = [store.as_string(self._conn) for store in self._stores.values()]
        query = "SELECT bool_or(to_regclass(n) IS NOT NULL) FROM unnest(%s::text[]) AS n"
        return self._conn.execute(query, [names]).fetchone() == (True,)

    def reject(
        self, kept: Iterable[Kept], limits: Limits, settle: Callable[[], None] = lambda: None
    ) -> int:
        """Take the rows out and keep their records.

        Args:
            kept: the tables.
            limits: say when there are too many rejects.
            settle: takes note, when all are kept, of what the tables' counts and rejects are now.

        Returns:
            How many there were.

        Raises:
            LoadError: a reject file cannot be written, or there are too many rejects.
            psycopg.Error: the server refused.
        """
        taken = self._take_out()
        by_table: dict[int, dict[ForeignKey, int]] = defaultdict(dict)
        for key, count in taken.items():
            by_table[key.table][key] = count
        found = [
            (table, by_table[table.load.table.oid])
            for table in kept
            if table.load.table.oid in by_table
        ]
        for table, counts in found:
            table.report.count_taken_out(sum(counts.values()))
        self._keep([(table, {key: self._missing(key) for key in keys}) for table, keys in found])
        with self._conn.transaction():
            for store in self._stores.values():
                self._conn.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(store))
            settle()
        if taken:
            limits.after_orphans()
        return sum(taken.values())

    def _take_out(self) -> dict[ForeignKey, int]:
        """Delete rows until none is forbidden; count them by the key that forbade them.

        Those that another process took out before it was ended count as well.
        """
        waiting = set(self._keys)
        while waiting:
            # Parents first: then a table has mostly lost its rows when its children are looked at.
            key = min(waiting, key=self._keys.index)
            waiting.remove(key)
            if self._take_out_once(key):
                waiting.update(other for other in self._keys if other.parent == key.table)
        counts = {key: self._count(store) for key, store in self._stores.items()}
        return {key: count for key, count in counts.items() if count}

    def _count(self, store: sql.Identifier) -> int:
        query = sql.SQL("SELECT count(*) FROM {}").format(store)
        return int(self._conn.execute(query).fetchall()[0][0])

    def _take_out_once(self, key: ForeignKey) -> int:
        child, parent = self._tables[key.table], self._tables[key.parent]
        own = [_column("c", name) for name in key.columns]
        others = [_column("p", name) for name in key.parent_columns]
        columns = sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(column, sql.Identifier(f"v{n}"))
            for n, column in enumerate(own)
        )
        parts: dict[str, sql.Composable] = {
            "store": self._stores[key],
            "child": child.only,
            "parent": parent.only,
            "columns": columns,
            "present": sql.SQL(" OR " if key.match_full else " AND ").join(
                sql.SQL("{} IS NOT NULL").format(c) for c in own
            ),
            "matches": sql.SQL(" AND ").join(
                sql.SQL("{} = {}").format(*pair) for pair in zip(own, others, strict=True)
            ),
        }
        writes = self._writes
        parts["ours"] = sql.SQL("true") if writes is None else writes.wrote(child.oid, "c")
        with self._conn.transaction():
            self._conn.execute(_MAKE_STORE.format(**parts))
            keep_private(self._conn)
            return self._conn.execute(_TAKE_OUT.format(**parts)).rowcount

    def _keep(self, tables: list[tuple[Kept, Missing]]) -> None:
        """Write the records of rows that were taken out; those that are not found, as rows."""
        pool = ThreadPoolExecutor(self._jobs)
        try:
            for future in [pool.submit(self._write_plain, *each) for each in tables]:
                future.result()
        finally:
            pool.shutdown(cancel_futures=True)
        for table, missing in tables:
            if any(any(left.values()) for left in missing.values()):
                stores = {key: self._stores[key] for key in missing}
                found = exact_origins(self._conn, table, stores, self._chunk_bytes)
                self._write(table, found, missing)
            for key, left in missing.items():
                for values, count in left.items():
                    if count > 0:
                        self._keep_rows(table, key, values, count)

    def _write_plain(self, table: Kept, missing: Missing) -> None:
        """Write the records that are found by comparing; touches no other table, and no server."""
        self._write(table, plain_origins(table, missing, self._chunk_bytes), missing)

    def _write(self, table: Kept, origins: Iterable[Origin], missing: Missing) -> None:
        for record, key, values in origins:
            reason = _reason(key, values, table.load.table)
            table.rejects.add(record, reason)
            table.report.count_reason(reason, record.ordinal, record.offset)
            missing[key][values] -= 1

    def _missing(self, key: ForeignKey) -> dict[Values, int]:
        """Return the values that were forbidden, and how many rows had them."""
        names = sql.SQL(", ").join(sql.Identifier(f"v{n}") for n in range(len(key.columns)))
        query = sql.SQL("SELECT {}, count(*) FROM {} GROUP BY {}").format(
            as_texts(len(key.columns)), self._stores[key], names
        )
        return {tuple(row[:-1]): row[-1] for row in self._conn.execute(query)}

    def _keep_rows(self, table: Kept, key: ForeignKey, values: Values, count: int) -> None:
        """Keep rows whose records were not found, as the database gave them."""
        same = sql.SQL("({}) IS NOT DISTINCT FROM ({})").format(
            as_texts(len(values)), sql.SQL(", ").join([sql.SQL("%s::text")] * len(values))
        )
        query = sql.SQL("SELECT taken FROM {} WHERE {} LIMIT %s").format(self._stores[key], same)
        reason = _reason(key, values, table.load.table)
        for (row,) in self._conn.execute(query, [*values, count]).fetchall():
            table.rejects.add_row(row.encode(), reason)
            table.report.count_reason(reason, None, None)


def _column(alias: str, name: str) -> sql.Composed:
    return sql.SQL("{}.{}").format(sql.Identifier(alias), sql.Identifier(name))


def _reason(key: ForeignKey, values: Values, table: Table) -> Reason:
    columns = ", ".join(key.columns)
    shown = ", ".join(map(str, values))
    return Reason(
        level="constraint",
        message=f'"{table.name}" violates foreign key constraint "{key.name}"',
        detail=f"Key ({columns})=({shown}) is not there, or was rejected",
        sqlstate=_FOREIGN_KEY_VIOLATION,
        constraint=key.name,
    )


_MAKE_STORE = sql.SQL(
    "CREATE TABLE IF NOT EXISTS {store} AS"
    " SELECT {columns}, ''::text AS taken FROM {child} AS c WITH NO DATA"
)
# A key of which a part is NULL refers to nothing; with MATCH FULL, one that is all NULL.
_TAKE_OUT = sql.SQL(
    "WITH gone AS ("
    "DELETE FROM {child} AS c WHERE ({present}) AND {ours}"
    " AND NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {matches})"
    " RETURNING {columns}, row_to_json(c)::text AS taken"
    ") INSERT INTO {store} SELECT * FROM gone"
)
