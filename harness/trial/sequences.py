"""Checks that the sequences of a restored database return numbers that are free.

A sequence that is behind its column makes the next insert fail. One that is far beyond wastes its
range: an engine may use up numbers for records that it does not load, but not many times over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.trial.row_hash import TableName

Connection = psycopg.Connection[Any]

# Numbers that an engine may use up, as a multiple of the records; and for a few records.
_WASTE_FACTOR, _WASTE_LEAST = 10, 1000

# Each sequence, with the columns that own it or take their default from it.
_SEQUENCES = """
    SELECT n.nspname, c.relname, s.seqincrement, s.seqcache, s.seqcycle, s.seqmin, s.seqmax,
        ARRAY(
            SELECT DISTINCT ARRAY[tn.nspname::text, t.relname::text, a.attname::text]
            FROM pg_depend AS d
            LEFT JOIN pg_attrdef AS f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid
            JOIN pg_attribute AS a
                ON (a.attrelid, a.attnum) = (d.refobjid, d.refobjsubid)
                    AND d.objid = c.oid AND d.deptype IN ('a', 'i')
                OR (a.attrelid, a.attnum) = (f.adrelid, f.adnum) AND d.refobjid = c.oid
            JOIN pg_class AS t ON t.oid = a.attrelid
            JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
            WHERE c.oid IN (d.objid, d.refobjid) AND a.attnum > 0 AND t.relkind IN ('r', 'p')
        )
    FROM pg_sequence AS s JOIN pg_class AS c ON c.oid = s.seqrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relpersistence <> 't' ORDER BY 1, 2
"""
_STATE = sql.SQL("SELECT last_value, is_called FROM {}")
_FURTHEST = sql.SQL("SELECT {aggregate}({column})::numeric::bigint FROM {table}")


class SequenceState(NamedTuple):
    """A sequence: the number that it returns next, how it counts, and the columns that use it."""

    next: int
    increment: int
    cache: int
    cycles: bool
    limits: tuple[int, int]
    columns: tuple[tuple[str, str, str], ...]


def read(connection: Connection) -> dict[TableName, SequenceState]:
    """Return all sequences of a database; the search path is ``pg_catalog``."""
    found = {}
    for schema, name, step, cache, cycles, least, most, columns in connection.execute(
        _SEQUENCES
    ).fetchall():
        row = connection.execute(_STATE.format(sql.Identifier(schema, name))).fetchone()
        if row is not None:
            last, is_called = row
            following = last + step if is_called else last
            uses = tuple((one[0], one[1], one[2]) for one in columns)
            found[schema, name] = SequenceState(following, step, cache, cycles, (least, most), uses)
    return found


def differences(
    connection: Connection, before: dict[TableName, SequenceState], records: int
) -> list[str]:
    """Describe each sequence that is behind its columns, or far beyond them.

    Args:
        connection: to the restored database; its search path is ``pg_catalog``.
        before: its sequences when it was empty. One that is gone or new is not reported here.
        records: the number of records of the backup.
    """
    now = read(connection)
    return [
        f"sequence {'.'.join(name)} {text}"
        for name, was in before.items()
        if name in now
        for text in _judge(connection, was, now[name], records)
    ]


def _judge(
    connection: Connection, was: SequenceState, now: SequenceState, records: int
) -> Iterator[str]:
    """Describe what is wrong with a sequence; at most one thing."""
    if now.cycles:
        return
    sign = 1 if now.increment > 0 else -1
    taken = [*_taken(connection, now, sign)]
    furthest = max((sign * value for value in taken), default=None)
    if sign * now.next < sign * was.next:
        yield f"returns {now.next} next, which is behind {was.next}, where it began"
    elif furthest is not None and sign * now.next <= furthest < sign * now.limits[sign > 0]:
        yield f"returns {now.next} next, but its column holds {sign * furthest}"
    else:
        free = max(sign * was.next, sign * was.next if furthest is None else furthest)
        waste = max(_WASTE_LEAST, _WASTE_FACTOR * records) * abs(now.increment) * now.cache
        if sign * now.next - free > waste:
            yield f"returns {now.next} next, far beyond {sign * free}"


def _taken(connection: Connection, sequence: SequenceState, sign: int) -> Iterator[int]:
    """Yield the value furthest in the sequence's direction of each column that has values."""
    for schema, table, column in sequence.columns:
        query = _FURTHEST.format(
            aggregate=sql.SQL("max" if sign > 0 else "min"),
            column=sql.Identifier(column),
            table=sql.Identifier(schema, table),
        )
        try:
            row = connection.execute(query).fetchone()
        except psycopg.OperationalError:
            raise
        except psycopg.Error:  # no such column any more, or no number: its definition differs
            continue
        if row is not None and row[0] is not None:
            yield row[0]
