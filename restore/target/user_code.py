"""Finds users' code that runs on a table's rows: triggers, and functions in checks or defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

from restore.target.relations import with_partitions

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

# Triggers that are the user's own, in tables and their partitions, and that would fire in this
# session. Those that come from a partitioned table's own have it as their parent; in servers before
# 15 these count as internal.
_TRIGGERS = """
    SELECT n.nspname, c.relname, t.tgname, t.tgenabled, pg_has_role(c.relowner, 'USAGE')
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE t.tgrelid = ANY(%s) AND (NOT t.tgisinternal OR t.tgparentid <> 0)
      AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.oid = t.tgconstraint AND k.contype <> 't')
      AND t.tgenabled = ANY(CASE current_setting('session_replication_role')
                            WHEN 'replica' THEN '{A,R}'::"char"[] ELSE '{A,O}'::"char"[] END)
    ORDER BY 1, 2, 3
"""

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


@dataclass(frozen=True, slots=True)
class Trigger:
    """A user's trigger; ``enabled`` is pg_trigger's tgenabled; ``owner``: the role may alter it."""

    schema: str
    table: str
    name: str
    enabled: str
    owner: bool

    def alter(self, action: str) -> sql.Composed:
        """Return a statement that enables or disables it in this table, not in its partitions."""
        return sql.SQL("ALTER TABLE ONLY {} {} TRIGGER {}").format(
            sql.Identifier(self.schema, self.table), sql.SQL(action), sql.Identifier(self.name)
        )


def read_triggers(conn: psycopg.Connection, oids: Iterable[int]) -> list[Trigger]:
    """Read the users' triggers of these tables and their partitions that would fire now."""
    rows = conn.execute(_TRIGGERS, [with_partitions(conn, oids)]).fetchall()
    return [Trigger(*row) for row in rows]


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
    """Return which tables to load before each table whose rows users' functions check."""
    wanted = set(oids)
    last = tables_with_code(conn, wanted, triggers=triggers)
    return {oid: wanted - last for oid in last if wanted - last}
