"""Rows that a foreign key forbids leave the table, and their records go to the rejects.

The rows are found by sets, in the database, again and again, since taking one out may orphan
others; their records by a second pass over the table's file for the forbidden keys alone. What is
taken out is kept in the database, in the same transaction, until its record is among the rejects.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
from psycopg import sql

from restore.kinds import kind_of
from restore.read import Batch, Reader
from restore.rejects import Reason
from restore.scan import DECODE_ERRORS
from restore.single import fields_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import psycopg

    from restore.catalog import Column, ForeignKey, Table
    from restore.limits import Limits
    from restore.plan import Load
    from restore.read import RawRecord
    from restore.rejects import RejectFile
    from restore.report import TableReport
    from restore.values import Converter

_FOREIGN_KEY_VIOLATION = "23503"
_FETCH = 1_000

# A key's values, in the order of its columns, as Python has them.
Values = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """What belongs to a table that was loaded: its file, counts, rejects, and how it was read."""

    load: Load
    report: TableReport
    rejects: RejectFile
    converter: Converter


class Orphans:
    """Takes rows out that foreign keys forbid, and keeps their records as rejects.

    Args:
        conn: a connection to the target, on which the keys do not hold now.
        tables: every table that the keys name, by oid.
        keys: the foreign keys.
        chunk_bytes: how much of a file is read at a time.
        schema: where what is taken out is kept meanwhile.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        tables: dict[int, Table],
        keys: Sequence[ForeignKey],
        *,
        chunk_bytes: int,
        schema: str,
    ) -> None:
        self._conn = conn
        self._tables = tables
        self._keys = keys
        self._chunk_bytes = chunk_bytes
        self._stores = {
            key: sql.Identifier(schema, f"orphans_{number}") for number, key in enumerate(keys)
        }

    def reject(self, kept: Iterable[Kept], limits: Limits) -> int:
        """Take the rows out and keep their records.

        Returns:
            How many there were.

        Raises:
            LoadError: a reject file cannot be written, or there are too many rejects.
            psycopg.Error: the server refused.
        """
        taken = self._take_out()
        by_table: dict[int, dict[ForeignKey, int]] = defaultdict(dict)
        for key, count in taken.items():
            by_table[key.table][key] = count
        for table in kept:
            found = by_table.get(table.load.table.oid)
            if found:
                table.report.count_taken_out(sum(found.values()))
                self._keep(table, list(found))
        for store in self._stores.values():
            self._conn.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(store))
        if taken:
            limits.after_reject("a foreign key forbids it")
        return sum(taken.values())

    def _take_out(self) -> Counter[ForeignKey]:
        """Delete rows until none is forbidden; count them by the key that forbade them."""
        taken: Counter[ForeignKey] = Counter()
        waiting = list(self._keys)
        while waiting:
            shrunk: set[int] = set()
            for key in waiting:
                count = self._take_out_once(key)
                if count:
                    taken[key] += count
                    shrunk.add(key.table)
            waiting = [key for key in self._keys if key.parent in shrunk]
        return taken

    def _take_out_once(self, key: ForeignKey) -> int:
        child, parent = self._tables[key.table], self._tables[key.parent]
        own = [_column("c", name) for name in key.columns]
        others = [_column("p", name) for name in key.parent_columns]
        columns = sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(column, sql.Identifier(f"v{n}"))
            for n, column in enumerate(own)
        )
        parts = {
            "store": self._stores[key],
            "child": child.only,
            "parent": parent.only,
            "columns": columns,
            "present": sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(c) for c in own),
            "matches": sql.SQL(" AND ").join(
                sql.SQL("{} = {}").format(*pair) for pair in zip(own, others, strict=True)
            ),
        }
        with self._conn.transaction():
            self._conn.execute(_MAKE_STORE.format(**parts))
            return self._conn.execute(_TAKE_OUT.format(**parts)).rowcount

    def _keep(self, table: Kept, keys: list[ForeignKey]) -> None:
        """Write the records of rows that were taken out; those that are not found, as rows."""
        missing = {key: self._missing(key) for key in keys}
        for record, key, values in self._records(table, missing):
            reason = _reason(key, values, table.load.table)
            table.rejects.add(record, reason)
            table.report.count_reason(reason, record.ordinal, record.offset)
            missing[key][values] -= 1
        for key, left in missing.items():
            for values, count in left.items():
                if count > 0:
                    self._keep_rows(table, key, values, count)

    def _missing(self, key: ForeignKey) -> dict[Values, int]:
        """Return the values that were forbidden, and how many rows had them."""
        names = sql.SQL(", ").join(sql.Identifier(f"v{n}") for n in range(len(key.columns)))
        query = sql.SQL("SELECT {0}, count(*) FROM {1} GROUP BY {0}").format(
            names, self._stores[key]
        )
        return {tuple(row[:-1]): row[-1] for row in self._conn.execute(query)}

    def _records(
        self, table: Kept, missing: dict[ForeignKey, dict[Values, int]]
    ) -> Iterator[tuple[RawRecord, ForeignKey, Values]]:
        """Yield the records of the table's file that hold a forbidden value and were loaded."""
        finder = _Finder(table, missing)
        with contextlib.closing(table.load.file.open()) as stream:
            for batch in Reader(stream, self._chunk_bytes, finder.decode):
                if not isinstance(batch, Batch):
                    continue
                found = finder.find(batch)
                for index in sorted(found):
                    record = batch.record(index)
                    if record.ordinal not in table.rejects.ordinals:
                        yield (record, *found[index])

    def _keep_rows(self, table: Kept, key: ForeignKey, values: Values, count: int) -> None:
        """Keep rows whose records were not found, as the database gave them."""
        same = sql.SQL(" AND ").join(
            sql.SQL("{} = %s").format(sql.Identifier(f"v{n}")) for n in range(len(values))
        )
        query = sql.SQL("SELECT taken FROM {} WHERE {} LIMIT %s").format(self._stores[key], same)
        reason = _reason(key, values, table.load.table)
        for (row,) in self._conn.execute(query, [*values, count]).fetchall():
            table.rejects.add_row(row.encode(), reason)
            table.report.count_reason(reason, None, None)


class _Finder:
    """Finds the records that hold a forbidden value: fast where their keys are as usual.

    ``decode`` is for a Reader: it takes the keys out of records and passes all else over.
    """

    def __init__(self, table: Kept, wanted: dict[ForeignKey, dict[Values, int]]) -> None:
        self._wanted = wanted
        self._converter = table.converter
        names = dict.fromkeys(name for key in wanted for name in key.columns)
        by_name = {column.name: column for column in table.load.table.columns}
        self._columns = [by_name[name] for name in names]
        fields = {name: f"f{n}" for n, name in enumerate(names)}
        self._getters = {key: attrgetter(*(fields[name] for name in key.columns)) for key in wanted}
        self.decode = _key_decoder(self._columns)

    def find(self, batch: Batch) -> dict[int, tuple[ForeignKey, Values]]:
        """Return the places in a batch of records with a forbidden value."""
        found: dict[int, tuple[ForeignKey, Values]] = {}
        for key, wanted in self._wanted.items():
            rows = self._values(batch, key)
            if not wanted.keys().isdisjoint(rows):
                for index, values in enumerate(rows):
                    if values in wanted:
                        found.setdefault(index, (key, values))
        return found

    def _values(self, batch: Batch, key: ForeignKey) -> list[Values]:
        if batch.rows is None:
            return [self._converted(record.raw, key) for record in batch.records()]
        values = map(self._getters[key], batch.rows)
        return list(zip(values)) if len(key.columns) == 1 else list(values)

    def _converted(self, raw: bytes, key: ForeignKey) -> Values:
        columns = [column for column in self._columns if column.name in key.columns]
        columns.sort(key=lambda column: key.columns.index(column.name))
        try:
            fields = fields_of(raw)
            return tuple(
                self._converter.typed(column, bytes(fields[column.name])) for column in columns
            )
        except (KeyError, ValueError, *DECODE_ERRORS):
            return ()  # such a record was not loaded, or its row is kept as the database gives it


def _key_decoder(columns: Sequence[Column]) -> Callable[[bytes], list[Any]]:
    """Return what takes the keys' columns out of a JSON array of records."""
    kinds = [kind_of(column, wide=False).annotation for column in columns]
    escaped = any('"' in column.name or "\\" in column.name for column in columns)
    if escaped or msgspec.Raw in kinds or any(c.type.name == "timestamp" for c in columns):
        return _not_decoded
    names = [f"f{n}" for n in range(len(columns))]
    struct = msgspec.defstruct(
        "Keys",
        [(name, kind | None, None) for name, kind in zip(names, kinds, strict=True)],
        rename=dict(zip(names, (column.name for column in columns), strict=True)),
        gc=False,
    )
    return msgspec.json.Decoder(list[struct]).decode  # type: ignore[valid-type]


def _not_decoded(_: bytes) -> list[Any]:
    raise msgspec.DecodeError("these columns are converted one by one")


def _column(alias: str, name: str) -> sql.Composed:
    return sql.SQL("{}.{}").format(sql.Identifier(alias), sql.Identifier(name))


def _reason(key: ForeignKey, values: Values, table: Table) -> Reason:
    columns = ", ".join(key.columns)
    shown = ", ".join(map(str, values))
    return Reason(
        level="constraint",
        message=f'"{table.name}" violates foreign key constraint "{key.name}"',
        detail=f"Key ({columns})=({shown}) is not there, or was rejected",
        sqlstate=_FOREIGN_KEY_VIOLATION,
        constraint=key.name,
    )


_MAKE_STORE = sql.SQL(
    "CREATE TABLE IF NOT EXISTS {store} AS"
    " SELECT {columns}, ''::text AS taken FROM {child} AS c WITH NO DATA"
)
# MATCH SIMPLE: a key of which a part is NULL refers to nothing.
_TAKE_OUT = sql.SQL(
    "WITH gone AS ("
    "DELETE FROM {child} AS c WHERE {present}"
    " AND NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {matches})"
    " RETURNING {columns}, row_to_json(c)::text AS taken"
    ") INSERT INTO {store} SELECT * FROM gone"
)
