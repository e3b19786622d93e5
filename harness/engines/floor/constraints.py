"""Foreign keys, keys and indexes are dropped for the load, triggers disabled, and made again.

Nothing is noted anywhere: a floor that is killed leaves a database that is thrown away. What would
not come back exactly as it was stays in place: an index with a comment, or one that marks the
replica identity or the order of ``CLUSTER``, and exclusion constraints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.engines.floor.sessions import Connection

# Those of these tables, and those that refer to them. Where one is not valid or not enforced, its
# definition says so.
_FOREIGN_KEYS = """
    SELECT k.conrelid::bigint, n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid),
        k.convalidated
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype = 'f' AND (k.conrelid = ANY(%(oids)s) OR k.confrelid = ANY(%(oids)s))
    ORDER BY 1, 4
"""
# What takes the longest to build comes first: with several columns, or of no fixed length.
_INDEXES = """
    SELECT i.indrelid::bigint, n.nspname, t.relname, c.relname, pg_get_indexdef(c.oid), k.contype,
        k.condeferrable, k.condeferred
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.conrelid = t.oid AND k.contype <> 'f'
    WHERE t.oid = ANY(%(oids)s) AND i.indisvalid AND NOT i.indisexclusion
      AND NOT i.indisclustered AND NOT i.indisreplident
      AND obj_description(c.oid, 'pg_class') IS NULL
      AND obj_description(k.oid, 'pg_constraint') IS NULL
    ORDER BY i.indrelid, (SELECT sum(CASE WHEN a.attlen < 0 THEN 8 ELSE 1 END)
        FROM pg_attribute a WHERE a.attrelid = c.oid) DESC, c.relname
"""
# Users' triggers, which ``restore`` does not fire either; what is disabled stays so.
_TRIGGERS = """
    SELECT n.nspname, c.relname, g.tgname, g.tgenabled::text FROM pg_trigger g
    JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE g.tgrelid = ANY(%(oids)s) AND NOT g.tgisinternal AND g.tgenabled <> 'D'
    ORDER BY 1, 2, 3
"""
_ENABLE = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}
_KINDS = {"p": "PRIMARY KEY", "u": "UNIQUE"}


@dataclass(frozen=True, slots=True)
class Index:
    """An index of a table, and of a key if it is one's. ``build`` is PostgreSQL's own words."""

    table: int
    drop: sql.Composed
    build: bytes
    attach: sql.Composed | None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key of a table. ``validate`` is None if it was not valid before."""

    table: int
    drop: sql.Composed
    add: bytes
    validate: sql.Composed | None


@dataclass(frozen=True, slots=True)
class DroppedKeys:
    """The indexes and foreign keys that were dropped, and what enables the triggers again."""

    indexes: tuple[Index, ...]
    foreign_keys: tuple[ForeignKey, ...]
    enable_triggers: tuple[sql.Composed, ...]

    def of(self, table: int) -> list[Index]:
        """Return a table's indexes, those first that take the longest to build."""
        return [index for index in self.indexes if index.table == table]


def drop_keys(connection: Connection, oids: Sequence[int]) -> DroppedKeys:
    """Drop the indexes and keys of these tables and the foreign keys from and to them.

    Their triggers are disabled.

    Raises:
        psycopg.Error: the server refused; nothing was dropped.
    """
    given = {"oids": list(oids)}
    with connection.transaction():
        keys = tuple(_foreign_key(*row) for row in connection.execute(_FOREIGN_KEYS, given))
        indexes = tuple(_index(*row) for row in connection.execute(_INDEXES, given))
        triggers = connection.execute(_TRIGGERS, given).fetchall()
        disable = [_trigger(schema, table, name, "DISABLE") for schema, table, name, _ in triggers]
        enable = tuple(
            _trigger(schema, table, name, _ENABLE[state]) for schema, table, name, state in triggers
        )
        drops = (*(key.drop for key in keys), *(index.drop for index in indexes))
        for statement in (*drops, *disable):
            connection.execute(statement)
    return DroppedKeys(indexes, keys, enable)


def _trigger(schema: str, table: str, name: str, how: str) -> sql.Composed:
    return sql.SQL("ALTER TABLE {} {} TRIGGER {}").format(
        sql.Identifier(schema, table), sql.SQL(how), sql.Identifier(name)
    )


def attach_keys(connection: Connection, indexes: Iterable[Index]) -> None:
    """Make keys of a table's indexes that were keys'."""
    with connection.transaction():
        for index in indexes:
            if index.attach is not None:
                connection.execute(index.attach)


def add_foreign_keys(connection: Connection, keys: Iterable[ForeignKey]) -> None:
    """Make all foreign keys again, without a look at the rows."""
    with connection.transaction():
        for key in keys:
            connection.execute(key.add)


def validate(connection: Connection, keys: Iterable[ForeignKey]) -> None:
    """Look whether the rows fit foreign keys, one after the other."""
    for key in keys:
        if key.validate is not None:
            connection.execute(key.validate)


def _foreign_key(  # noqa: PLR0917 - a row of the catalogue
    oid: int,
    schema: str,
    table: str,
    name: str,
    definition: str,
    valid: bool,  # noqa: FBT001 - so too
) -> ForeignKey:
    parts = {"table": sql.Identifier(schema, table), "name": sql.Identifier(name)}
    add = sql.SQL("ALTER TABLE {table} ADD CONSTRAINT {name} ").format(**parts).as_string()
    check = sql.SQL("ALTER TABLE {table} VALIDATE CONSTRAINT {name}").format(**parts)
    return ForeignKey(
        table=oid,
        drop=sql.SQL("ALTER TABLE {table} DROP CONSTRAINT {name}").format(**parts),
        add=f"{add}{definition}{' NOT VALID' if valid else ''}".encode(),
        validate=check if valid else None,
    )


def _index(  # noqa: PLR0917 - a row of the catalogue
    oid: int,
    schema: str,
    table: str,
    name: str,
    definition: str,
    kind: str | None,
    deferrable: bool | None,  # noqa: FBT001 - so too
    deferred: bool | None,  # noqa: FBT001 - so too
) -> Index:
    parts = {"table": sql.Identifier(schema, table), "name": sql.Identifier(name)}
    if kind is None:
        drop = sql.SQL("DROP INDEX {}").format(sql.Identifier(schema, name))
        return Index(oid, drop, definition.encode(), None)
    drop = sql.SQL("ALTER TABLE {table} DROP CONSTRAINT {name}").format(**parts)
    attach = sql.SQL(
        "ALTER TABLE {table} ADD CONSTRAINT {name} {kind} USING INDEX {name}{}"
    ).format(
        sql.SQL(
            f"{' DEFERRABLE' if deferrable else ''}{' INITIALLY DEFERRED' if deferred else ''}"
        ),
        kind=sql.SQL(_KINDS[kind]),
        **parts,
    )
    return Index(oid, drop, definition.encode(), attach)
