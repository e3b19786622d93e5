"""Finds users' code that runs on a table's rows: triggers, and functions in checks or defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from psycopg import sql

from restore.target.queries import load_query
from restore.target.relations import with_partitions

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

_TRIGGERS = load_query("triggers")

_CALLS = load_query("tables_with_code")


class Trigger(Struct, frozen=True):
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
