"""Databases that tests use one after another, emptied in between.

Creating and dropping one costs a checkpoint each, and the first connection to it builds its caches:
together five times what emptying one costs. A database is used again only if its system catalogs
hold nothing newer than itself; else it is dropped, and the next test gets another.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg.abc import Query

    from harness.servers import RunningServer

# Each test leaves dead rows in the catalogs, faster than autovacuum looks for them.
MAX_USES = 40

# A backend that does not end, or a lock that it holds, must not hang the tests.
TIMEOUT = "10s"

# Schema public stays: a new one would lack the privileges of the one that initdb makes.
_EMPTY = """
DO $$
DECLARE
    one record;
BEGIN
    PERFORM pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
    FOR one IN
        SELECT nspname FROM pg_namespace
        WHERE oid >= 16384 AND nspname !~ '^pg_(toast_)?temp_'
    LOOP
        EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE', one.nspname);
    END LOOP;
    FOR one IN
        SELECT object.* FROM pg_depend AS d, pg_identify_object(classid, objid, objsubid) AS object
        WHERE refclassid = 'pg_namespace'::regclass AND refobjid = 'public'::regnamespace
            AND NOT EXISTS ( -- of another object, with which it goes
                SELECT FROM pg_depend AS part
                WHERE part.classid = d.classid AND part.objid = d.objid
                    AND part.deptype IN ('i', 'e', 'P', 'S') AND part.refobjid <> d.objid
            )
    LOOP
        CONTINUE WHEN one.identity IS NULL; -- it went with another
        EXECUTE format('DROP %s IF EXISTS %s CASCADE', one.type, one.identity);
    END LOOP;
END
$$
"""

# Neither settings nor privileges of the database, and no role that still owns something in it.
_IS_UNCHANGED = """
SELECT datacl IS NULL AND datconnlimit = -1 AND datdba = 10
    AND NOT EXISTS (SELECT FROM pg_db_role_setting WHERE setdatabase = d.oid)
    AND NOT EXISTS (SELECT FROM pg_shdepend AS s WHERE s.dbid = d.oid)
    AND NOT EXISTS (SELECT FROM pg_shdescription AS s WHERE s.objoid = d.oid)
FROM pg_database AS d WHERE datname = current_database()
"""

# Statistics of the catalogs are no change; schemas of temporary tables stay, empty.
_CATALOGS = """
SELECT c.relname, EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'nspname'
) FROM pg_class AS c
WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND NOT relisshared
    AND relname <> 'pg_statistic'
"""
_NEWER = "(SELECT count(*) FROM pg_catalog.{} WHERE age(xmin) <= age({}::xid){})"
_NO_TEMPORARY = " AND nspname !~ '^pg_(toast_)?temp_'"


@dataclass(slots=True)
class _Lease:
    """A database of the pool: dropped when ``stack`` closes."""

    dsn: str
    stack: contextlib.ExitStack
    uses: int = 0
    count_newer: Query = ""


class DatabasePool:
    """Hands out empty databases of a server.

    Args:
        server: where they are.
    """

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._idle: list[_Lease] = []

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Have an empty database; yield its URL."""
        lease = self._idle.pop() if self._idle else self._create()
        lease.uses += 1
        try:
            yield lease.dsn
        finally:
            if lease.uses < MAX_USES and self._empty(lease):
                self._idle.append(lease)
            else:
                lease.stack.close()

    def close(self) -> None:
        """Drop the databases."""
        while self._idle:
            self._idle.pop().stack.close()

    def _create(self) -> _Lease:
        with contextlib.ExitStack() as stack:
            dsn = stack.enter_context(self._server.database())
            lease = _Lease(dsn, contextlib.ExitStack())
            with self._connect(lease) as connection:
                row = connection.execute("SELECT pg_current_xact_id()::xid::text").fetchone()
                assert row is not None
                lease.count_newer = _count_newer(row[0], connection.execute(_CATALOGS).fetchall())
            lease.stack = stack.pop_all()
            return lease

    def _empty(self, lease: _Lease) -> bool:
        """Drop all that is in a database; return whether it is as it was when it was new."""
        try:
            with self._connect(lease) as connection:
                connection.execute(_EMPTY)
                newer = connection.execute(lease.count_newer).fetchone()
                unchanged = connection.execute(_IS_UNCHANGED).fetchone()
        except psycopg.Error:  # not worth finding out why: the next test gets a new one
            return False
        return newer == (0,) and unchanged == (True,)

    def _connect(self, lease: _Lease) -> psycopg.Connection[tuple[Any, ...]]:
        connection = self._server.connect(str(conninfo_to_dict(lease.dsn)["dbname"]))
        connection.execute(f"SET client_min_messages = error; SET lock_timeout = '{TIMEOUT}'")
        return connection


def _count_newer(transaction: str, catalogs: list[tuple[str, bool]]) -> sql.Composed:
    """Return the query that counts the catalogs' rows since a transaction."""
    counts = [
        sql.SQL(_NEWER).format(
            sql.Identifier(name), transaction, sql.SQL(_NO_TEMPORARY if has_schemas else "")
        )
        for name, has_schemas in catalogs
    ]
    return sql.SQL("SELECT ") + sql.SQL(" + ").join(counts)
