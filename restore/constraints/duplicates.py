"""Rows that share a unique key leave the table, and their records are loaded again, one by one.

A table that was loaded with its keys aside may hold several rows with one key. What loading record
by record in the file's order would have left of them comes out of this:

1. By sets, in the database, every row leaves the table that shares the value of any key with
   another row. Whatever stays is alone with each of its values, so the keys can be built; it would
   have been loaded in any case, and has kept no other record out.
2. The records of the rows that left are found by a second pass over the file, for their keys alone.
3. Once the keys are in place, they are loaded again in the file's order: the first of those that
   share a key stays, and the server itself names the key of each other one.

Where not exactly as many records are found as rows left, a key compares in a way that is not known
here, or there are more duplicates than is held in memory, the caller is told so, and has to load
the whole table once more with its keys in place.
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

# The values of the keys of so many rows are held in memory: two forms of a UUID take 500 bytes.
# Beyond, a load with the keys in place is hardly slower.
MOST_ROWS = 25_000
# With long texts as keys it is fewer rows.
_MOST_VALUE_BYTES = 4 << 20
Outcome = Literal["done", "kept", "lost"]


class Columns(NamedTuple):
    """The columns of a key by which records are looked for."""

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
    """Isolate the duplicates of a table whose unique keys are aside; see the head of this file.

    The table was empty before its load, and no trigger has changed its rows: then it holds what the
    file says, less the rejects.

    Args:
        conn: a connection that commits each statement.
        table: the table; all records that are not in it are among its rejects.
        keys: all its unique keys that are aside.
        build: builds them.
        reload: loads records in their order, and counts them, as ``Ladder.reload_records`` does.
        taken: takes note, in the transaction in which they leave, that rows left the table.
        chunk_bytes: how much of the file is read at a time.
        schema: where what is taken out is noted meanwhile; it exists.

    Returns:
        ``done``: they are isolated, and the keys are built. ``kept``: nothing was changed, since
        there are none, or since this way does not do here. ``lost``: the table has to be emptied
        and loaded once more, with its keys in place; its rows, counts and rejects, and what of the
        keys is built, are in between.

    Raises:
        LoadError: loading a record again failed; then the report counts what is decided.
        psycopg.Error: the server or the connection failed.
    """
    duplicates = Duplicates(conn, table, keys, chunk_bytes=chunk_bytes, schema=schema)
    try:
        if not duplicates.take_out(taken):
            return "kept"
        if not duplicates.find():
            return "lost"
        try:
            build()
        except psycopg.errors.UniqueViolation:
            return "lost"  # it compares in another way than its catalogue entry lets expect
        duplicates.reload_records(reload)
        return "done"
    finally:
        duplicates.close()


class Duplicates:
    """The duplicates of one table, in the steps that ``resolve_duplicates`` takes.

    Its arguments are those of that function. Building the keys and ``find`` wait for ``take_out``
    alone; they may go on side by side.
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
        self._taken = sql.Identifier(schema, f"taken_{oid}")
        self._marked = sql.Identifier(schema, f"twice_{oid}")
        self._keys = keys
        # What tells a row from all others, whether it is aside or in place. A partial key does not:
        # a row that it does not mind may have the same values, and stays.
        searched = [key.columns for key in table.load.table.unique_keys]
        searched += [k.columns for k in keys if k.columns is not None and k.predicate is None]
        self._search = [
            key for key in map(Columns, dict.fromkeys(searched)) if is_plain(table, key)
        ]
        names = dict.fromkeys(name for key in self._search for name in key.columns)
        # Where the texts of these columns are noted.
        self._texts = {name: sql.Identifier(f"v{n}") for n, name in enumerate(names)}

    def take_out(self, taken: Callable[[], None] = lambda: None) -> bool:
        """Take every row out that shares a key's value with another; ``count`` tells how many.

        In the same transaction, call ``taken``. Return False if nothing was changed.
        """
        if not self._search or any(key.terms is None for key in self._keys):
            return False
        # What was in place has refused records, perhaps for rows that would not have been there.
        if self._table.report.duplicates or self._excludes():
            return False
        try:
            with self._conn.transaction():
                done = self._take_out()
                if not done:
                    raise psycopg.Rollback
                taken()
        except (psycopg.DataError, psycopg.ProgrammingError):
            return False  # an expression that some row does not bear, a type without equality
        return done

    def _excludes(self) -> bool:
        """Tell whether rows may forbid others that have other values: such a key is not aside."""
        return self._number(_EXCLUSIONS.format(self._table.load.table.oid)) > 0

    def _take_out(self) -> bool:
        """Do so within a transaction; False: it has to be rolled back."""
        self._conn.execute(_SORT)
        self._conn.execute(_DROP.format(self._marked))
        self._conn.execute(_MAKE_MARKED.format(self._marked))
        for key in self._keys:  # all of them before a row leaves
            if self._conn.execute(self._mark(key)).rowcount > MOST_ROWS:
                return False
        marked = self._number(_COUNT_MARKED.format(self._marked))
        if not marked:
            return False  # it is not these keys that forbid something
        self.count = self._delete()
        size = self._number(_SIZE.format(self._taken))
        # A row of another session's is not ours to take out.
        return self.count == marked <= MOST_ROWS and size <= _MOST_VALUE_BYTES

    def _mark(self, key: UniqueKeyDefinition) -> sql.Composed:
        """Return what marks the rows that share a key's value with another."""
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
        """Delete rows that this restore wrote; keep the texts by which their records are found."""
        table = self._table.load.table
        writes = self._table.load.writes
        ours = sql.SQL("true") if writes is None else writes.is_ours(table.oid, "restore_row")
        texts = [
            # Told apart by their bytes, however the column compares.
            sql.SQL('{}::text COLLATE "C" AS {}').format(sql.Identifier("restore_row", name), text)
            for name, text in self._texts.items()
        ]
        parts: dict[str, sql.Composable] = {
            "table": table.sql_only,
            "store": self._taken,
            "values": sql.SQL(", ").join(texts),
            "marked": self._marked,
            "ours": ours,
        }
        self._conn.execute(_DROP.format(self._taken))
        self._conn.execute(_MAKE_STORE.format(**parts))
        revoke_default_grants(self._conn)
        take_out = partial(self._conn.execute, _TAKE_OUT.format(**parts))
        return with_replica_identity(self._conn, table.oid, take_out).rowcount

    def _number(self, query: sql.Composed) -> int:
        [(number,)] = self._conn.execute(query).fetchall()
        return int(number or 0)

    def find(self) -> bool:
        """Find the records of the rows that were taken out.

        Returns:
            Whether there are as many; else it is not known which are missing.

        Raises:
            LoadError: they cannot be kept for the moment.
        """
        wanted = {key: self._values(key) for key in self._search_by()}
        for record, _, _ in lookup_by_text(self._table, wanted, self._chunk_bytes):
            if len(self._found) == self.count:
                return False
            self._found.add(record)
        return len(self._found) == self.count

    def _search_by(self) -> list[Columns]:
        """Return one key that tells every row and that each record has, else all there are."""
        optional = {c.name for c in self._table.load.table.columns if c.has_default}
        for key in self._search:
            query = _COUNT.format(
                self._taken, all_not_null(self._texts[name] for name in key.columns)
            )
            if optional.isdisjoint(key.columns) and self._number(query) == self.count:
                return [key]
        return self._search

    def _values(self, key: Columns) -> list[Values]:
        values = [self._texts[name] for name in key.columns]
        query = sql.SQL("SELECT DISTINCT {} FROM {} WHERE {}").format(
            sql.SQL(", ").join(values), self._taken, all_not_null(values)
        )
        return self._conn.execute(query).fetchall()

    def reload_records(self, reload: Callable[[Iterable[RawRecord]], None]) -> None:
        """Load again what was found, once the keys are in place; count it anew.

        Raises:
            LoadError: it failed; then the report counts what is decided.
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
        """Drop what was noted, where the connection still lets us; the journal goes anyway."""
        self._found.close()
        if self._conn.info.transaction_status is psycopg.pq.TransactionStatus.IDLE:
            for store in (self._taken, self._marked):
                self._conn.execute(_DROP.format(store))


def all_not_null(values: Iterable[sql.Identifier]) -> sql.Composed:
    """Return what is true if none of the values is NULL."""
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
_TAKE_OUT = sql.SQL(
    "WITH restore_gone AS (DELETE FROM {table} AS restore_row"
    " WHERE restore_row.ctid = ANY (ARRAY(SELECT m.row_id FROM {marked} AS m)) AND {ours}"
    " RETURNING {values})"
    " INSERT INTO {store} SELECT restore_gone.* FROM restore_gone"
)
_EXCLUSIONS = sql.SQL("SELECT count(*) FROM pg_index WHERE indrelid = {} AND indisexclusion")
_COUNT = sql.SQL("SELECT count(*) FROM {} WHERE {}")
_SIZE = sql.SQL("SELECT sum(octet_length(t::text)) FROM {} AS t")
