"""Reads the target's tables: columns and their types, foreign keys, indexes, sequences."""

from __future__ import annotations

from itertools import starmap
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from psycopg import sql

# The journal holds tables as JSON, and reads them by these classes' annotations.
from restore.target.foreign_keys import ForeignKey, read_foreign_keys
from restore.target.indexes import Index, read_indexes
from restore.target.queries import load_query
from restore.target.scattered import scattered_tables
from restore.target.sequences import Sequence, read_sequences

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

__all__ = ["Column", "ForeignKey", "Table", "Type", "UniqueKey", "read_tables"]

_NAMES = """
    SELECT c.oid, n.nspname, c.relname, c.relkind = 'p'
    FROM unnest(%s::oid[]) WITH ORDINALITY AS wanted (oid, place)
    JOIN pg_class c ON c.oid = wanted.oid JOIN pg_namespace n ON n.oid = c.relnamespace
    ORDER BY wanted.place
"""

_COLUMNS = load_query("columns")

_TYPES = load_query("types")

_UNIQUE_KEYS = load_query("unique_keys")


class Type(Struct, frozen=True):
    """A column's type, without its domains.

    ``kind`` is pg_type's typtype. ``element`` is set for arrays alone, ``labels`` for enums,
    ``fields`` for composite types, ``bound`` for ranges and multiranges. ``part_typmod`` is the
    modifier of the domain that an element or a bound has; -1: none.
    """

    oid: int
    schema: str
    name: str
    kind: str
    element: Type | None = None
    labels: tuple[str, ...] | None = None
    fields: tuple[Column, ...] | None = None
    bound: Type | None = None
    part_typmod: int = -1

    @property
    def has_parts(self) -> bool:
        """Tell if its values are made of others: arrays, composite types, ranges."""
        return (self.element, self.fields, self.bound) != (None, None, None)

    @property
    def is_enum(self) -> bool:
        """Tell if the type is an enum."""
        return self.kind == "e"


class Column(Struct, frozen=True):
    """A column of a table.

    ``has_default`` is also true for identity and generated columns, and where the type, a domain,
    has one. ``typmod`` is pg_attribute's atttypmod, or that of the column's domain: a length, or
    precision and scale; -1: none. ``identity`` is attidentity: ``a`` for ALWAYS, ``d`` for BY
    DEFAULT. One that the role may not insert into counts as one with a default: a row may leave it
    out, and has to. ``alias`` is the field of a record that it is read from, if that has another
    name. ``null_if_absent``: it holds NULL, not its default, if a record lacks the field.
    """

    name: str
    type: Type
    not_null: bool
    has_default: bool
    generated: bool
    typmod: int = -1
    identity: str = ""
    may_insert: bool = True
    alias: str | None = None
    null_if_absent: bool = False

    @property
    def field(self) -> str:
        """The field of a record that the column is read from."""
        return self.name if self.alias is None else self.alias

    @property
    def takes_default(self) -> bool:
        """Tell if it holds its default if a record lacks the field."""
        return self.has_default and not self.null_if_absent


class UniqueKey(Struct, frozen=True):
    """A primary key or a unique index, by its columns."""

    name: str
    primary: bool
    columns: tuple[str, ...]


class Table(Struct, frozen=True):
    """A table of the target. ``partitioned``: its rows are in partitions, or ``scattered``."""

    oid: int
    schema: str
    name: str
    columns: tuple[Column, ...]
    foreign_keys: tuple[ForeignKey, ...]
    indexes: tuple[Index, ...]
    sequences: tuple[Sequence, ...]
    unique_keys: tuple[UniqueKey, ...] = ()
    partitioned: bool = False

    @property
    def identifier(self) -> sql.Identifier:
        """The table's qualified name, in SQL."""
        return sql.Identifier(self.schema, self.name)

    @property
    def sql_only(self) -> sql.Composed:
        """The table with its partitions, but without tables that inherit from it, in SQL.

        Foreign keys see a table so.
        """
        return sql.SQL("{}" if self.partitioned else "ONLY {}").format(self.identifier)


def read_tables(conn: psycopg.Connection, oids: Iterable[int]) -> dict[int, Table]:
    """Read the tables with these oids, in the order of these."""
    wanted = list(oids)
    types = _read_types(conn)
    columns: dict[int, list[Column]] = {oid: [] for oid in wanted}
    for oid, name, type_oid, typmod, not_null, default, *facts in conn.execute(_COLUMNS, [wanted]):
        type_, domain_not_null, modifier = types.resolve(type_oid, typmod)
        generated, identity, may_insert = facts
        columns[oid].append(
            Column(
                *(name, type_, not_null or domain_not_null, default or not may_insert),
                *(generated, modifier, identity, may_insert),
            )
        )
    unique: dict[int, list[UniqueKey]] = {oid: [] for oid in wanted}
    for oid, name, primary, names in conn.execute(_UNIQUE_KEYS, [wanted]):
        unique[oid].append(UniqueKey(name, primary, tuple(names)))
    keys = read_foreign_keys(conn, wanted)
    indexes = read_indexes(conn, wanted)
    sequences = read_sequences(conn, wanted)
    scattered = scattered_tables(conn)
    return {
        oid: Table(
            oid,
            schema,
            name,
            tuple(columns[oid]),
            tuple(keys[oid]),
            tuple(indexes[oid]),
            tuple(sequences[oid]),
            tuple(unique[oid]),
            partitioned or oid in scattered,
        )
        for oid, schema, name, partitioned in conn.execute(_NAMES, [wanted]).fetchall()
    }


class _TypeRow(NamedTuple):
    schema: str
    name: str
    kind: str
    category: str
    element: int
    base: int
    forbids_null: bool
    typmod: int
    labels: list[str] | None
    fields: list[tuple[str, int, int]] | None
    bound: int | None


_UNKNOWN_TYPE = _TypeRow(
    *("pg_catalog", "record", "c", "C", 0, 0),
    *(False, -1, None, None, None),
)


class _Types(Struct, frozen=True):
    by_oid: dict[int, _TypeRow]

    def resolve(self, oid: int, typmod: int = -1) -> tuple[Type, bool, int]:
        """Return the type without its domains, if a domain forbids NULL, and the modifier."""
        not_null = False
        row = self.by_oid.get(oid, _UNKNOWN_TYPE)
        while row.kind == "d":
            not_null |= row.forbids_null
            typmod = typmod if typmod >= 0 else row.typmod
            oid = row.base
            row = self.by_oid.get(oid, _UNKNOWN_TYPE)
        is_array = row.category == "A" and row.element
        part = row.element if is_array else row.bound
        inner, _, part_typmod = self.resolve(part) if part else (None, False, -1)
        labels = None if row.labels is None else tuple(row.labels)
        fields = None if row.fields is None else tuple(starmap(self._field, row.fields))
        element, bound = (inner, None) if is_array else (None, inner)
        facts = row.schema, row.name, row.kind
        type_ = Type(oid, *facts, element, labels, fields, bound, part_typmod)
        return type_, not_null, typmod

    def _field(self, name: str, oid: int, typmod: int) -> Column:
        type_, not_null, modifier = self.resolve(oid, typmod)
        return Column(name, type_, not_null, has_default=False, generated=False, typmod=modifier)


def _read_types(conn: psycopg.Connection) -> _Types:
    return _Types({row[0]: _TypeRow(*row[1:]) for row in conn.execute(_TYPES)})
