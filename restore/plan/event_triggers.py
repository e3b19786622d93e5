"""Checks that event triggers let the restore make and change what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from restore.errors import SchemaError
from restore.plan.dry_run import writable_session
from restore.target.sqlstate import describe, is_lost

if TYPE_CHECKING:
    from restore.options import Options

# A login trigger, which PostgreSQL 17 brought, has fired by now.
_ENABLED = """
    SELECT evtname FROM pg_event_trigger WHERE evtenabled IN ('O', 'A') AND evtevent <> 'login'
    ORDER BY evtname
"""
# Statements like those of a restore, by the right to the database that they take.
_NEEDS = {
    "TEMP": """
        CREATE TEMP TABLE restore_probe (n int);
        CREATE INDEX restore_probe_n ON pg_temp.restore_probe (n);
        DROP INDEX pg_temp.restore_probe_n;
        ALTER TABLE pg_temp.restore_probe ADD CONSTRAINT restore_probe_one UNIQUE (n);
        ALTER TABLE pg_temp.restore_probe DROP CONSTRAINT restore_probe_one;
        DROP TABLE pg_temp.restore_probe
    """,
    "CREATE": "CREATE SCHEMA restore_probe; DROP SCHEMA restore_probe",
}


def check_event_triggers(conn: psycopg.Connection, options: Options) -> None:
    """Try statements like those of a restore, and undo them.

    Functions of event triggers run with the restore's ``search_path``, which has PostgreSQL's own
    objects alone.

    Args:
        conn: a connection that commits each statement.
        options: a dry run makes no schema.

    Raises:
        SchemaError: an event trigger fails, or forbids them.
    """
    names = [name for (name,) in conn.execute(_ENABLED).fetchall()]
    if not names:
        return
    try:
        with writable_session(conn), conn.transaction(force_rollback=True):
            for right, statements in _NEEDS.items():
                if not (right == "CREATE" and options.dry_run) and _may(conn, right):
                    conn.execute(statements)
    except psycopg.Error as error:
        if is_lost(error):
            raise
        raise SchemaError(
            f"event triggers ({', '.join(names)}) keep the restore from making what it needs:"
            f" {describe(error)}; give their functions a search_path (ALTER FUNCTION ... SET"
            " search_path), or disable them for the restore (ALTER EVENT TRIGGER ... DISABLE)"
        ) from error


def _may(conn: psycopg.Connection, right: str) -> bool:
    """Tell whether the role has a right to the database."""
    query = "SELECT has_database_privilege(current_database(), %s)"
    return conn.execute(query, [right]).fetchone() == (True,)
