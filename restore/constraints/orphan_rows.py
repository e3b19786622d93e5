"""Deletes orphans with set-based SQL, and keeps the deleted rows in a table.

Deleting a row may orphan others, so all keys are checked until no row violates one. A key deletes
one level of descendants at a time. In a cycle of keys there may be as many levels as rows: from the
ninth on, one recursive query over the links between rows finds all descendants.
"""

from __future__ import annotations

import contextlib
import heapq
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from psycopg import sql

from restore.plan.order import cycles_of
from restore.target.connection import users_search_path
from restore.target.deletion import with_replica_identity
from restore.target.trust import revoke_default_grants

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import psycopg

    from restore.target.catalog import ForeignKey, Table
    from restore.target.own_rows import WriteLog

# A pass over a table costs less than its links, and most trees are no deeper.
_MOST_LEVELS = 8
# No name of a user's can equal these where they stand: all columns are qualified by them.
_CHILD = "restore_child"
_PARENT = "restore_parent"


def row_key(table: Table) -> tuple[str, ...]:
    """Return the columns of the first unique key by which a file can tell its rows, if any."""
    loaded = {column.name for column in table.columns if not column.generated}
    keys = (key.columns for key in table.unique_keys if loaded.issuperset(key.columns))
    return next(keys, ())


def free_names(tables: Iterable[Table], schema: str, *names: str) -> list[sql.Identifier]:
    """Return names of tables in a schema that none of these tables has there."""
    taken = {table.name for table in tables if table.schema == schema}
    free = []
    for name in names:
        unused = name
        while unused in taken:
            unused += "_"
        free.append(sql.Identifier(schema, unused))
    return free


class OrphanRows:
    """The rows that foreign keys forbid, and the store that they are moved to.

    Args:
        conn: a connection to the target, on which the keys do not hold now.
        tables: every table that the keys name, by oid.
        keys: the foreign keys, those of parents before those of their children.
        schema: where the store is; an earlier process may have left it there.
        writes: tells the rows that may be taken out; None: all may.
        triggers: users' triggers fire for rows that are deleted.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        tables: dict[int, Table],
        keys: Sequence[ForeignKey],
        *,
        schema: str,
        writes: WriteLog | None = None,
        triggers: bool = False,
    ) -> None:
        self._conn = conn
        self._tables = tables
        self._keys = keys
        self._writes = writes
        self._triggers = triggers
        names = ("orphans", "orphans_links", "orphans_gone", "orphans_left")
        self.store, self._links, self._gone, self.left = free_names(tables.values(), schema, *names)
        self._by_parent: dict[int, list[int]] = defaultdict(list)
        for number, key in enumerate(keys):
            self._by_parent[key.parent].append(number)
        self._cycles = _cycles(keys)

    @property
    def is_unfinished(self) -> bool:
        """Tell whether there is a store, whose rows' records are not all rejected yet."""
        query = "SELECT pg_catalog.to_regclass(%s) IS NOT NULL"
        return self._conn.execute(query, [self.store.as_string(self._conn)]).fetchone() == (True,)

    def delete_orphans(self) -> dict[int, int]:
        """Move rows to the store until no key forbids any.

        Returns:
            How many rows of each table are in the store, by its oid.
        """
        with self._conn.transaction():
            self._conn.execute(_MAKE_STORE.format(self.store))
            revoke_default_grants(self._conn)
        waiting = list(range(len(self._keys)))
        queued = set(waiting)
        levels: Counter[int] = Counter()
        while waiting:
            # Parents first: then a table has mostly lost its rows when its children are looked at.
            number = heapq.heappop(waiting)
            queued.remove(number)
            cycle = self._cycles.get(number, ()) if levels[number] >= _MOST_LEVELS else ()
            for each in cycle or (number,):
                levels[each] = 0 if cycle else levels[each] + 1
            taken = self._delete_cycle(cycle) if cycle else self._delete_level(number)
            for table in {self._keys[each].table for each in cycle or (number,)} if taken else ():
                for child in self._by_parent[table]:
                    if child not in queued:
                        queued.add(child)
                        heapq.heappush(waiting, child)
        self._conn.execute(_INDEX_STORE.format(self.store))
        return dict(self._conn.execute(_COUNTS.format(self.store)).fetchall())

    def drop(self) -> None:
        """Drop the store and what was made beside it."""
        for each in (self.store, self.left):
            self._conn.execute(_DROP.format(each))

    def _delete_level(self, number: int) -> int:
        """Move the rows that a key forbids now; return how many they were."""
        key = self._keys[number]
        child, parent = key.child_table(self._tables), key.parent_table(self._tables).sql_only
        is_orphan = sql.SQL("{} AND NOT {}").format(
            key.present(_CHILD), key.has_parent(_CHILD, _PARENT, parent)
        )
        parts = {"gone": self._gone, "child": sql.Identifier(_CHILD)}
        # Whose row it is would be asked of all rows of the table, if not of these alone.
        where = sql.SQL("{} AND {} AND {}").format(
            _IS_AMONG.format(**parts),
            self._is_ours(key),
            is_orphan if child.partitioned else sql.SQL("true"),
        )
        with self._conn.transaction():
            self._conn.execute(_FIND.format(**parts, table=child.sql_only, where=is_orphan))
            taken = self._move(key, sql.SQL(""), where)
            self._conn.execute(_DROP.format(self._gone))
        return taken

    def _concerned(self, key: ForeignKey) -> sql.Composed:
        """Return what is true of a row that refers to something and may be taken out."""
        return sql.SQL("{} AND {}").format(key.present(_CHILD), self._is_ours(key))

    def _is_ours(self, key: ForeignKey) -> sql.Composable:
        return sql.SQL("true") if self._writes is None else self._writes.is_ours(key.table, _CHILD)

    def _firing(self) -> contextlib.AbstractContextManager[None]:
        """Let triggers that fire for deleted rows find what they name."""
        return users_search_path(self._conn) if self._triggers else contextlib.nullcontext()

    def _move(self, key: ForeignKey, using: sql.Composable, where: sql.Composable) -> int:
        query = _MOVE.format(
            store=self.store,
            child=sql.Identifier(_CHILD),
            table=key.child_table(self._tables).sql_only,
            using=using,
            where=where,
            key_table=sql.Literal(key.table),
            key_name=sql.Literal(key.label),
            key_values=_texts(key.lookup_columns or key.columns),
            row_key=_texts(row_key(self._tables[key.table])),
        )

        def move() -> int:
            with self._firing():
                return self._conn.execute(query).rowcount

        return with_replica_identity(self._conn, key.table, move)

    def _delete_cycle(self, cycle: Sequence[int]) -> int:
        """Move the rows that keys of a cycle forbid, and all their descendants within it."""
        with self._conn.transaction():
            self._conn.execute(_MAKE_LINKS.format(self._links))
            for number in cycle:
                self._link(number)
            self._conn.execute(_INDEX_LINKS.format(self._links))
            # A row is reached once by a single key; by several keys, perhaps again and again.
            union = sql.SQL("UNION ALL" if len(cycle) == 1 else "UNION")
            names = {"links": self._links, "gone": self._gone, "union": union}
            self._conn.execute(_DESCEND.format(**names))
            taken = 0
            for number in cycle:
                using = sql.SQL("USING {} AS restore_gone").format(self._gone)
                where = _IS_GONE.format(child=sql.Identifier(_CHILD), key=sql.Literal(number))
                taken += self._move(self._keys[number], using, where)
            self._conn.execute(_DROP.format(self._links))
            self._conn.execute(_DROP.format(self._gone))
            return taken

    def _link(self, number: int) -> None:
        """Note each row that a key concerns, with its parent; NULL: it has none."""
        key = self._keys[number]
        query = _LINK.format(
            links=self._links,
            child=sql.Identifier(_CHILD),
            parent=sql.Identifier(_PARENT),
            table=key.child_table(self._tables).sql_only,
            parent_table=key.parent_table(self._tables).sql_only,
            matches=key.matches(_CHILD, _PARENT),
            concerned=self._concerned(key),
            number=sql.Literal(number),
        )
        self._conn.execute(query)


def _texts(columns: Sequence[str]) -> sql.Composable:
    """Return the texts of a row's values; NULL if there are no columns."""
    if not columns:
        return sql.NULL
    return sql.SQL("ARRAY[{}]").format(
        sql.SQL(", ").join(
            sql.SQL('{}::pg_catalog.text COLLATE pg_catalog."C"').format(
                sql.Identifier(_CHILD, name)
            )
            for name in columns
        )
    )


def _cycles(keys: Sequence[ForeignKey]) -> dict[int, tuple[int, ...]]:
    """Return the keys that form a cycle with each key that is in one, by their numbers.

    Only those that refer to one parent: many parents may cover a period together.
    """
    links: dict[int, set[int]] = defaultdict(set)
    for key in keys:
        links[key.table] |= set() if key.period else {key.parent}
        links[key.parent] |= set()
    cycles = cycles_of(links)
    members: dict[int, list[int]] = defaultdict(list)
    for number, key in enumerate(keys):
        if not key.period and cycles[key.table] == cycles[key.parent]:
            members[cycles[key.table]].append(number)
    return {number: cycle for cycle in map(tuple, members.values()) for number in cycle}


_MAKE_STORE = sql.SQL(
    "CREATE TABLE IF NOT EXISTS {} (key_table oid NOT NULL, key_name text NOT NULL,"
    ' key_values text[] COLLATE "C" NOT NULL, row_key text[] COLLATE "C", taken text NOT NULL)'
)
# Each table's rows are read by themselves.
_INDEX_STORE = sql.SQL("CREATE INDEX ON {0} (key_table); ANALYZE {0}")
_COUNTS = sql.SQL("SELECT key_table, count(*) FROM {} GROUP BY key_table")
_DROP = sql.SQL("DROP TABLE IF EXISTS {}")
# Runs with users' search path if their triggers fire: each name has its schema.
_MOVE = sql.SQL(
    "WITH restore_taken AS (DELETE FROM {table} AS {child} {using} WHERE {where}"
    " RETURNING {key_values} AS key_values, {row_key}::pg_catalog.text[] AS row_key,"
    " pg_catalog.row_to_json({child}.*)::pg_catalog.text AS taken)"
    " INSERT INTO {store} (key_table, key_name, key_values, row_key, taken)"
    " SELECT {key_table}::pg_catalog.oid, {key_name}::pg_catalog.text, restore_taken.key_values,"
    " restore_taken.row_key, restore_taken.taken FROM restore_taken"
)
# By several processes, which a DELETE may not use. The transaction has a number before it looks at
# rows, so that no other row takes the place of one that it finds.
_FIND = sql.SQL(
    "SELECT pg_catalog.pg_current_xact_id();"
    " CREATE TABLE {gone} AS SELECT {child}.ctid AS row_id FROM {table} AS {child} WHERE {where}"
)
# A partition may have a row of the same place.
_IS_AMONG = sql.SQL(
    "{child}.ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
    "SELECT restore_gone.row_id FROM {gone} AS restore_gone))"
)
_MAKE_LINKS = sql.SQL(
    "CREATE TABLE {} (child_table oid, child tid, parent_table oid, parent tid, key_number int4)"
)
_LINK = sql.SQL(
    "INSERT INTO {links} SELECT {child}.tableoid, {child}.ctid, {parent}.tableoid, {parent}.ctid,"
    " {number} FROM {table} AS {child} LEFT JOIN {parent_table} AS {parent} ON {matches}"
    " WHERE {concerned}"
)
_INDEX_LINKS = sql.SQL("CREATE INDEX ON {0} (parent, parent_table); ANALYZE {0}")
# A level may be one row: it is looked up, never joined with all links.
_DESCEND = sql.SQL(
    "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;"
    " SET LOCAL enable_seqscan = off;"
    " CREATE TABLE {gone} AS WITH RECURSIVE gone (row_table, row_id, key_number) AS ("
    "SELECT l.child_table, l.child, l.key_number FROM {links} AS l WHERE l.parent IS NULL"
    " {union} SELECT l.child_table, l.child, l.key_number FROM gone JOIN {links} AS l"
    " ON l.parent = gone.row_id AND l.parent_table = gone.row_table)"
    " SELECT row_table, row_id, min(key_number) AS key_number FROM gone GROUP BY row_table, row_id;"
    " SET LOCAL enable_hashjoin TO DEFAULT; SET LOCAL enable_mergejoin TO DEFAULT;"
    " SET LOCAL enable_seqscan TO DEFAULT; ANALYZE {gone}"
)
_IS_GONE = sql.SQL(
    "{child}.ctid OPERATOR(pg_catalog.=) restore_gone.row_id"
    " AND {child}.tableoid OPERATOR(pg_catalog.=) restore_gone.row_table"
    " AND restore_gone.key_number OPERATOR(pg_catalog.=) {key}::pg_catalog.int4"
)
