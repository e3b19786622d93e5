"""Rows go beside others that are there, by way of a staging table: skip and replace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from restore.load.copy import CopyFailure, copy_rows, copy_statement
from restore.load.destination import (
    CopyDestination,
    Destination,
    KeptOutError,
    Sent,
    Value,
    insert_statement,
    insert_statement_into,
)
from restore.target.conflicts import read_conflicts, replace_key
from restore.target.connection import catalog_search_path
from restore.target.foreign_keys import read_foreign_keys
from restore.target.sqlstate import is_transient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restore.decode.codec import Codec
    from restore.decode.rows import PackedRows
    from restore.options import OnConflict, Options
    from restore.plan.order import Plan
    from restore.target.catalog import ForeignKey, Table
    from restore.target.own_rows import WriteLog

_STAGING = sql.Identifier("pg_temp", "restore_staging")


_TARGET = "restore_target"
_CONFLICTING = sql.SQL(
    "SELECT restore_new.row_id FROM ({staged}) AS restore_new"
    " WHERE EXISTS (SELECT FROM ({there}) AS restore_old WHERE {matches})"
)
# Which of them it is shows row by row.
_NOT_ALL = CopyFailure(None, "some rows share a key, or a trigger kept them out", None)

_CHILD, _PARENT = "restore_child", "restore_parent"
# Staged rows stand in the order in which they were sent.
_ORPHANS = sql.SQL(
    "SELECT s.number FROM (SELECT pg_catalog.row_number() OVER () AS number, {orphan} AS is_orphan"
    " FROM {staging} AS restore_child) AS s WHERE s.is_orphan ORDER BY s.number"
)
_PARENTS = """
    SELECT c.oid, n.nspname, c.relname, c.relkind = 'p'
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = ANY(%s) AND has_table_privilege(c.oid, 'SELECT')
      AND NOT row_security_active(c.oid)
"""


class UpsertDestination:
    """Rows go beside others that are there; ``skip`` leaves these, ``replace`` overwrites them.

    A COPY cannot say ON CONFLICT, so it goes to a temporary table first. Of two records of the
    backup with one key the first wins, as everywhere: ``replace`` overwrites only rows that this
    restore did not write. A record that lacks a part of the key replaces nothing: no
    row is meant by the value that the database gives it.

    Args:
        conn: the connection that loads.
        table: the target.
        mode: ``skip`` or ``replace``.
        writes: tells the rows that this restore wrote.

    Raises:
        SchemaError: a row to replace could not be told by a key.
    """

    def __init__(
        self, conn: psycopg.Connection, table: Table, mode: OnConflict, writes: WriteLog
    ) -> None:
        self._conn = conn
        self._table = table
        self._writes = writes
        self._replaces = mode == "replace"
        self._key = replace_key(table).columns if self._replaces else ()
        name = replace_key(table).name if self._replaces else None
        found = read_conflicts(conn, table.identifier)
        self._conflicts = [each for each in found if name is None or each.name == name]
        self._orphan = _orphan(conn, table)
        self._there = sql.SQL("NOT {}").format(writes.is_ours(table.oid, table.name))
        self._older = sql.SQL("NOT {}").format(writes.is_ours(table.oid, _TARGET))
        conn.execute(
            sql.SQL(
                "DROP TABLE IF EXISTS {staging}; CREATE TEMP TABLE restore_staging"
                " (LIKE {table} INCLUDING GENERATED) ON COMMIT DELETE ROWS"
            ).format(staging=_STAGING, table=table.identifier)
        )
        for column in table.columns:
            conn.execute(
                sql.SQL("ALTER TABLE {} ALTER {} DROP NOT NULL").format(
                    _STAGING, sql.Identifier(column.name)
                )
            )

    def copy(self, codec: Codec, rows: PackedRows) -> Sent | CopyFailure:
        """Take rows of one codec, by COPY; after a failure the transaction must end."""
        try:
            # Rows that came in earlier in this transaction are ours.
            self._writes.record(self._conn, self._table.oid)
            # COPYs may share a transaction, and only at its end do the rows go by themselves.
            self._conn.execute(sql.SQL("DELETE FROM {}").format(_STAGING))
            statement = copy_statement(_STAGING, codec)
            outcome = copy_rows(self._conn, statement, codec, rows, relation="restore_staging")
            if isinstance(outcome, CopyFailure):
                return outcome
            orphans = self._orphans()
            if orphans:
                return CopyFailure(None, "a foreign key forbids rows", orphans[0], orphans)
            return self._move(codec.columns, len(rows))
        except psycopg.errors.CardinalityViolation:
            return _NOT_ALL
        except psycopg.Error as error:
            if is_transient(error):
                raise
            return CopyFailure(error, error.diag.message_primary or str(error), None)

    def _orphans(self) -> tuple[int, ...]:
        """Return the places of the staged rows that a foreign key forbids.

        The server names none: without this a batch is halved until each is alone.
        """
        if self._orphan is None:
            return ()
        query = _ORPHANS.format(staging=_STAGING, orphan=self._orphan)
        return tuple(int(number) - 1 for (number,) in self._conn.execute(query).fetchall())

    def _move(self, columns: Sequence[str], count: int) -> Sent | CopyFailure:
        """Move what is staged into the table."""
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        merges = not self._replaces or set(self._key) <= set(columns)
        there = self._count_there() if self._replaces and merges else 0
        moved = self._conn.execute(
            sql.SQL(
                "INSERT INTO {} AS {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} {}"
            ).format(
                self._table.identifier,
                sql.Identifier(_TARGET),
                names,
                names,
                _STAGING,
                self._on_conflict() if merges else sql.SQL(""),
            )
            if columns
            else sql.SQL("INSERT INTO {} DEFAULT VALUES").format(self._table.identifier)
        ).rowcount
        if moved == count:
            return Sent(moved, 0, there)
        if self._replaces or (skipped := self._count_there()) < count - moved:
            return _NOT_ALL
        return Sent(moved, skipped)

    def _count_there(self) -> int:
        """Count the staged rows that conflict with a row that this restore did not write."""
        if not self._conflicts:
            return 0
        name = self._table.name
        found = [
            _CONFLICTING.format(
                staged=conflict.select(name, _STAGING),
                there=conflict.select(name, self._table.sql_only, self._there),
                matches=conflict.matches("restore_new", "restore_old"),
            )
            for conflict in self._conflicts
        ]
        query = sql.SQL("SELECT count(*) FROM ({}) AS restore_found")
        with catalog_search_path(self._conn):
            [(count,)] = self._conn.execute(query.format(sql.SQL(" UNION ").join(found))).fetchall()
        return int(count)

    def insert(self, values: Sequence[Value]) -> Sent:
        """Take one row.

        Raises:
            psycopg.Error: the server refused it; the backup had its key before, for one.
            KeptOutError: a trigger kept it out.
        """
        parameters = [value.value for value in values]
        self._conn.execute(sql.SQL("DELETE FROM {}").format(_STAGING))
        self._conn.execute(insert_statement_into(_STAGING, values), parameters)
        sent = self._move([value.column.name for value in values], 1)
        if not isinstance(sent, CopyFailure):
            return sent
        # So that the server says which key it is.
        if not self._conn.execute(insert_statement(self._table, values), parameters).rowcount:
            raise KeptOutError
        return Sent(1)

    def probe(self, columns: Sequence[str]) -> None:
        """Move no rows of these columns into the table.

        Raises:
            psycopg.Error: the table takes none.
        """
        self._conn.execute(sql.SQL("DELETE FROM {}").format(_STAGING))
        if columns:  # without any, a row would be made
            self._move(columns, 0)

    def _on_conflict(self) -> sql.Composable:
        if not self._replaces:
            return sql.SQL("ON CONFLICT DO NOTHING")
        # What the database numbers keeps its number.
        numbered = {sequence.column for sequence in self._table.sequences}
        others = [
            column.name
            for column in self._table.columns
            if not (column.generated or column.identity or column.name in numbered)
            and column.name not in self._key
        ]
        sets = [
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name))
            for name in others or self._key[:1]
        ]
        return sql.SQL("ON CONFLICT ({}) DO UPDATE SET {} WHERE {}").format(
            sql.SQL(", ").join(map(sql.Identifier, self._key)),
            sql.SQL(", ").join(sets),
            self._older,
        )


def _orphan(conn: psycopg.Connection, table: Table) -> sql.Composed | None:
    """Return what is true of a row that a foreign key in place forbids; None if none can be told.

    A row's parent in the table itself may come with it, so such keys are left to the server, and so
    are those of a partition alone.
    """
    keys = [
        key
        for key in read_foreign_keys(conn, [table.oid])[table.oid]
        if key.parent != table.oid and (key.holder is None or key.holder.is_above)
    ]
    parents = {
        oid: sql.SQL("{}" if partitioned else "ONLY {}").format(sql.Identifier(schema, name))
        for oid, schema, name, partitioned in conn.execute(_PARENTS, [[k.parent for k in keys]])
    }
    tests = [
        sql.SQL("({} AND NOT {})").format(
            key.present(_CHILD), key.has_parent(_CHILD, _PARENT, parents[key.parent])
        )
        for key in keys
        if key.parent in parents and key.enforced
    ]
    return sql.SQL(" OR ").join(tests) if tests else None


def make_destination(
    conn: psycopg.Connection, table: Table, options: Options, writes: WriteLog | None
) -> Destination:
    """Return how a table's rows go in.

    Args:
        conn: a connection that commits each statement.
        table: the target.
        options: what becomes of a record whose key is there already.
        writes: tells the rows that this restore wrote; None only if such a record is rejected.

    Raises:
        SchemaError: rows to replace could not be told by a key.
    """
    if options.on_conflict != "reject" and writes is not None:
        return UpsertDestination(conn, table, options.on_conflict, writes)
    return CopyDestination(conn, table)


def keys_to_drop(plan: Plan, options: Options) -> tuple[ForeignKey, ...]:
    """Return the foreign keys to drop: all of empty tables, else those that cannot hold.

    A row that is replaced keeps the key by which it is told, and may lose another that older rows
    refer to: such a key has to hold all the time.
    """
    if plan.mode.is_atomic:
        return plan.deferred_keys
    if not options.append:
        return tuple(key for key in plan.keys if key.table not in plan.fixed)
    if options.on_conflict != "replace":
        return plan.deferred_keys
    told_by = {oid: replace_key(table).columns for oid, table in plan.tables.items()}
    return tuple(key for key in plan.deferred_keys if key.parent_columns == told_by[key.parent])
