"""What a table needs when its rows and indexes are in: keys, sequences, statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from harness.engines.floor.constraints import attach_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.engines.floor.constraints import Index
    from harness.engines.floor.encoded import Table
    from harness.engines.floor.sessions import Connection

# Sequences that count up and belong to a column, or that a column's default draws from.
_SEQUENCES = """
    WITH uses (number, sequence) AS (
        SELECT refobjsubid, objid FROM pg_depend
        WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
          AND deptype IN ('a', 'i') AND refobjid = %(oid)s
        UNION
        SELECT ad.adnum, d.refobjid FROM pg_attrdef ad
        JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = ad.oid
                        AND d.refclassid = 'pg_class'::regclass
        WHERE ad.adrelid = %(oid)s
    )
    SELECT a.attname, n.nspname, c.relname FROM uses u
    JOIN pg_sequence s ON s.seqrelid = u.sequence AND s.seqincrement > 0
    JOIN pg_class c ON c.oid = u.sequence JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = %(oid)s AND a.attnum = u.number
    JOIN pg_type t ON t.oid = a.atttypid AND t.typname IN ('int2', 'int4', 'int8', 'numeric')
"""
_SET_SEQUENCE = sql.SQL(
    "SELECT setval({name}, max({column})::bigint) FROM {table}"
    " HAVING max({column}) >= (SELECT last_value FROM {sequence})"
)
# Documents and bytes cost the most to sort and are hardly ever compared whole: like the engine
# ``restore``, this leaves them to autovacuum.
_COMPARED = """
    SELECT a.attname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
      AND t.typname NOT IN ('json', 'jsonb', 'bytea', 'xml')
    ORDER BY a.attnum
"""


def finish(connection: Connection, oid: int, table: Table, indexes: Sequence[Index]) -> None:
    """Make keys of a table's indexes, set its sequences, gather its statistics.

    Raises:
        psycopg.Error: the server refused.
    """
    attach_keys(connection, indexes)
    name, given = sql.Identifier(table.schema, table.table), {"oid": oid}
    for column, schema, sequence in connection.execute(_SEQUENCES, given).fetchall():
        own = sql.Identifier(schema, sequence)
        connection.execute(
            _SET_SEQUENCE.format(
                name=sql.Literal(own.as_string()),
                sequence=own,
                column=sql.Identifier(column),
                table=name,
            )
        )
    columns = [sql.Identifier(column) for (column,) in connection.execute(_COMPARED, given)]
    connection.execute(
        sql.SQL("ANALYZE {} ({})" if columns else "ANALYZE {}").format(
            name, sql.SQL(", ").join(columns)
        )
    )
