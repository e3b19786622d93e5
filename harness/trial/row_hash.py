"""Hashes rows on the server: each row in PostgreSQL's binary format, by SHA-256.

A row is what ``record_send`` makes of its columns: their number, and for each the type, the length
(-1 for NULL) and the bytes. No two different rows have the same bytes (``docs/interfaces.md``). The
generator computes the same in Python (``generate/truth.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from harness.model.manifest import ROW_HASH_BYTES, Column, Form, checksum_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Connection = psycopg.Connection[Any]
TableName = tuple[str, str]  # its schema and its name

# Settings that texts of values depend on, and others by which a database or a role could change
# what a session of ours reads.
_SETTINGS = {
    "search_path": "pg_catalog",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "quote_all_identifiers": "off",
    "row_security": "off",  # a policy that would hide rows is an error
    "role": "none",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "default_transaction_isolation": "read committed",
}
# Every name is in full: until it has run, the search path may lead elsewhere.
_SET = (
    "SELECT pg_catalog.set_config(key, value, false)"
    " FROM pg_catalog.jsonb_each_text(%s::pg_catalog.jsonb)"
)
# Which type a column is hashed as, by its own or its domain's type; all others as text.
_FORMS: dict[str, Form] = {
    "bytea": "bytea",
    "float4": "float4",
    "float8": "float8",
    "_float4": "float4[]",
    "_float8": "float8[]",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
}
_COLUMNS = """
    WITH RECURSIVE base (attnum, attname, oid) AS (
        SELECT attnum, attname, atttypid FROM pg_attribute
        WHERE attrelid = (quote_ident(%s) || '.' || quote_ident(%s))::regclass
            AND attnum > 0 AND NOT attisdropped
        UNION ALL
        SELECT attnum, attname, typbasetype FROM base JOIN pg_type USING (oid) WHERE typtype = 'd'
    )
    SELECT attname, typname, typnamespace = 'pg_catalog'::regnamespace
    FROM base JOIN pg_type USING (oid) WHERE typtype <> 'd' ORDER BY attnum
"""
# A hash as 256 bits, of which each quarter is summed; OFFSET 0 keeps it from being computed anew
# for each of them.
_CHECKSUM = sql.SQL(
    "SELECT count(*), coalesce(sum(substring(h from 1 for 64)::bigint), 0),"
    " coalesce(sum(substring(h from 65 for 64)::bigint), 0),"
    " coalesce(sum(substring(h from 129 for 64)::bigint), 0),"
    " coalesce(sum(substring(h from 193 for 64)::bigint), 0)"
    " FROM (SELECT ('x' || encode({hash}, 'hex'))::bit(256) FROM {table} AS t OFFSET 0) AS r (h)"
)
_HASHES = sql.SQL(
    "COPY (SELECT substr({hash}, 1, {size}) FROM {table} AS t) TO STDOUT (FORMAT binary)"
)
_CELL = sql.SQL("t.{column}::pg_catalog.{type}")
_HASH = sql.SQL("sha256(record_send(ROW({cells})))")


class TableTruth(NamedTuple):
    """The ground truth of a table as it stands in a database."""

    columns: tuple[Column, ...]
    rows: int
    checksum: str


def prepare(connection: Connection) -> None:
    """Set the session's settings that the hashes depend on."""
    connection.execute(_SET, [Jsonb(_SETTINGS)])


def columns_of(connection: Connection, table: TableName) -> tuple[Column, ...]:
    """Return a table's columns, in order, and the type that each is hashed as."""
    return tuple(
        Column(name, _FORMS.get(type_name, "text") if is_builtin else "text")
        for name, type_name, is_builtin in connection.execute(_COLUMNS, table)
    )


def truth_of(connection: Connection, table: TableName) -> TableTruth:
    """Return the ground truth of a table that is known to be right, such as an adopted backup's.

    ``verify`` compares with it after each restore; ``row_hashes`` gives the rows' own.

    Args:
        connection: in autocommit; its session's settings are changed.
        table: the table's schema and name.

    Raises:
        psycopg.Error: there is no such table, or it cannot be read.
    """
    prepare(connection)
    columns = columns_of(connection, table)
    rows, checksum = count_and_checksum(connection, table, columns)
    return TableTruth(columns, rows, checksum)


def count_and_checksum(
    connection: Connection, table: TableName, columns: Sequence[Column]
) -> tuple[int, str]:
    """Return the number of a table's rows and their checksum; ``prepare`` comes first."""
    query = _CHECKSUM.format(hash=_hash(columns), table=sql.Identifier(*table))
    rows, *sums = connection.execute(query).fetchall()[0]
    return rows, checksum_text(map(int, sums))


def row_hashes(
    connection: Connection, table: TableName, columns: Sequence[Column]
) -> Iterator[bytes]:
    """Yield the first eight bytes of the hash of each row of a table; ``prepare`` comes first."""
    query = _HASHES.format(
        hash=_hash(columns), size=sql.Literal(ROW_HASH_BYTES), table=sql.Identifier(*table)
    )
    with connection.cursor().copy(query) as copy:
        copy.set_types(["bytea"])
        for (row_hash,) in copy.rows():
            yield row_hash


def _hash(columns: Iterable[Column]) -> sql.Composed:
    cells = [
        _CELL.format(column=sql.Identifier(column.name), type=sql.SQL(column.form))
        for column in columns
    ]
    return _HASH.format(cells=sql.SQL(", ").join(cells))
