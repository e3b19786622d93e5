"""Reads the sequences of a table's columns, and sets them beyond the loaded values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from psycopg import sql

from restore.target.queries import load_query

if TYPE_CHECKING:
    from collections.abc import Sequence as Listed

    import psycopg

    from restore.target.catalog import Table

_SEQUENCES = load_query("sequences")

# The next value has to lie beyond the column's last: its highest, or its lowest where the sequence
# counts down. The sequence stays on its own steps, so that two that take turns do not meet. At
# equality too: a sequence that was never used stands at its first value without having given it.
# Where no step of its own is left, it is set to its end, and the next value is an error.
_SET_SEQUENCE = sql.SQL(
    "SELECT setval({name}, (CASE WHEN step BETWEEN {least} AND {most} THEN step ELSE {end} END)"
    "::bigint)"
    " FROM (SELECT s.last_value + ceil((v.last - s.last_value) / {by}) * {by},"
    " (v.last - s.last_value) * sign({by})"
    " FROM {sequence} AS s, (SELECT trunc({last}({column})::numeric) FROM {table}"
    " WHERE {column} BETWEEN {least} AND {most}) AS v (last)) AS w (step, ahead)"
    " WHERE ahead >= 0"
)
# Without statistics, EXISTS would read the whole table; the last value is found in an index.
_BEYOND = sql.SQL("SELECT {last}({column}) {beyond} {end} FROM {table}")


class Sequence(Struct, frozen=True):
    """A sequence that gives a column its values, or part of them if not ``numbers``."""

    column: str
    schema: str
    name: str
    increment: int = 1
    least: int = 1
    most: int = (1 << 63) - 1
    may_set: bool = True
    numbers: bool = True

    @property
    def identifier(self) -> sql.Identifier:
        """The sequence's qualified name, in SQL."""
        return sql.Identifier(self.schema, self.name)


def read_sequences(conn: psycopg.Connection, oids: Listed[int]) -> dict[int, list[Sequence]]:
    """Read the sequences of tables, by the tables' oids."""
    sequences: dict[int, list[Sequence]] = {oid: [] for oid in oids}
    for oid, *sequence in conn.execute(_SEQUENCES, {"oids": list(oids)}):
        sequences[oid].append(Sequence(*sequence))
    return sequences


def set_sequences(conn: psycopg.Connection, table: Table) -> list[str]:
    """Set a table's sequences beyond the values in their columns; never back.

    Returns:
        Warnings: sequences that the role may not set, or whose range the values leave.
    """
    found = [_set_sequence(conn, table, sequence) for sequence in table.sequences]
    return [warning for warnings in found for warning in warnings]


def _set_sequence(conn: psycopg.Connection, table: Table, sequence: Sequence) -> list[str]:
    shown = f"sequence {sequence.schema}.{sequence.name} of {table.name}.{sequence.column}"
    if not sequence.may_set:
        why = "the role may not; the owner can GRANT SELECT, UPDATE on it, and SELECT on the column"
        return [f"{shown} is not set beyond the restored values: {why}"]
    if not sequence.numbers:
        return [f"{shown} makes part of its values: set it beyond the restored ones yourself"]
    up = sequence.increment > 0
    parts = {
        "name": sql.Literal(sequence.identifier.as_string(conn)),
        "sequence": sequence.identifier,
        "by": sql.Literal(sequence.increment),
        "last": sql.SQL("max" if up else "min"),
        "column": sql.Identifier(sequence.column),
        "table": table.identifier,
        "least": sql.Literal(sequence.least),
        "most": sql.Literal(sequence.most),
        "end": sql.Literal(sequence.most if up else sequence.least),
        "beyond": sql.SQL(">" if up else "<"),
    }
    conn.execute(_SET_SEQUENCE.format(**parts))
    if conn.execute(_BEYOND.format(**parts)).fetchone() != (True,):
        return []
    end = sequence.most if up else sequence.least
    return [f"{shown} ends at {end}, and the column holds values beyond that: it cannot follow"]
