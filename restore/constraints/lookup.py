"""Finds the records that rows were loaded from, by asking the server.

Most keys are written in the file as the server writes them, and are found by their text
(``key_scan``). For the others, the server converts the values of each batch of records to the texts
of its own types. Texts are compared by their bytes, so that no operator of a user decides.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec
from msgspec import Struct
from psycopg import sql

from restore.constraints.orphan_rows import row_key
from restore.decode.convert import as_text
from restore.errors import UnsupportedFormError
from restore.rejects.ordinals import OrdinalSet
from restore.source.json_values import members_of, values_of
from restore.source.reader import Reader
from restore.source.records import Batch
from restore.source.recovery import DECODE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psycopg

    from restore.constraints.orphan_rows import OrphanRows
    from restore.decode.convert import Converter
    from restore.plan.order import Load
    from restore.rejects.writer import RejectFile
    from restore.report.model import TableReport
    from restore.source.records import RawRecord
    from restore.target.catalog import Column, ForeignKey

# A key's values, in the order of its columns, as texts that the server wrote.
Values = tuple[str | None, ...]


class Key(Protocol):
    """What tells rows, or what they refer to: a key of any kind, by its columns."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Their names."""


K = TypeVar("K", bound=Key)


class LoadedFile(Struct, frozen=True):
    """What belongs to a table that was loaded: its file, counts, rejects, and how it was read.

    ``native``: in C, where that can be done.
    """

    load: Load
    report: TableReport
    rejects: RejectFile
    converter: Converter
    native: bool = False


# A record's place in its batch, and its fields.
_Fields = dict[int, dict[str, msgspec.Raw]]


class RowMatcher:
    """Matches a table's stored rows with the records of its file, one row a record.

    Rows are matched by a unique key; records that lack its values, by those of the foreign keys.

    Args:
        conn: a connection to the target.
        table: the table that the rows left.
        keys: its foreign keys.
        stored: the rows.
        found: the records that are known already; each takes up one row, too.
        chunk_bytes: how much of the file is read at a time.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        table: LoadedFile,
        keys: Sequence[ForeignKey],
        stored: OrphanRows,
        *,
        found: OrdinalSet,
        chunk_bytes: int,
    ) -> None:
        self._conn = conn
        self._table = table
        self._keys = {key.label: key for key in keys}
        self._stored = stored
        self._found = found
        self._chunk_bytes = chunk_bytes
        self._columns = {column.name: column for column in table.load.table.columns}
        self._row_key = row_key(table.load.table)
        self._types = self._read_types()
        # Records that the unique key does not match with a row, though they may have one.
        self._open = OrdinalSet()

    def records(self) -> Iterator[tuple[RawRecord, ForeignKey, Values]]:
        """Yield the records of stored rows that were not known.

        Raises:
            psycopg.Error: the server refused.
        """
        names = {"left": self._stored.left, "store": self._stored.store}
        oid = sql.Literal(self._table.load.table.oid)
        self._conn.execute(_MAKE_LEFT.format(**names, oid=oid))
        if self._row_key:
            yield from self._pass(self._by_row_key, self._is_candidate)
            if self._is_complete() or not self._open:
                return
            yield from self._pass(self._by_values, self._open.__contains__)
        else:
            yield from self._pass(self._by_values, self._is_candidate)

    def rows(self) -> Iterator[tuple[str, ForeignKey, Values]]:
        """Yield the stored rows that no record was matched with, as JSON."""
        query = _REST.format(left=self._stored.left, store=self._stored.store)
        with self._conn.transaction(), self._conn.cursor("restore_rows") as cursor:
            for name, values, taken in cursor.execute(query):
                yield taken, self._keys[name], tuple(values)

    def _read_types(self) -> dict[str, str]:
        """Return the types of columns as SQL, with their lengths and scales."""
        used = [name for key in self._keys.values() for name in key.lookup_columns or ()]
        columns = [self._columns[name] for name in dict.fromkeys([*used, *self._row_key])]
        query = (
            "SELECT pg_catalog.format_type(t.oid, t.typmod) FROM ROWS FROM ("
            "pg_catalog.unnest(%s::oid[]), pg_catalog.unnest(%s::int4[]))"
            " WITH ORDINALITY AS t(oid, typmod, place) ORDER BY t.place"
        )
        parts = [[c.type.oid for c in columns], [c.typmod for c in columns]]
        types = self._conn.execute(query, parts).fetchall()
        quoted = [type_.replace("%", "%%") for (type_,) in types]  # beside parameters
        return {c.name: type_ for c, type_ in zip(columns, quoted, strict=True)}

    def _is_candidate(self, ordinal: int) -> bool:
        return ordinal not in self._table.rejects.ordinals or ordinal in self._found

    def _is_complete(self) -> bool:
        query = sql.SQL("SELECT NOT EXISTS (SELECT FROM {})").format(self._stored.left)
        return self._conn.execute(query).fetchone() == (True,)

    def _pass(
        self,
        match: Callable[[int, _Fields], dict[int, tuple[str, Values]]],
        is_wanted: Callable[[int], bool],
    ) -> Iterator[tuple[RawRecord, ForeignKey, Values]]:
        """Read the file and yield the records, not known before, that rows are matched with."""
        with contextlib.closing(self._table.load.file.open()) as stream:
            for batch in Reader(stream, self._chunk_bytes, members_of):
                if not isinstance(batch, Batch):
                    continue
                fields = {
                    n: values_of(bytes(batch.raws()[n]))
                    for n in range(batch.count)
                    if is_wanted(batch.first + n)
                }
                matched = match(batch.first, fields) if fields else {}
                for place, (name, values) in sorted(matched.items()):
                    if batch.first + place not in self._found:
                        yield batch.record(place), self._keys[name], values

    def _by_row_key(self, first: int, fields: _Fields) -> dict[int, tuple[str, Values]]:
        """Match records by their unique key; note which of them it cannot tell."""
        texts = {n: self._texts(self._row_key, record) for n, record in fields.items()}
        told = {n: each for n, each in texts.items() if None not in each}
        matched = self._match(_BY_ROW_KEY, self._row_key, told)
        for n in fields:
            if n not in matched and (n not in told or first + n in self._found):
                self._open.add(first + n)
        return matched

    def _by_values(self, _: int, fields: _Fields) -> dict[int, tuple[str, Values]]:
        """Match records by the values of the foreign keys, one after the other."""
        matched: dict[int, tuple[str, Values]] = {}
        for key in self._keys.values():
            names = key.lookup_columns
            if names is None:
                continue
            texts = {
                n: self._texts(names, record) for n, record in fields.items() if n not in matched
            }
            matched |= self._match(_BY_VALUES, names, texts, key.label)
        return matched

    def _texts(self, names: Sequence[str], record: dict[str, msgspec.Raw]) -> Values:
        columns = [self._columns[name] for name in names]
        return tuple(literal_for(self._table.converter, c, record.get(c.field)) for c in columns)

    def _match(
        self, query: sql.SQL, names: Sequence[str], texts: dict[int, Values], *key: str
    ) -> dict[int, tuple[str, Values]]:
        """Match records of which texts are given, by their place, with rows; these are used up."""
        if not texts:
            return {}
        count = range(len(names))
        parts: dict[str, sql.Composable] = {
            "left": self._stored.left,
            "source": sql.SQL("ROWS FROM ({}) WITH ORDINALITY AS r({}, place)").format(
                sql.SQL(", ").join([sql.SQL("pg_catalog.unnest(%s::text[])")] * len(names)),
                sql.SQL(", ").join(sql.Identifier(f"t{n}") for n in count),
            ),
            "texts": sql.SQL("ARRAY[{}]").format(
                sql.SQL(", ").join(
                    # The type as the server writes it, by its schema.
                    sql.SQL(f'r.t{n}::{self._types[name]}::text COLLATE "C"')
                    for n, name in enumerate(names)
                )
            ),
        }
        places = list(texts)
        given: list[Any] = [list(column) for column in zip(*texts.values(), strict=True)]
        rows = self._conn.execute(query.format(**parts), [*given, *key]).fetchall()
        return {places[place - 1]: (name, tuple(values)) for place, name, values in rows}


def literal_for(converter: Converter, column: Column, raw: msgspec.Raw | None) -> str | None:
    """Return a record's value as the text of a literal; None: it has none that was loaded."""
    if raw is None:
        return None
    data = bytes(raw)
    try:
        with contextlib.suppress(UnsupportedFormError):
            return as_text(converter.to_python(column, data))
        return converter.to_literal(column, data)
    except (ValueError, *DECODE_ERRORS):
        return None


# What is left to be matched. A long text is no key of a B-tree: its hash is.
_MAKE_LEFT = sql.SQL(
    "DROP TABLE IF EXISTS {left};"
    " CREATE TABLE {left} AS SELECT s.ctid AS row_id, s.key_name, s.key_values, s.row_key"
    " FROM {store} AS s WHERE s.key_table = {oid}::oid;"
    " CREATE INDEX ON {left} (hash_array_extended(row_key, 0));"
    " CREATE INDEX ON {left} (hash_array_extended(key_values, 0));"
    " ANALYZE {left}"
)
_BY_ROW_KEY = sql.SQL(
    "DELETE FROM {left} AS l USING {source}"
    " WHERE hash_array_extended(l.row_key, 0) = hash_array_extended({texts}, 0)"
    " AND l.row_key = {texts} RETURNING r.place, l.key_name, l.key_values"
)
# Of records and rows with the same values, the first goes with the first, and so on.
_BY_VALUES = sql.SQL(
    "WITH records AS MATERIALIZED (SELECT r.place, r.texts,"
    " row_number() OVER (PARTITION BY r.texts ORDER BY r.place) AS number"
    " FROM (SELECT r.place, {texts} AS texts FROM {source}) AS r),"
    " sought AS MATERIALIZED (SELECT r.texts, count(*) AS count FROM records AS r GROUP BY 1),"
    " rows AS MATERIALIZED (SELECT o.row_id, s.texts,"
    " row_number() OVER (PARTITION BY s.texts) AS number FROM sought AS s CROSS JOIN LATERAL ("
    "SELECT l.ctid AS row_id FROM {left} AS l WHERE l.key_name = %s"
    " AND hash_array_extended(l.key_values, 0) = hash_array_extended(s.texts, 0)"
    " AND l.key_values = s.texts LIMIT s.count) AS o)"
    " DELETE FROM {left} AS l USING rows AS w JOIN records AS r"
    " ON r.texts = w.texts AND r.number = w.number WHERE l.ctid = w.row_id"
    " RETURNING r.place, l.key_name, l.key_values"
)
_REST = sql.SQL(
    "SELECT s.key_name, s.key_values, s.taken FROM {left} AS l JOIN {store} AS s"
    " ON s.ctid = l.row_id"
)
