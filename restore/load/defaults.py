"""Asks the server for the values of defaults that are the same for all rows of a load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from restore.decode.encode import Default
from restore.decode.types import type_codec
from restore.target.conflicts import replace_key
from restore.target.sqlstate import is_lost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restore.options import Options
    from restore.target.catalog import Column, Table

# Functions stand in an expression's tree by their oids, but for those that convert by way of text
# (COERCEVIAIO) and that compare rows.
_STEADY = r"""
    WITH found (name, tree) AS (
        SELECT a.attname, COALESCE(d.adbin, t.typdefaultbin)::text
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attgenerated = '' AND a.attidentity = ''
          AND has_column_privilege(a.attrelid, a.attnum, 'INSERT')
          AND has_database_privilege(current_database(), 'TEMP')
    )
    SELECT f.name FROM found f
    WHERE f.tree !~ '\{(NEXTVALUEEXPR|COERCEVIAIO|ROWCOMPARE)' AND NOT EXISTS (
        SELECT FROM regexp_matches(f.tree, ':(?:op)?funcid (\d+)', 'g') AS m (oids)
        JOIN pg_proc p ON p.oid = m.oids[1]::oid AND p.provolatile = 'v')
"""
_MAKE = sql.SQL("CREATE TEMP TABLE restore_defaults (LIKE {} INCLUDING DEFAULTS)")
_DROP = sql.SQL("DROP COLUMN {}")
_EVALUATE = sql.SQL("INSERT INTO pg_temp.restore_defaults DEFAULT VALUES RETURNING {}")
# A row's values in memory, where many records lack many large ones, are bounded.
_LARGEST_BYTES = 1 << 12


def steady_defaults(conn: psycopg.Connection, table: Table, options: Options) -> tuple[Column, ...]:
    """Return the columns to fill: their defaults call no volatile function, if any function.

    A record that lacks the key by which rows are replaced has no row to replace, so that is none.
    """
    optional = any(column.takes_default and not column.generated for column in table.columns)
    if not optional:
        return ()
    key = replace_key(table).columns if options.on_conflict == "replace" else ()
    rows = conn.execute(_STEADY, [table.identifier.as_string(conn)], prepare=True).fetchall()
    steady = {name for (name,) in rows}
    wanted = steady.difference(key)
    return tuple(c for c in table.columns if c.takes_default and c.name in wanted)


def evaluate(
    conn: psycopg.Connection, table: Table, columns: Sequence[Column]
) -> dict[str, Default]:
    """Return the values of defaults by field; those are left out that the server does not give.

    An empty table with the same defaults gives them as the target would: no expression is read
    again in another search path. Nothing is left of it.
    """
    if not columns:
        return {}
    try:
        with conn.transaction(force_rollback=True):
            found = _evaluate(conn, table, columns)
    except psycopg.Error as error:
        if is_lost(error):
            raise
        if len(columns) == 1:
            return {}
        half = len(columns) // 2
        return evaluate(conn, table, columns[:half]) | evaluate(conn, table, columns[half:])
    return {
        column.field: default
        for column, default in zip(columns, found, strict=True)
        if len(default.text or b"") <= _LARGEST_BYTES
    }


def _evaluate(conn: psycopg.Connection, table: Table, columns: Sequence[Column]) -> list[Default]:
    conn.execute(_MAKE.format(table.identifier))
    wanted = {column.name for column in columns}
    others = [sql.Identifier(c.name) for c in table.columns if c.name not in wanted]
    if others:
        drops = sql.SQL(", ").join(map(_DROP.format, others))
        conn.execute(sql.SQL("ALTER TABLE pg_temp.restore_defaults {}").format(drops))
    texts = _row(conn, columns, binary=False)
    in_binary = [column for column in columns if type_codec(column, wide=False).binary]
    forms = iter(_row(conn, in_binary, binary=True) if in_binary else ())
    return [
        Default(text, next(forms) if column in in_binary else None)
        for column, text in zip(columns, texts, strict=True)
    ]


def _row(
    conn: psycopg.Connection, columns: Sequence[Column], *, binary: bool
) -> list[bytes | None]:
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
    with conn.cursor(binary=binary) as cursor:
        result = cursor.execute(_EVALUATE.format(names)).pgresult
        if result is None:
            raise AssertionError("the defaults have no values")
        return [result.get_value(0, n) for n in range(len(columns))]
