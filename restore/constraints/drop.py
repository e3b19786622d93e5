"""Foreign keys, indexes, unique keys and triggers are put aside for the load.

Checked or built as one set they cost a fraction of what they cost row by row, and tables that refer
to each other in a cycle can be loaded at all. A user's triggers would do once more what was done
when the rows were made: they are disabled. What is aside is noted (``notes``), and comes back
(``back``).
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

_FOREIGN_KEYS = """
    SELECT k.conrelid, k.conname::text, pg_has_role(c.relowner, 'USAGE')
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    WHERE k.contype = 'f' AND k.conrelid = ANY(%s)
"""

# Indexes on which nothing hangs but what goes and comes with them: not a foreign key that holds
# now, and not a view or a function that was made while a key told its rows apart.
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
    """Drop foreign keys, and note how to make them again in the transaction that drops them.

    Those that are aside already, since a restore that is resumed put them there, stay so.

    Raises:
        psycopg.errors.InsufficientPrivilege: the role may not change the tables, or may not make
            the journal's schema; nothing was changed.
    """
    rows = conn.execute(_FOREIGN_KEYS, [list(tables)]).fetchall()
    owned = {(oid, name): is_owner for oid, name, is_owner in rows}
    asides = [
        (owned[key.table, key.name], _noted_key(conn, tables[key.table], key, place))
        for place, key in enumerate(keys)
        if (key.table, key.name) in owned
    ]
    # What the role may not drop comes first, and stops it before anything is dropped.
    asides.sort(key=lambda each: each[0])
    for portion in in_portions([aside for _, aside in asides]):
        with conn.transaction():
            record_dropped(conn, portion)
            for aside in portion:
                conn.execute(
                    sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
                        aside.identifier, sql.Identifier(aside.name)
                    )
                )


def _noted_key(
    conn: psycopg.Connection, table: Table, key: ForeignKey, place: int
) -> DroppedObject:
    """Note a foreign key: added without a look at the rows, and validated later.

    Before PostgreSQL 18 a partitioned table takes none that is not valid.
    """
    parts = {"table": table.identifier, "name": sql.Identifier(key.name)}
    add = sql.SQL("ALTER TABLE {table} ADD CONSTRAINT {name} ").format(**parts).as_string(conn)
    later = key.validated and not table.partitioned
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
    """Drop a table's indexes and unique keys, and note how to make them again, at once.

    What something else depends on stays: so foreign keys are put aside before.

    Args:
        conn: a connection that commits each statement.
        table: the table.
        unique: also those that let no row in twice.

    Returns:
        What nobody sees to as long as they are aside.

    Raises:
        psycopg.errors.InsufficientPrivilege: as for ``drop_foreign_keys``.
    """
    wanted = [index for index in table.indexes if unique or index.unique is None]
    if not wanted:
        return []
    with conn.transaction():
        # Nothing is made to depend on them from now on.
        conn.execute(
            sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(table.identifier)
        )
        rows = conn.execute(_FREE, [[index.oid for index in wanted]]).fetchall()
        free = {oid for (oid,) in rows}
        dropped = [index for index in wanted if index.oid in free]
        if dropped:
            record_dropped(conn, [_noted_index(conn, table, index) for index in dropped])
        for index in dropped:
            conn.execute(index.drop_statement(table.schema, table.name))
    return [index.unique for index in dropped if index.unique is not None]


def _noted_index(conn: psycopg.Connection, table: Table, index: Index) -> DroppedObject:
    """Note an index: PostgreSQL numbers them as they are made, and that is their place."""
    kind: Kind = "index" if index.constraint is None else "key"
    made = [part.as_string(conn) for part in index.create_statements(table.schema, table.name)]
    return DroppedObject(kind, table.schema, table.name, index.name, index.oid, made)


def dropped_unique_keys(conn: psycopg.Connection, table: Table) -> list[UniqueKeyDefinition]:
    """Return a table's unique keys that are aside, in the order in which PostgreSQL checks them.

    A row that violates several is reported for the first of them; they come back in this order.
    """
    names = {aside.name for aside in dropped_objects(conn, *INDEXES, table=table)}
    return [i.unique for i in table.indexes if i.unique is not None and i.name in names]


def disable_triggers(conn: psycopg.Connection, oids: Iterable[int]) -> list[Trigger]:
    """Disable the users' triggers of tables and their partitions, and note that as they are.

    Returns:
        Those that were disabled.

    Raises:
        psycopg.errors.InsufficientPrivilege: as for ``drop_foreign_keys``.
    """
    triggers = read_triggers(conn, oids)
    for portion in in_portions(list(enumerate(triggers))):
        with conn.transaction():
            record_dropped(conn, [_noted_trigger(conn, *each) for each in portion])
            for _, trigger in portion:
                conn.execute(trigger.alter("DISABLE"))
    return triggers


def _noted_trigger(conn: psycopg.Connection, place: int, trigger: Trigger) -> DroppedObject:
    back = trigger.alter(_ENABLE[trigger.enabled]).as_string(conn)
    return DroppedObject("trigger", trigger.schema, trigger.table, trigger.name, place, [back])


def disabled_triggers_warning(triggers: list[Trigger]) -> list[str]:
    """Return a line that names the triggers that did not fire for the restored rows; none, none."""
    if not triggers:
        return []
    names = ", ".join(f"{trigger.name} of {trigger.table}" for trigger in triggers)
    return [f"triggers did not fire for the restored rows ({names}); --triggers lets them"]
