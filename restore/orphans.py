"""Rows that a foreign key forbids leave the table, and their records go to the rejects.

The rows are found by sets, in the database, again and again, since taking one out may orphan
others; their records by a second pass over the table's file for the forbidden keys alone.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from psycopg import sql

from restore.read import Batch, RawRecord, Reader
from restore.rejects import Reason, RejectFile
from restore.scan import DECODE_ERRORS
from restore.values import literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import psycopg

    from restore.catalog import ForeignKey, Table
    from restore.plan import Load, Plan
    from restore.report import TableReport

_FOREIGN_KEY_VIOLATION = "23503"

_records = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


class Orphan(NamedTuple):
    """A row that was taken out: its values of the key's columns, and all of it as JSON."""

    key: ForeignKey
    values: tuple[object, ...]
    row: str


def reject_orphans(
    conn: psycopg.Connection,
    plan: Plan,
    keys: Sequence[ForeignKey],
    rejects: dict[int, RejectFile],
    reports: dict[int, TableReport],
    *,
    chunk_bytes: int,
) -> None:
    """Take out the rows that foreign keys forbid, and keep their records as rejects.

    Args:
        conn: a connection to the target, where the keys are aside.
        plan: what was loaded.
        keys: the foreign keys.
        rejects: each table's reject file, by oid.
        reports: each table's counts, by oid.
        chunk_bytes: how much of a file is read at a time.
    """
    tables = {load.table.oid: load.table for load in plan.loads}
    taken: dict[int, list[Orphan]] = defaultdict(list)
    for orphan in _take_out(conn, tables, keys):
        taken[orphan.key.table].append(orphan)
    for load in plan.loads:
        orphans = taken.get(load.table.oid, [])
        report = reports[load.table.oid]
        report.count_taken_out(len(orphans))
        if orphans:
            _keep(load, orphans, rejects[load.table.oid], chunk_bytes)


def _keep(load: Load, orphans: list[Orphan], rejects: RejectFile, chunk_bytes: int) -> None:
    """Write the orphans' records to the rejects; those that are not found, as rows."""
    waiting: dict[tuple[ForeignKey, tuple[str, ...]], list[Orphan]] = defaultdict(list)
    for orphan in orphans:
        waiting[orphan.key, tuple(map(str, orphan.values))].append(orphan)
    keys = list({orphan.key: None for orphan in orphans})
    for record, fields in _all_records(load, chunk_bytes):
        for key in keys:
            values = _values(load.table, key, fields)
            found = waiting.get((key, values)) if values is not None else None
            if found and record.ordinal not in rejects.ordinals:
                rejects.add(record, _reason(found.pop(), load.table))
                break
    for left in waiting.values():
        for orphan in left:
            rejects.add_row(orphan.row.encode(), _reason(orphan, load.table))


def _all_records(
    load: Load, chunk_bytes: int
) -> Iterator[tuple[RawRecord, dict[str, msgspec.Raw]]]:
    with contextlib.closing(load.file.open()) as stream:
        for batch in Reader(stream, chunk_bytes, _records.decode):
            if isinstance(batch, Batch) and batch.rows is not None:
                yield from zip(batch.records(), batch.rows, strict=True)
            elif isinstance(batch, Batch):
                for record in batch.records():
                    with contextlib.suppress(*DECODE_ERRORS):
                        yield record, msgspec.json.decode(record.raw, type=dict[str, msgspec.Raw])


def _values(
    table: Table, key: ForeignKey, fields: dict[str, msgspec.Raw]
) -> tuple[str, ...] | None:
    """Return a record's values of a key, as texts; None where it has none."""
    columns = {column.name: column for column in table.columns}
    try:
        values = [literal(columns[name], fields[name]) for name in key.columns]
    except (KeyError, ValueError):
        return None
    return None if None in values else tuple(map(str, values))


def _reason(orphan: Orphan, table: Table) -> Reason:
    columns = ", ".join(orphan.key.columns)
    values = ", ".join(map(str, orphan.values))
    return Reason(
        level="constraint",
        message=(
            f'"{table.name}" violates foreign key constraint "{orphan.key.name}":'
            f" Key ({columns})=({values}) is not there, or was rejected"
        ),
        sqlstate=_FOREIGN_KEY_VIOLATION,
        constraint=orphan.key.name,
    )


def _take_out(
    conn: psycopg.Connection, tables: dict[int, Table], keys: Iterable[ForeignKey]
) -> Iterator[Orphan]:
    """Delete the rows that these keys forbid, again and again until there are none.

    Yields:
        Each row that was deleted.
    """
    waiting = list(keys)
    found = True
    while found:
        found = False
        for key in waiting:
            rows = conn.execute(_orphans(tables[key.table], tables[key.parent], key)).fetchall()
            found = found or bool(rows)
            for *values, row in rows:
                yield Orphan(key, tuple(values), row)


def _orphans(child: Table, parent: Table, key: ForeignKey) -> sql.Composed:
    """Return a DELETE of the child's rows whose key is whole (MATCH SIMPLE) and refers to none."""

    def column(alias: str, name: str) -> sql.Composed:
        return sql.SQL("{}.{}").format(sql.Identifier(alias), sql.Identifier(name))

    own = [column("c", name) for name in key.columns]
    others = [column("p", name) for name in key.parent_columns]
    matches = [
        sql.SQL("{} = {}").format(mine, theirs) for mine, theirs in zip(own, others, strict=True)
    ]
    present = [sql.SQL("{} IS NOT NULL").format(mine) for mine in own]
    return sql.SQL(
        "DELETE FROM {child} AS c WHERE {present}"
        " AND NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {matches})"
        " RETURNING {own}, row_to_json(c)::text"
    ).format(
        child=child.identifier,
        parent=parent.identifier,
        present=sql.SQL(" AND ").join(present),
        matches=sql.SQL(" AND ").join(matches),
        own=sql.SQL(", ").join(own),
    )
