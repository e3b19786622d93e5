"""Finds the tables whose rows users' functions check: what these read may be loaded later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restore.target.triggers import read_triggers

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

# Functions of PostgreSQL itself are not in pg_depend: they read no table.
_CALLS = """
    WITH RECURSIVE tree (root, oid) AS (
        SELECT c.oid, c.oid FROM pg_class c WHERE c.oid = ANY(%s)
        UNION SELECT t.root, i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid
    ), types (root, oid) AS (
        SELECT t.root, a.atttypid FROM tree t JOIN pg_attribute a ON a.attrelid = t.oid
        WHERE a.attnum > 0 AND NOT a.attisdropped
        UNION
        SELECT u.root, v.oid FROM types u JOIN pg_type w ON w.oid = u.oid
        JOIN pg_type v ON v.oid IN (w.typbasetype, w.typelem)
    ), parts (root, class, oid) AS (
        SELECT t.root, 'pg_constraint'::regclass, k.oid
        FROM tree t JOIN pg_constraint k ON k.conrelid = t.oid WHERE k.contype = 'c'
        UNION ALL
        SELECT t.root, 'pg_constraint'::regclass, k.oid
        FROM types t JOIN pg_constraint k ON k.contypid = t.oid
        UNION ALL
        SELECT t.root, 'pg_attrdef'::regclass, d.oid
        FROM tree t JOIN pg_attrdef d ON d.adrelid = t.oid
        UNION ALL
        SELECT t.root, 'pg_class'::regclass, i.indexrelid
        FROM tree t JOIN pg_index i ON i.indrelid = t.oid
    )
    SELECT DISTINCT p.root FROM parts p
    JOIN pg_depend d ON d.classid = p.class AND d.objid = p.oid
    WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)
"""


def tables_with_code(conn: psycopg.Connection, oids: Iterable[int], *, triggers: bool) -> set[int]:
    """Return those of these tables whose rows users' functions check or compute.

    Args:
        conn: a connection.
        oids: the tables.
        triggers: triggers fire.
    """
    wanted = list(oids)
    found = {oid for (oid,) in conn.execute(_CALLS, [wanted]).fetchall()}
    if triggers:
        found |= {oid for oid in wanted if oid not in found and read_triggers(conn, [oid])}
    return found


def load_after_others(
    conn: psycopg.Connection, oids: Iterable[int], *, triggers: bool
) -> dict[int, set[int]]:
    """Return what tables wait for whose rows users' functions check: all other tables."""
    wanted = set(oids)
    last = tables_with_code(conn, wanted, triggers=triggers)
    return {oid: wanted - last for oid in last if wanted - last}
