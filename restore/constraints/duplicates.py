"""Deletes rows that share a unique key, and loads their records again, one by one.

A table that was loaded without its keys may hold several rows with one key. The result is the same
as that of loading record by record in the file's order with the keys in place:

1. One query for each key finds every row that shares its value with another row, and these rows are
   deleted. The values of the remaining rows are unique, so the keys can be built; these rows would
   have been loaded in any case, and have kept no other record out.
2. A second pass over the file, for the keys alone, finds the records of the deleted rows.
3. Once the keys are in place, these records are loaded again in the file's order: the first of
   those that share a key stays, and the server itself names the key of each other one.

If the number of records found differs from that of the rows deleted, if a key compares in a way
that is not known here, or if there are more duplicates than memory may hold, the caller has to load
the whole table again with its keys in place.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

import psycopg
from psycopg import sql

from restore.constraints.key_scan import is_plain, lookup_by_text
from restore.source.spool import Spool
from restore.target.conflicts import Conflict
from restore.target.connection import users_search_path
from restore.target.deletion import with_replica_identity
from restore.target.trust import revoke_default_grants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from restore.constraints.lookup import LoadedFile, Values
    from restore.source.records import RawRecord
    from restore.target.indexes import UniqueKeyDefinition

# The key values of at most so many rows are held in memory: two forms of a UUID take 500 bytes.
# With more, a load with the keys in place is hardly slower.
MOST_ROWS = 25_000
# Fewer rows if their keys are long texts.
_MOST_VALUE_BYTES = 4 << 20
Outcome = Literal["resolved", "unchanged", "reload_table"]


class Columns(NamedTuple):
    """The columns of a key by which records are searched."""

    columns: tuple[str, ...]


def resolve_duplicates(
    conn: psycopg.Connection,
    table: LoadedFile,
    keys: Sequence[UniqueKeyDefinition],
    *,
    build: Callable[[], None],
    reload: Callable[[Iterable[RawRecord]], None],
    taken: Callable[[], None] = lambda: None,
    chunk_bytes: int,
    schema: str,
) -> Outcome:
    """Resolve the duplicates of a table whose unique keys are dropped; see the module's docstring.

    The table was empty before its load, and no trigger has changed its rows, so that it holds the
    records of the file, less the rejects.

    Args:
        conn: a connection that commits each statement.
        table: the table; all records that are not in it are rejects.
        keys: all its dropped unique keys.
        build: builds them.
        reload: loads records in order, and counts them, as ``Ladder.reload_records`` does.
        taken: called in the transaction that deletes rows, to record that.
        chunk_bytes: how much of the file is read at a time.
        schema: the schema for deleted rows' keys; it exists.

    Returns:
        ``resolved``: the keys are built. ``unchanged``: there are no duplicates, or they cannot be
        found this way. ``reload_table``: the table has to be emptied and loaded again, with its
        keys in place; its rows, counts, rejects and keys are in an intermediate state.

    Raises:
        LoadError: loading a record again failed; the report counts the records decided so far.
        psycopg.Error: the server or the connection failed.
    """
    duplicates = Duplicates(conn, table, keys, chunk_bytes=chunk_bytes, schema=schema)
    try:
        if not duplicates.delete_rows(taken):
            return "unchanged"
        if not duplicates.find():
            return "reload_table"
        try:
            build()
        except psycopg.errors.UniqueViolation:
            return "reload_table"  # it compares in another way than its catalog entry says
        duplicates.reload_records(reload)
        return "resolved"
    finally:
        duplicates.close()


class Duplicates:
    """The duplicates of one table, in the steps of ``resolve_duplicates``.

    Its arguments are those of that function.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        table: LoadedFile,
        keys: Sequence[UniqueKeyDefinition],
        *,
        chunk_bytes: int,
        schema: str,
    ) -> None:
        self.count = 0
        self._conn = conn
        self._table = table
        self._chunk_bytes = chunk_bytes
        self._found = Spool()
        oid = table.load.table.oid
        self._deleted = sql.Identifier(schema, f"taken_{oid}")
        self._marked = sql.Identifier(schema, f"twice_{oid}")
        self._keys = keys
        # Keys that identify a row, dropped or in place. A partial key does not: a row outside its
        # predicate may have the same values, and stays.
        searched = [key.columns for key in table.load.table.unique_keys]
        searched += [k.columns for k in keys if k.columns is not None and k.predicate is None]
        self._search = [
            key for key in map(Columns, dict.fromkeys(searched)) if is_plain(table, key)
        ]
        names = dict.fromkeys(name for key in self._search for name in key.columns)
        # The columns that keep their texts.
        self._texts = {name: sql.Identifier(f"v{n}") for n, name in enumerate(names)}

    def delete_rows(self, taken: Callable[[], None] = lambda: None) -> bool:
        """Delete every row that shares a key's value with another, and set ``count``.

        Call ``taken`` in the same transaction. Return False if nothing was changed.
        """
        if not self._search or any(key.terms is None for key in self._keys):
            return False
        # A key in place has refused records, perhaps because of rows that are deleted here.
        if self._table.report.duplicates or self._excludes():
            return False
        try:
            with self._conn.transaction():
                done = self._delete_rows()
                if not done:
                    raise psycopg.Rollback
                taken()
        except (psycopg.DataError, psycopg.ProgrammingError):
            return False  # an expression that fails for some row, a type without equality
        return done

    def _excludes(self) -> bool:
        """Return whether an exclusion constraint is in place: rows may exclude others by it."""
        return self._number(_EXCLUSIONS.format(self._table.load.table.oid)) > 0

    def _delete_rows(self) -> bool:
        """Delete them within a transaction; return False if it has to be rolled back."""
        self._conn.execute(_SORT)
        self._conn.execute(_DROP.format(self._marked))
        self._conn.execute(_MAKE_MARKED.format(self._marked))
        for key in self._keys:  # all of them before a row is deleted
            if self._conn.execute(self._mark(key)).rowcount > MOST_ROWS:
                return False
        marked = self._number(_COUNT_MARKED.format(self._marked))
        if not marked:
            return False  # these keys are not violated
        self.count = self._delete()
        size = self._number(_SIZE.format(self._deleted))
        # A row of another session may not be deleted.
        return self.count == marked <= MOST_ROWS and size <= _MOST_VALUE_BYTES

    def _mark(self, key: UniqueKeyDefinition) -> sql.Composed:
        """Return the statement that marks the rows that share a key's value with another."""
        table, terms = self._table.load.table, list(key.terms or ())
        values = [sql.Identifier("restore_key", f"k{n}") for n in range(len(terms))]
        return _MARK.format(
            marked=self._marked,
            values=sql.SQL(", ").join(values),
            rows=Conflict(key.name, terms, [], key.predicate).select(table.name, table.sql_only),
            present=sql.SQL("true") if key.nulls_not_distinct else all_not_null(values),
            most=sql.Literal(MOST_ROWS + 1),
        )

    def _delete(self) -> int:
        """Delete marked rows of this restore; keep the texts that identify their records."""
        table = self._table.load.table
        writes = self._table.load.writes
        ours = sql.SQL("true") if writes is None else writes.is_ours(table.oid, "restore_row")
        texts = [
            # Compared by their bytes, not by the column's collation.
            sql.SQL('{}::text COLLATE "C" AS {}').format(sql.Identifier("restore_row", name), text)
            for name, text in self._texts.items()
        ]
        parts: dict[str, sql.Composable] = {
            "table": table.sql_only,
            "store": self._deleted,
            "values": sql.SQL(", ").join(texts),
            "marked": self._marked,
            "ours": ours,
        }
        self._conn.execute(_DROP.format(self._deleted))
        self._conn.execute(_MAKE_STORE.format(**parts))
        revoke_default_grants(self._conn)
        delete_rows = partial(self._conn.execute, _DELETE.format(**parts))
        return with_replica_identity(self._conn, table.oid, delete_rows).rowcount

    def _number(self, query: sql.Composed) -> int:
        [(number,)] = self._conn.execute(query).fetchall()
        return int(number or 0)

    def find(self) -> bool:
        """Find the records of the deleted rows; return whether there are as many.

        Raises:
            LoadError: there is no room to keep them.
        """
        wanted = {key: self._values(key) for key in self._search_by()}
        for record, _, _ in lookup_by_text(self._table, wanted, self._chunk_bytes):
            if len(self._found) == self.count:
                return False
            self._found.add(record)
        return len(self._found) == self.count

    def _search_by(self) -> list[Columns]:
        """Return one key that identifies every row and that each record has, else all keys."""
        optional = {c.name for c in self._table.load.table.columns if c.has_default}
        for key in self._search:
            query = _COUNT.format(
                self._deleted, all_not_null(self._texts[name] for name in key.columns)
            )
            if optional.isdisjoint(key.columns) and self._number(query) == self.count:
                return [key]
        return self._search

    def _values(self, key: Columns) -> list[Values]:
        values = [self._texts[name] for name in key.columns]
        query = sql.SQL("SELECT DISTINCT {} FROM {} WHERE {}").format(
            sql.SQL(", ").join(values), self._deleted, all_not_null(values)
        )
        return self._conn.execute(query).fetchall()

    def reload_records(self, reload: Callable[[Iterable[RawRecord]], None]) -> None:
        """Load the records found again, once the keys are in place, and count them again.

        Raises:
            LoadError: it failed; the report counts the records decided so far.
        """
        report = self._table.report
        report.uncount_loaded(self.count)
        try:
            with users_search_path(self._conn):
                reload(self._found)
        except BaseException:
            report.read = report.accounted
            raise
        if report.read != report.accounted:
            raise AssertionError(f"{report.table}: records are counted that were not read")

    def close(self) -> None:
        """Drop the stored keys if the connection allows it; else the journal is dropped later."""
        self._found.close()
        if self._conn.info.transaction_status is psycopg.pq.TransactionStatus.IDLE:
            for store in (self._deleted, self._marked):
                self._conn.execute(_DROP.format(store))


def all_not_null(values: Iterable[sql.Identifier]) -> sql.Composed:
    """Return a condition that is true if none of the values is NULL."""
    return sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(value) for value in values)


# Nearly all values differ: sorting 390,000 bigints takes 0.2 s, hashing them 0.6 s.
_SORT = """
    SET LOCAL enable_hashagg = off;
    SELECT set_config('work_mem', current_setting('maintenance_work_mem'), true)
"""
_DROP = sql.SQL("DROP TABLE IF EXISTS {}")
_MAKE_STORE = sql.SQL(
    "CREATE TABLE {store} AS SELECT {values} FROM {table} AS restore_row WITH NO DATA"
)
_MAKE_MARKED = sql.SQL("CREATE TABLE {} (row_id tid NOT NULL)")
_MARK = sql.SQL(
    "INSERT INTO {marked} SELECT restore_found.row_id FROM (SELECT restore_key.row_id,"
    " count(*) OVER (PARTITION BY {values}) AS rows FROM ({rows}) AS restore_key WHERE {present}"
    ") AS restore_found WHERE restore_found.rows > 1 LIMIT {most}"
)
_COUNT_MARKED = sql.SQL("SELECT count(DISTINCT m.row_id) FROM {} AS m")
_DELETE = sql.SQL(
    "WITH restore_gone AS (DELETE FROM {table} AS restore_row"
    " WHERE restore_row.ctid = ANY (ARRAY(SELECT m.row_id FROM {marked} AS m)) AND {ours}"
    " RETURNING {values})"
    " INSERT INTO {store} SELECT restore_gone.* FROM restore_gone"
)
_EXCLUSIONS = sql.SQL("SELECT count(*) FROM pg_index WHERE indrelid = {} AND indisexclusion")
_COUNT = sql.SQL("SELECT count(*) FROM {} WHERE {}")
_SIZE = sql.SQL("SELECT sum(octet_length(t::text)) FROM {} AS t")
