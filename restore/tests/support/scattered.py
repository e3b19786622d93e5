"""Citus and TimescaleDB, or what stands in for them on a server that has no such extension.

A stand-in has the catalogs that list the extension's tables, on a plain server, and refuses
what the extension's documentation and tests say that it refuses, before the server sees it. If the
server has the extension (RESTOREBENCH_TEST_SERVER may name such a one), it is used itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

    from restore.tests.support.target import Target

# Of Citus: "SQL Support and Workarounds", "Creating and Modifying Distributed Objects", and the
# expected errors of its regression tests.
_CITUS = {
    r"SELECT FROM {}": 'a column definition list is required for functions returning "record"',
    r"(ctid|xmin)[^;]*{0}|{0}[^;]*(ctid|xmin)": (
        "direct joins between distributed and local tables are not supported"
    ),
    r"COPY {}.*FREEZE": "COPY FREEZE is not supported on distributed tables",
    r"{}.*DISABLE TRIGGER": "triggers are not supported on distributed tables",
    r"{0} (ADD|DROP) CONSTRAINT|INDEX.* ON {0}|DROP INDEX": (
        "creating unique indexes on non-partition columns is currently unsupported"
    ),
}
# Of TimescaleDB: src/process_utility.c.
_TIMESCALEDB = {
    r"ONLY {}": "ONLY option not supported on hypertable operations",
    r"{0} (ADD|DROP) CONSTRAINT|INDEX.* ON {0}|DROP INDEX": (
        "operation not supported on hypertables that have compression enabled"
    ),
}


def distribute(target: Target, patch: pytest.MonkeyPatch, **columns: str | None) -> None:
    """Distribute tables by Citus: by a column, or as a reference table (None)."""
    if _is_available(target, "citus"):
        target.conn.execute("CREATE EXTENSION citus")
        for table, column in columns.items():
            if column is None:
                target.conn.execute("SELECT create_reference_table(%s)", [table])
            else:
                target.conn.execute("SELECT create_distributed_table(%s, %s)", [table, column])
        return
    _add_extension(target, "citus")
    target.conn.execute(
        "CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass);"
        " RESET allow_system_table_mods"
    )
    for table in columns:
        target.conn.execute("INSERT INTO pg_dist_partition VALUES (%s::regclass)", [table])
    _refuse(patch, columns, _CITUS)


def make_hypertable(target: Target, patch: pytest.MonkeyPatch, table: str, column: str) -> None:
    """Make a hypertable of TimescaleDB of a table; in a stand-in it has a chunk of 1 January."""
    if _is_available(target, "timescaledb"):
        target.conn.execute("CREATE EXTENSION timescaledb")
        target.conn.execute("SELECT create_hypertable(%s, %s)", [table, column])
        return
    _add_extension(target, "timescaledb")
    target.conn.execute(
        "RESET allow_system_table_mods; CREATE SCHEMA _timescaledb_catalog;"
        " CREATE TABLE _timescaledb_catalog.hypertable (schema_name name, table_name name);"
        " CREATE SCHEMA _timescaledb_internal"
    )
    target.conn.execute(
        "INSERT INTO _timescaledb_catalog.hypertable VALUES ('public', %s)", [table]
    )
    target.conn.execute(
        sql.SQL(
            "CREATE TABLE _timescaledb_internal.chunk (LIKE {table} INCLUDING ALL)"
            " INHERITS ({table})"
        ).format(table=sql.Identifier(table))
    )
    _refuse(patch, [table], _TIMESCALEDB)


def _is_available(target: Target, name: str) -> bool:
    query = "SELECT %s = ANY(string_to_array(current_setting('shared_preload_libraries'), ','))"
    [(found,)] = target.conn.execute(query, [name]).fetchall()
    return bool(found)


def _add_extension(target: Target, name: str) -> None:
    target.conn.execute("SET allow_system_table_mods = on")
    target.conn.execute(
        "INSERT INTO pg_extension"
        " (oid, extname, extowner, extnamespace, extrelocatable, extversion)"
        " VALUES (99999, %s, 10, 'pg_catalog'::regnamespace, false, '1')",
        [name],
    )


def _refuse(patch: pytest.MonkeyPatch, tables: Iterable[str], refusals: dict[str, str]) -> None:
    """Refuse statements on tables, as the extension would."""
    names = f"""(ONLY )?"public"."({"|".join(tables)})\""""
    forms = {re.compile(form.format(names)): message for form, message in refusals.items()}

    def check(cursor: psycopg.Cursor[Any], query: Any) -> None:
        text = query if isinstance(query, str | bytes) else query.as_string(cursor)
        text = text.decode() if isinstance(text, bytes) else text
        for form, message in forms.items():
            if form.search(text):
                raise psycopg.errors.FeatureNotSupported(f"{message}: {text}")

    for name in ("execute", "copy"):
        plain = getattr(psycopg.Cursor, name)

        def checked(
            self: psycopg.Cursor[Any], query: Any, *args: Any, plain: Any = plain, **more: Any
        ) -> Any:
            check(self, query)
            return plain(self, query, *args, **more)

        patch.setattr(psycopg.Cursor, name, checked)
