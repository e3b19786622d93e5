"""The users' triggers of tables that would fire in this session."""

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


@dataclass(frozen=True, slots=True)
class Trigger:
    """A user's trigger; ``enabled`` is pg_trigger's tgenabled; ``owner``: the role may alter it."""

    schema: str
    table: str
    name: str
    enabled: str
    owner: bool

    def alter(self, action: str) -> sql.Composed:
        """Return what enables or disables it, in this table alone and none of its partitions."""
        return sql.SQL("ALTER TABLE ONLY {} {} TRIGGER {}").format(
            sql.Identifier(self.schema, self.table), sql.SQL(action), sql.Identifier(self.name)
        )


def read_triggers(conn: psycopg.Connection, oids: Iterable[int]) -> list[Trigger]:
    """Return the users' triggers of these tables and their partitions that would fire now."""
    rows = conn.execute(_TRIGGERS, [with_partitions(conn, oids)]).fetchall()
    return [Trigger(*row) for row in rows]
