"""Deletes rows, if the table allows it; also from published tables without an identity.

A rule or a trigger may keep rows that a DELETE names, and PostgreSQL refuses to delete from a table
that is published without a replica identity.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

import psycopg
from psycopg import sql

from restore.errors import LoadError
from restore.target.queries import load_query
from restore.target.relations import has_rows, with_partitions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from restore.target.catalog import Table
    from restore.target.own_rows import WriteLog

T = TypeVar("T")

_KEEPERS = load_query("delete_blockers")
# A table of another access method may take no DELETE, as those of Citus's and Hydra's columnar do.
_OTHER_STORAGE = """
    SELECT DISTINCT u.oid, a.amname FROM unnest(%s::oid[]) AS u(oid)
    CROSS JOIN LATERAL (SELECT u.oid UNION SELECT relid FROM pg_partition_tree(u.oid)) AS t(oid)
    JOIN pg_class c ON c.oid = t.oid JOIN pg_am a ON a.oid = c.relam
    WHERE a.amname NOT IN ('heap', 'tde_heap')
"""
_ROLE = "SELECT current_setting('session_replication_role')"
_PUBLISHED = load_query("published")
_LEAVES = """
    SELECT n.nspname, c.relname, c.relreplident FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = ANY(%s) AND c.relkind = 'r' AND c.relreplident <> 'f' ORDER BY 1, 2
"""
_UPDATABLE = """
    SELECT attname FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped
      AND attgenerated = '' AND attidentity <> 'a' LIMIT 1
"""
_IDENTITIES = {"d": "DEFAULT", "n": "NOTHING"}
# No replica identity; one that lacks columns that a publication filters by, or lists.
_LACKS_IDENTITY = (
    psycopg.errors.ObjectNotInPrerequisiteState,
    psycopg.errors.InvalidColumnReference,
)


def undeletable_tables(
    conn: psycopg.Connection, oids: Iterable[int], *, triggers: bool
) -> dict[int, str]:
    """Return the tables from which rows cannot be deleted, with the reason for each.

    Args:
        conn: a connection that commits each statement.
        oids: the tables.
        triggers: users' triggers fire.
    """
    tables = list(oids)
    [(role,)] = conn.execute(_ROLE).fetchall()
    enabled = ["A", "R"] if role == "replica" else ["A", "O"]
    found: dict[int, str] = {}
    for oid in tables:
        family = with_partitions(conn, [oid]) if triggers else [oid]
        given = {"oids": family, "enabled": enabled, "triggers": triggers}
        names = [name for _, name in conn.execute(_KEEPERS, given).fetchall()]
        if names:
            found[oid] = f"its {', '.join(names)} may keep rows that are to be deleted"
    for oid, method in conn.execute(_OTHER_STORAGE, [tables]).fetchall():
        found[oid] = f"its access method {method} may delete no rows"
    for (oid,) in conn.execute(_PUBLISHED, [tables]).fetchall():
        if oid not in found and (refusal := _delete_refusal(conn, oid)) is not None:
            found[oid] = refusal
    return found


def _delete_refusal(conn: psycopg.Connection, oid: int) -> str | None:
    """Return why a DELETE from a published table fails even with a replica identity."""
    name = _name(conn, oid)
    explain = sql.SQL("EXPLAIN DELETE FROM {}").format(name)
    try:
        with conn.transaction(force_rollback=True):
            with_replica_identity(conn, oid, lambda: conn.execute(explain))
    except psycopg.Error as error:
        return " ".join((error.diag.message_primary or str(error)).split())
    return None


def _identity_error(conn: psycopg.Connection, oid: int, statement: sql.Composed) -> str | None:
    """Return why a statement on a published table fails for lack of a replica identity."""
    if conn.execute(_PUBLISHED, [[oid]]).fetchone() is None:
        return None
    try:
        with conn.transaction():
            conn.execute(sql.SQL("EXPLAIN {}").format(statement))
    except _LACKS_IDENTITY as error:
        return " ".join((error.diag.message_primary or str(error)).split())
    return None


def update_refusal(conn: psycopg.Connection, oid: int) -> str | None:
    """Return why an UPDATE of a published table fails; None: it does not."""
    column = conn.execute(_UPDATABLE, [oid]).fetchone()
    if column is None:
        return None
    update = sql.SQL("UPDATE {} SET {} = DEFAULT")
    return _identity_error(conn, oid, update.format(_name(conn, oid), sql.Identifier(column[0])))


def _name(conn: psycopg.Connection, oid: int) -> sql.SQL:
    [(name,)] = conn.execute("SELECT %s::oid::regclass::text", [oid]).fetchall()
    return sql.SQL(name)  # PostgreSQL has quoted it, with its schema


def with_replica_identity(conn: psycopg.Connection, oid: int, call: Callable[[], T]) -> T:
    """Call a function that deletes rows of a table, in a transaction.

    A table that is published without a replica identity gets one for this transaction alone: all of
    the row (``REPLICA IDENTITY FULL``).

    Args:
        conn: a connection; within a transaction, a savepoint is used.
        oid: the table.
        call: deletes; it is called again if the server has refused it for want of an identity.

    Raises:
        psycopg.Error: the server refused.
    """
    try:
        with conn.transaction():
            return call()
    except _LACKS_IDENTITY:
        pass
    with conn.transaction(), _full_replica_identity(conn, oid):
        return call()


@contextlib.contextmanager
def _full_replica_identity(conn: psycopg.Connection, oid: int) -> Iterator[None]:
    leaves = conn.execute(_LEAVES, [with_partitions(conn, [oid])]).fetchall()
    alter = sql.SQL("ALTER TABLE ONLY {} REPLICA IDENTITY {}")
    known = [
        (sql.Identifier(*name), _IDENTITIES[now]) for *name, now in leaves if now in _IDENTITIES
    ]
    for name, _ in known:
        conn.execute(alter.format(name, sql.SQL("FULL")))
    yield
    for name, before in known:
        conn.execute(alter.format(name, sql.SQL(before)))


def empty_own_rows(conn: psycopg.Connection, table: Table, writes: WriteLog) -> None:
    """Empty a table within a transaction, if this restore wrote all of its rows.

    Raises:
        LoadError: another session wrote rows of it, or changed some.
        psycopg.Error: the server refused.
    """
    conn.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table.sql_only))
    others = sql.SQL("SELECT count(*) FROM {} AS restore_row WHERE NOT {}").format(
        table.sql_only, writes.is_ours(table.oid, "restore_row")
    )
    [(count,)] = conn.execute(others).fetchall()
    if count:
        raise LoadError(
            f"cannot reload table {table.name} from the beginning: it holds {count:,}"
            " rows that another session wrote meanwhile; stop what writes there, save these rows,"
            " and start over with --clean"
        )
    try:
        # Not a DELETE, if it can be: an index is also built over rows that just went.
        with conn.transaction():
            conn.execute(sql.SQL("TRUNCATE {}").format(table.sql_only))
    except psycopg.errors.FeatureNotSupported:  # tables outside the backup refer to it
        delete = sql.SQL("DELETE FROM {}").format(table.sql_only)
        with_replica_identity(conn, table.oid, lambda: conn.execute(delete))


def delete_all_rows(conn: psycopg.Connection, tables: Iterable[Table]) -> None:
    """Delete all rows of tables; others can read them until the transaction ends.

    One statement does it, so that foreign keys are looked at when all tables are empty.

    Raises:
        LoadError: a trigger kept rows.
    """
    filled = [table for table in tables if has_rows(conn, table)]
    if not filled:
        return
    deletes = [sql.SQL("DELETE FROM {}").format(table.sql_only) for table in filled]
    parts = [
        sql.SQL("{} AS ({})").format(sql.Identifier(f"restore_delete_{n}"), each)
        for n, each in enumerate(deletes[1:])
    ]
    first = sql.SQL("WITH {} ").format(sql.SQL(", ").join(parts)) if parts else sql.SQL("")
    with contextlib.ExitStack() as identified:
        for table in filled:
            delete = sql.SQL("DELETE FROM {}").format(table.identifier)
            if _identity_error(conn, table.oid, delete) is not None:
                identified.enter_context(_full_replica_identity(conn, table.oid))
        conn.execute(first + deletes[0])
    if left := [table.name for table in filled if has_rows(conn, table)]:
        raise LoadError(
            f"rows are left in {', '.join(left)} after all were deleted: a trigger kept them, or"
            " another session wrote them; restore without --atomic or --triggers"
        )
