"""The tables of the scratch database, and their keys out of the way while rows are loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from harness.adopt.values import Column
from harness.model.errors import InputError

if TYPE_CHECKING:
    import psycopg

    from harness.trial.row_hash import TableName

    Connection = psycopg.Connection[Any]

_TABLES = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_'
      AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 1, 2
"""
# The type of a column is that under its domains, and that of an array's members.
_COLUMNS = """
    WITH RECURSIVE base (attnum, oid, typmod) AS (
        SELECT attnum, atttypid, atttypmod FROM pg_attribute
        WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped
        UNION ALL
        SELECT attnum, typbasetype, typtypmod FROM base JOIN pg_type t USING (oid)
        WHERE t.typtype = 'd'
    )
    SELECT a.attname, coalesce(e.typname, t.typname), e.oid IS NOT NULL, b.typmod, a.attnotnull,
        coalesce(e.typtype, t.typtype) = 'c', a.attgenerated <> '', a.attidentity <> '',
        pg_get_expr(d.adbin, d.adrelid), d.adbin::text ~ '(FUNCEXPR|SQLVALUEFUNCTION|NEXTVALUE)'
    FROM base b JOIN pg_attribute a ON a.attrelid = %(table)s::regclass AND a.attnum = b.attnum
    JOIN pg_type t ON t.oid = b.oid AND t.typtype <> 'd'
    LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    ORDER BY a.attnum
"""
_FOREIGN_KEYS = """
    SELECT k.conrelid::regclass::text, k.confrelid::regclass::text, quote_ident(k.conname),
        pg_get_constraintdef(k.oid), k.confmatchtype = 'f',
        to_jsonb(k) ->> 'conperiod' = 'true',
        ARRAY(SELECT quote_ident(attname) FROM unnest(k.conkey) WITH ORDINALITY u (n, i)
            JOIN pg_attribute ON attrelid = k.conrelid AND attnum = n ORDER BY i),
        ARRAY(SELECT quote_ident(attname) FROM unnest(k.confkey) WITH ORDINALITY u (n, i)
            JOIN pg_attribute ON attrelid = k.confrelid AND attnum = n ORDER BY i),
        ARRAY(SELECT format('OPERATOR(%I.%s)', s.nspname, o.oprname)
            FROM unnest(k.conpfeqop) WITH ORDINALITY u (n, i) JOIN pg_operator o ON o.oid = n
            JOIN pg_namespace s ON s.oid = o.oprnamespace ORDER BY i)
    FROM pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0
      AND coalesce(to_jsonb(k) ->> 'conenforced', 'true') = 'true'
    ORDER BY 1, 3
"""


@dataclass(slots=True)
class TableColumn:
    """A column of a table, and where its values come from if a record lacks it."""

    values: Column
    is_generated: bool
    is_identity: bool
    default: str | None
    is_computed: bool  # its default calls a function

    @property
    def name(self) -> str:
        """Return its name."""
        return self.values.name


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key; names are quoted for use in SQL."""

    table: str
    parent: str
    name: str
    definition: str
    is_full: bool
    columns: tuple[str, ...]
    parent_columns: tuple[str, ...]
    operators: tuple[str, ...]


def tables_of(connection: Connection) -> list[TableName]:
    """Return the tables that a backup may fill, without partitions and those of extensions."""
    return [(schema, name) for schema, name in connection.execute(_TABLES)]


def search_path(connection: Connection) -> list[str]:
    """Return the schemas in which tables are found without naming their schema."""
    row = connection.execute("SELECT current_schemas(false)").fetchone()
    return row[0] if row is not None else []


def columns_of(connection: Connection, table: TableName) -> list[TableColumn]:
    """Return the columns of a table, in order."""
    name = sql.Identifier(*table).as_string()
    return [
        TableColumn(
            Column(column, kind, is_array, modifier, is_required, is_composite),
            is_generated=is_generated,
            is_identity=is_identity,
            default=default,
            is_computed=bool(is_computed),
        )
        for (
            column,
            kind,
            is_array,
            modifier,
            is_required,
            is_composite,
            is_generated,
            is_identity,
            default,
            is_computed,
        ) in connection.execute(_COLUMNS, {"table": name})
    ]


def drop_foreign_keys(connection: Connection) -> list[ForeignKey]:
    """Drop the foreign keys of all tables, which are enforced by ``orphans`` at the end.

    Raises:
        InputError: one is over periods, whose orphans are not decided here.
    """
    found = []
    for row in connection.execute(_FOREIGN_KEYS).fetchall():
        table, parent, name, definition, is_full, is_period, *lists = row
        if is_period:
            raise InputError(f"{table}: foreign keys over periods ({name}) cannot be adopted")
        columns, parent_columns, operators = map(tuple, lists)
        key = ForeignKey(
            table, parent, name, definition, is_full, columns, parent_columns, operators
        )
        connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}".encode())
        found.append(key)
    return found


def disable_triggers(connection: Connection, tables: list[TableName]) -> None:
    """Disable user triggers, as a restore without --triggers does."""
    for table in tables:
        statement = sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER")
        connection.execute(statement.format(sql.Identifier(*table)))
