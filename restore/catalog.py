"""What the target's tables are: columns and their types, foreign keys, sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

# Without a schema of the user's, a table is what the search path finds under its name.
_TABLES = """
    SELECT c.oid, n.nspname, c.relname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p')
      AND CASE WHEN %(schema)s::text IS NULL THEN pg_table_is_visible(c.oid)
               ELSE n.nspname = %(schema)s END
"""

_NAMES = """
    SELECT c.oid, n.nspname, c.relname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = ANY(%s)
"""

_COLUMNS = """
    SELECT attrelid, attname, atttypid, attnotnull,
           atthasdef OR attidentity <> '', attgenerated <> ''
    FROM pg_attribute
    WHERE attrelid = ANY(%s) AND attnum > 0 AND NOT attisdropped
    ORDER BY attrelid, attnum
"""

# Row types of tables are left out: there are many, and no column that we decode has one.
_TYPES = """
    SELECT oid, typname, typtype, typcategory, typelem, typbasetype, typnotnull
    FROM pg_type WHERE typtype <> 'c'
"""

_FOREIGN_KEYS = """
    SELECT k.conrelid, k.conname, k.confrelid, pg_get_constraintdef(k.oid),
           obj_description(k.oid, 'pg_constraint'),
           ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY AS u(num, ord)
                 JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY ord),
           ARRAY(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY AS u(num, ord)
                 JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY ord)
    FROM pg_constraint k
    WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = ANY(%s)
    ORDER BY k.conrelid, k.conname
"""

# Indexes that are no keys and that pg_get_indexdef describes in full: it leaves out tablespaces,
# cluster marks, statistics targets and an index's place in a partitioned one.
_INDEXES = """
    SELECT i.indrelid, c.relname, pg_get_indexdef(i.indexrelid),
           obj_description(i.indexrelid, 'pg_class')
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = ANY(%s) AND c.relkind = 'i' AND i.indisvalid AND NOT c.relispartition
      AND NOT (i.indisunique OR i.indisexclusion OR i.indisclustered OR i.indisreplident)
      AND c.reltablespace = 0
      AND NOT EXISTS (SELECT FROM pg_attribute a
                      WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0)
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                        AND d.deptype IN ('e', 'i', 'x'))
    ORDER BY i.indrelid, c.relname
"""

# Sequences that belong to a column: serial ('a') and identity ('i').
_SEQUENCES = """
    SELECT d.refobjid, a.attname, n.nspname, s.relname
    FROM pg_depend d
    JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    JOIN pg_namespace n ON n.oid = s.relnamespace
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
      AND d.deptype IN ('a', 'i') AND d.refobjid = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class Type:
    """A column's type with its domains taken off. ``element`` is set for arrays alone."""

    oid: int
    name: str
    kind: str
    element: Type | None = None

    @property
    def is_enum(self) -> bool:
        """Tell whether the type is an enum."""
        return self.kind == "e"


@dataclass(frozen=True, slots=True)
class Column:
    """A column. ``has_default`` is also true for identity and generated columns."""

    name: str
    type: Type
    not_null: bool
    has_default: bool
    generated: bool


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key, with what it takes to make it again. Tables are given by oid."""

    name: str
    table: int
    columns: tuple[str, ...]
    parent: int
    parent_columns: tuple[str, ...]
    definition: str
    comment: str | None


@dataclass(frozen=True, slots=True)
class Index:
    """An index that is no key, with what it takes to make it again."""

    name: str
    definition: str
    comment: str | None


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence that a column draws its values from."""

    column: str
    schema: str
    name: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the target."""

    oid: int
    schema: str
    name: str
    columns: tuple[Column, ...]
    foreign_keys: tuple[ForeignKey, ...]
    indexes: tuple[Index, ...]
    sequences: tuple[Sequence, ...]

    @property
    def identifier(self) -> sql.Identifier:
        """The table's qualified name, for use in SQL."""
        return sql.Identifier(self.schema, self.name)


def table_names(conn: psycopg.Connection, schema: str | None) -> dict[str, int]:
    """Return the oid of each table by its name, and by ``schema.name``.

    Args:
        conn: a connection to the target.
        schema: where to look; None: wherever the search path finds a table.
    """
    names: dict[str, int] = {}
    for oid, schema_name, name in conn.execute(_TABLES, {"schema": schema}).fetchall():
        names[f"{schema_name}.{name}"] = oid
        names[name] = oid
    return names


def identifiers(conn: psycopg.Connection, oids: Iterable[int]) -> dict[int, sql.Identifier]:
    """Return the qualified names of the tables with these oids, for use in SQL."""
    return {
        oid: sql.Identifier(schema, name)
        for oid, schema, name in conn.execute(_NAMES, [list(oids)]).fetchall()
    }


def read_tables(conn: psycopg.Connection, oids: Iterable[int]) -> dict[int, Table]:
    """Read what is known of the tables with these oids."""
    wanted = list(oids)
    types = _read_types(conn)
    columns: dict[int, list[Column]] = {oid: [] for oid in wanted}
    for oid, name, type_oid, not_null, has_default, generated in conn.execute(_COLUMNS, [wanted]):
        type_, domain_not_null = types.resolve(type_oid)
        columns[oid].append(
            Column(name, type_, not_null or domain_not_null, has_default, generated)
        )
    keys: dict[int, list[ForeignKey]] = {oid: [] for oid in wanted}
    for oid, name, parent, definition, comment, own, other in conn.execute(_FOREIGN_KEYS, [wanted]):
        keys[oid].append(
            ForeignKey(name, oid, tuple(own), parent, tuple(other), definition, comment)
        )
    indexes: dict[int, list[Index]] = {oid: [] for oid in wanted}
    for oid, name, definition, comment in conn.execute(_INDEXES, [wanted]):
        indexes[oid].append(Index(name, definition, comment))
    sequences: dict[int, list[Sequence]] = {oid: [] for oid in wanted}
    for oid, column, schema, name in conn.execute(_SEQUENCES, [wanted]):
        sequences[oid].append(Sequence(column, schema, name))
    return {
        oid: Table(
            oid,
            schema,
            name,
            tuple(columns[oid]),
            tuple(keys[oid]),
            tuple(indexes[oid]),
            tuple(sequences[oid]),
        )
        for oid, schema, name in conn.execute(_NAMES, [wanted]).fetchall()
    }


@dataclass(frozen=True, slots=True)
class _Types:
    by_oid: dict[int, tuple[str, str, str, int, int, bool]]

    def resolve(self, oid: int) -> tuple[Type, bool]:
        """Return the type without its domains, and whether a domain forbids NULL."""
        not_null = False
        name, kind, category, element, base, forbids_null = self._row(oid)
        while kind == "d":
            not_null |= forbids_null
            oid = base
            name, kind, category, element, base, forbids_null = self._row(oid)
        inner = self.resolve(element)[0] if category == "A" and element else None
        return Type(oid, name, kind, inner), not_null

    def _row(self, oid: int) -> tuple[str, str, str, int, int, bool]:
        return self.by_oid.get(oid, ("record", "c", "C", 0, 0, False))


def _read_types(conn: psycopg.Connection) -> _Types:
    return _Types({row[0]: tuple(row[1:]) for row in conn.execute(_TYPES)})
