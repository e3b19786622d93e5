"""Drops foreign keys, indexes and unique keys for the load, and disables triggers.

Checked or built as one set they cost a fraction of what they cost row by row, and tables that refer
to each other in a cycle can be loaded at all. Users' triggers would do again what was done when the
rows were created. The journal lists what is dropped or disabled (``journal.dropped``), and
``recreate`` undoes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from restore.journal.dropped import INDEXES, DroppedObject, dropped_objects, record_dropped
from restore.target.locks import in_portions
from restore.target.user_code import Trigger, read_triggers

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

    from restore.journal.dropped import Kind
    from restore.target.catalog import ForeignKey, Table
    from restore.target.indexes import Index, UniqueKeyDefinition

_ENABLE = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}

_VALIDATES_PARTS = 180_000

_FOREIGN_KEYS = """
    SELECT k.conrelid, k.conname::text, pg_has_role(c.relowner, 'USAGE')
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    WHERE k.contype = 'f' AND k.conrelid = ANY(%s)
"""

# Indexes on which nothing depends but what is dropped with them: no foreign key in place, and no
# view or function that relies on a primary key (GROUP BY).
_FREE = """
    SELECT i.indexrelid FROM pg_index i
    LEFT JOIN pg_constraint k ON k.conrelid = i.indrelid AND k.conindid = i.indexrelid
                             AND k.contype IN ('p', 'u')
    WHERE i.indexrelid = ANY(%s)
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.deptype <> 'i' AND d.refobjid = i.indexrelid
                        AND d.refclassid = 'pg_class'::regclass)
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.deptype <> 'i' AND d.refobjid = k.oid
                        AND d.refclassid = 'pg_constraint'::regclass)
"""


def drop_foreign_keys(
    conn: psycopg.Connection, tables: dict[int, Table], keys: Iterable[ForeignKey]
) -> None:
    """Drop foreign keys, and record in the same transaction how to recreate them.

    Those that the restore dropped before it was resumed stay dropped.

    Raises:
        psycopg.errors.InsufficientPrivilege: the role may not change the tables, or may not create
            the journal's schema; nothing was changed.
    """
    holders = {(key.holding_table(tables).oid, key.name): key for key in keys}
    rows = conn.execute(_FOREIGN_KEYS, [[oid for oid, _ in holders]]).fetchall()
    owned = {(oid, name): is_owner for oid, name, is_owner in rows}
    dropped = [
        (owned[place], _recorded_key(conn, tables, key, number))
        for number, (place, key) in enumerate(holders.items())
        if place in owned
    ]
    # A key that the role may not drop comes first, and stops this before anything is dropped.
    dropped.sort(key=lambda each: each[0])
    for portion in in_portions([key for _, key in dropped]):
        with conn.transaction():
            record_dropped(conn, portion)
            for key_to_drop in portion:
                conn.execute(
                    sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
                        key_to_drop.identifier, sql.Identifier(key_to_drop.name)
                    )
                )


def _recorded_key(
    conn: psycopg.Connection, tables: dict[int, Table], key: ForeignKey, place: int
) -> DroppedObject:
    """Return how to recreate a foreign key: added without a scan of the rows, and validated later.

    Before PostgreSQL 18 a partitioned table cannot have one that is not valid, and if one refers to
    a partitioned table, VALIDATE leaves its parts, one for each partition, not valid.
    """
    table, parent = key.holding_table(tables), key.parent_table(tables)
    parts = {"table": table.identifier, "name": sql.Identifier(key.name)}
    add = sql.SQL("ALTER TABLE {table} ADD CONSTRAINT {name} ").format(**parts).as_string(conn)
    has_parts = parent.partitioned and conn.info.server_version < _VALIDATES_PARTS
    later = key.validated and not table.partitioned and not has_parts
    statements = [add + key.definition + (" NOT VALID" if later else "")]
    if key.comment is not None:
        comment = sql.SQL("COMMENT ON CONSTRAINT {name} ON {table} IS {said}")
        statements.append(comment.format(**parts, said=sql.Literal(key.comment)).as_string(conn))
    check = sql.SQL("ALTER TABLE {table} VALIDATE CONSTRAINT {name}").format(**parts)
    return DroppedObject(
        "foreign key",
        table.schema,
        table.name,
        key.name,
        place,
        statements,
        check.as_string(conn) if later else None,
    )


def drop_indexes(
    conn: psycopg.Connection, table: Table, *, unique: bool = True
) -> list[UniqueKeyDefinition]:
    """Drop a table's indexes and unique keys, and record in one transaction how to recreate them.

    Those that other objects depend on stay, so foreign keys are dropped first.

    Args:
        conn: a connection that commits each statement.
        table: the table.
        unique: drop unique keys and unique indexes too.

    Returns:
        The unique keys that the server does not check until they are recreated.

    Raises:
        psycopg.errors.InsufficientPrivilege: as for ``drop_foreign_keys``.
    """
    wanted = [index for index in table.indexes if unique or index.unique is None]
    if not wanted:
        return []
    with conn.transaction():
        # From now on nothing new can depend on them.
        conn.execute(
            sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(table.identifier)
        )
        rows = conn.execute(_FREE, [[index.oid for index in wanted]]).fetchall()
        free = {oid for (oid,) in rows}
        dropped = [index for index in wanted if index.oid in free]
        if dropped:
            record_dropped(conn, [_recorded_index(conn, table, index) for index in dropped])
        for index in dropped:
            conn.execute(index.drop_statement(table.schema, table.name))
    return [index.unique for index in dropped if index.unique is not None]


def _recorded_index(conn: psycopg.Connection, table: Table, index: Index) -> DroppedObject:
    """Return how to recreate an index; its place is its oid, which grows in order of creation."""
    kind: Kind = "index" if index.constraint is None else "key"
    made = [part.as_string(conn) for part in index.create_statements(table.schema, table.name)]
    return DroppedObject(kind, table.schema, table.name, index.name, index.oid, made)


def dropped_unique_keys(conn: psycopg.Connection, table: Table) -> list[UniqueKeyDefinition]:
    """Return a table's dropped unique keys, in the order in which PostgreSQL checks them.

    A row that violates several is reported for the first; they are recreated in this order.
    """
    names = {each.name for each in dropped_objects(conn, *INDEXES, table=table)}
    return [i.unique for i in table.indexes if i.unique is not None and i.name in names]


def disable_triggers(conn: psycopg.Connection, oids: Iterable[int]) -> list[Trigger]:
    """Disable the users' triggers of tables and their partitions, and record how they were enabled.

    Returns:
        Those that were disabled.

    Raises:
        psycopg.errors.InsufficientPrivilege: as for ``drop_foreign_keys``.
    """
    triggers = read_triggers(conn, oids)
    for portion in in_portions(list(enumerate(triggers))):
        with conn.transaction():
            record_dropped(conn, [_recorded_trigger(conn, *each) for each in portion])
            for _, trigger in portion:
                conn.execute(trigger.alter("DISABLE"))
    return triggers


def _recorded_trigger(conn: psycopg.Connection, place: int, trigger: Trigger) -> DroppedObject:
    back = trigger.alter(_ENABLE[trigger.enabled]).as_string(conn)
    return DroppedObject("trigger", trigger.schema, trigger.table, trigger.name, place, [back])


def disabled_triggers_warning(triggers: list[Trigger]) -> list[str]:
    """Return a line that names the triggers that did not fire, if there are any."""
    if not triggers:
        return []
    names = ", ".join(f"{trigger.name} of {trigger.table}" for trigger in triggers)
    return [
        f"triggers did not fire for the restored rows ({names}); pass --triggers to let them fire"
    ]


def not_dropped_warning(error: psycopg.Error) -> str:
    """Return a line that says why keys and indexes stay in place."""
    why = error.diag.message_primary
    return f"{why}: keys and indexes stay in place, so the load takes longer"
