"""Loads a backup into a scratch database record by record, as a perfect restore would.

The first record with a key wins; a record that the database refuses is lost; then rows without
their parents are removed, until none is left.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from harness.adopt import catalog, names
from harness.adopt.reader import records
from harness.adopt.values import DOCUMENTS, LostValueError, UndecidedError, encode
from harness.model.errors import HarnessError, InputError
from harness.model.manifest import Damage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from harness.adopt.catalog import Connection, ForeignKey, TableColumn
    from harness.adopt.reader import Json, Source
    from harness.trial.row_hash import TableName

_BATCH = 500
_SESSION = (
    "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres';"
    " SET extra_float_digits = 1; SET statement_timeout = 0; SET synchronous_commit = off"
)
_KINDS = {
    "23505": "duplicate_key",
    "23P01": "duplicate_key",
    "23502": "null",
    "23514": "check",
}
Place = tuple[int, str]  # the oid of a row's table or partition, and its ctid


@dataclass(slots=True)
class LoadedTable:
    """A table, and what became of the records of its list.

    Args:
        source: the list of records.
        name: the table's schema and name.
        columns: the table's columns.
        unverified: the columns that are not compared, and why.
        places: where the row of each loaded record is, by its ordinal.
        lost: the records that no engine can restore, by ordinal: the kind, and the field if known.
    """

    source: Source
    name: TableName
    columns: list[TableColumn]
    unverified: dict[str, str] = field(default_factory=dict)
    places: dict[int, Place] = field(default_factory=dict)
    lost: dict[int, tuple[str, str | None]] = field(default_factory=dict)
    records: int = 0

    @property
    def title(self) -> str:
        """Return the table's name for messages."""
        schema, table = self.name
        return table if schema == "public" else f"{schema}.{table}"

    def damage(self) -> Iterator[Damage]:
        """Yield the records that are lost, in order; their file is read once more."""
        for ordinal, record in enumerate(records(self.source) if self.lost else ()):
            if ordinal in self.lost:
                kind, column = self.lost[ordinal]
                yield Damage(
                    table=self.name[1],
                    ordinal=ordinal,
                    damage=kind,
                    field=column,
                    restorable=False,
                    offset=record.offset,
                    sha256=hashlib.sha256(record.text.encode()).hexdigest(),
                )


def load(
    connection: Connection, sources: Sequence[Source], announce: Callable[[str], None]
) -> list[LoadedTable]:
    """Load a backup into empty tables, and return what became of its records.

    Args:
        connection: to a scratch database with the schema, in autocommit.
        sources: the lists of records.
        announce: called with a line for each table.

    Raises:
        InputError: the backup does not fit the schema, or something of it cannot be decided here.
        HarnessError: the server is gone.
    """
    connection.execute(_SESSION)
    known = catalog.tables_of(connection)
    path = catalog.search_path(connection)
    found = [(source, names.table_of(source, known, path)) for source in sources]
    tables = [
        LoadedTable(source, name, catalog.columns_of(connection, name)) for source, name in found
    ]
    twice = [name for name, times in Counter(table.name for table in tables).items() if times > 1]
    if twice:
        raise InputError(f"two lists of records are for {'.'.join(twice[0])}; leave one out")
    _check_empty(connection, known)
    keys = catalog.drop_foreign_keys(connection)
    catalog.disable_triggers(connection, known)
    try:
        for table in tables:
            _load_table(connection, table)
            announce(
                f"{table.title}: {table.records:,} records, {len(table.lost):,} cannot be restored"
            )
        _remove_orphans(connection, keys, tables)
        for key in keys:
            statement = f"ALTER TABLE {key.table} ADD CONSTRAINT {key.name} {key.definition}"
            connection.execute(statement.encode())
    except psycopg.OperationalError as error:
        raise HarnessError(f"the scratch server failed ({error}); try again") from error
    return tables


def _check_empty(connection: Connection, tables: Iterable[TableName]) -> None:
    for table in tables:
        query = sql.SQL("SELECT FROM {} LIMIT 1").format(sql.Identifier(*table))
        if connection.execute(query).fetchone() is not None:
            raise InputError(f"the schema fills {'.'.join(table)}; give a schema without rows")


def _load_table(connection: Connection, table: LoadedTable) -> None:
    """Load the records of a table: a batch at a time, and one by one if that fails."""
    filled = _first_pass(table)
    rows = _rows(table, filled)
    while group := list(islice(rows, _BATCH)):
        try:
            with connection.transaction():
                _insert(connection, table, group)
        except psycopg.OperationalError:
            raise
        except psycopg.Error:
            for row in group:
                _insert_alone(connection, table, row)


def _first_pass(table: LoadedTable) -> dict[str, TableColumn]:
    """Look at all records once, and return the column that each field fills.

    Raises:
        InputError: the values of a column cannot be decided.
    """
    by_name = {column.name: column for column in table.columns}
    fields: dict[str, None] = {}
    present: Counter[str] = Counter()
    count, has_null = 0, False
    for record, *_ in records(table.source):
        count += 1
        if isinstance(record, dict):
            fields.update(dict.fromkeys(record))
            present.update(list(record))
            has_null = has_null or None in record.values()
    if not fields:
        return {}
    filled = {
        field: by_name[column]
        for field, column in names.columns_of(fields, list(by_name), table.title).items()
        if not by_name[column].is_generated
    }
    for record, *_ in records(table.source):
        for name, value in record.items() if isinstance(record, dict) else ():
            if name in filled:
                filled[name].values.see(value)
    for column in filled.values():
        try:
            column.values.settle()
        except UndecidedError as error:
            raise _undecided(table, column, error) from error
    is_full = {filled[name].name: present[name] == count for name in filled}
    _exclude(table, is_full, is_sparse=not has_null and len(set(present.values())) > 1)
    return filled


def _exclude(table: LoadedTable, is_full: dict[str, bool], *, is_sparse: bool) -> None:
    """Note the columns whose values a restore may choose, or that keep a file's spelling."""
    for column in table.columns:
        if column.values.type == "json":
            table.unverified[column.name] = "json keeps the spelling of the file"
        elif is_full.get(column.name) or column.is_generated:
            continue
        elif column.is_identity or column.is_computed:
            table.unverified[column.name] = "records lack it, and its default is computed"
        elif column.default is not None and is_sparse and not column.values.is_required:
            table.unverified[column.name] = (
                "records lack it, and in a file without nulls that may mean NULL or the default"
            )


def _rows(
    table: LoadedTable, filled: dict[str, TableColumn]
) -> Iterator[tuple[int, tuple[str, ...], str]]:
    """Yield each record that is not lost: its ordinal, its columns, and their values as JSON."""
    for ordinal, (record, *_) in enumerate(records(table.source)):
        table.records = ordinal + 1
        values: dict[str, Json] = {}
        fields = record.items() if isinstance(record, dict) else ()
        for name, value in fields:
            if name not in filled:
                continue
            try:
                values[filled[name].name] = filled[name].values.convert(value)
            except LostValueError:
                table.lost[ordinal] = ("value", name)
            except UndecidedError as error:
                raise _undecided(table, filled[name], error) from error
        if not isinstance(record, dict) or (record and not values):
            table.lost.setdefault(ordinal, ("value", None))
        if ordinal not in table.lost:
            yield ordinal, tuple(sorted(values)), encode(values)


def _insert(
    connection: Connection, table: LoadedTable, rows: Sequence[tuple[int, tuple[str, ...], str]]
) -> None:
    """Insert records in their order, and note where each row is."""
    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    start = 0
    places: dict[int, Place] = {}
    while start < len(rows):
        columns = rows[start][1]
        end = next((i for i in range(start, len(rows)) if rows[i][1] != columns), len(rows))
        alike = rows[start:end]
        found = connection.execute(
            _statement(table, columns), [[text for _, _, text in alike]]
        ).fetchall()
        if len(found) != len(alike):
            raise HarnessError(f"{table.title}: the scratch server left out rows of an insert")
        places |= {row[0]: place for row, place in zip(alike, found, strict=True)}
        start = end
    table.places |= places


def _insert_alone(
    connection: Connection, table: LoadedTable, row: tuple[int, tuple[str, ...], str]
) -> None:
    try:
        with connection.transaction():
            _insert(connection, table, [row])
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        table.lost[row[0]] = (_KINDS.get(error.sqlstate or "", "value"), error.diag.column_name)


def _statement(table: LoadedTable, columns: Sequence[str]) -> sql.Composed:
    """Return an insert of many records with the same columns; no columns are all defaults."""
    name = sql.Identifier(*table.name)
    required = {
        column.name
        for column in table.columns
        if column.values.type in DOCUMENTS and column.values.is_required
    }
    # In a column that must not be NULL, null can only mean JSON's own.
    cells = [
        sql.SQL("coalesce(r.{c}, 'null')" if column in required else "r.{c}").format(
            c=sql.Identifier(column)
        )
        for column in columns
    ]
    if not columns:
        return sql.SQL(
            "WITH given AS (SELECT unnest(%s::text[])) INSERT INTO {} DEFAULT VALUES"
            " RETURNING tableoid::bigint, ctid::text"
        ).format(name)
    return sql.SQL(
        "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {cells}"
        " FROM unnest(%s::text[]) WITH ORDINALITY AS given (record, number),"
        " json_populate_record(NULL::{table}, given.record::json) AS r ORDER BY given.number"
        " RETURNING tableoid::bigint, ctid::text"
    ).format(
        table=name,
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        cells=sql.SQL(", ").join(cells),
    )


def _remove_orphans(
    connection: Connection, keys: Sequence[ForeignKey], tables: Sequence[LoadedTable]
) -> None:
    """Remove rows whose parent is missing, and rows that then miss theirs."""
    owners = {
        place: (table, ordinal) for table in tables for ordinal, place in table.places.items()
    }
    removed = True
    while removed:
        removed = False
        for key in keys:
            for place in connection.execute(_orphans(key).encode()).fetchall():
                removed = True
                table, ordinal = owners[place]
                table.lost[ordinal] = ("orphan", None)
                del table.places[ordinal]


def _orphans(key: ForeignKey) -> str:
    """Return the statement that removes a foreign key's orphans."""
    same = " AND ".join(
        f"p.{parent} {operator} c.{own}"
        for own, parent, operator in zip(
            key.columns, key.parent_columns, key.operators, strict=True
        )
    )
    is_set = " AND ".join(f"c.{own} IS NOT NULL" for own in key.columns)
    is_null = " AND ".join(f"c.{own} IS NULL" for own in key.columns)
    no_parent = f"NOT EXISTS (SELECT FROM {key.parent} p WHERE {same})"
    # MATCH FULL also forbids keys that are NULL in part, which have no parent either.
    violated = f"NOT ({is_null}) AND {no_parent}" if key.is_full else f"{is_set} AND {no_parent}"
    return f"DELETE FROM {key.table} c WHERE {violated} RETURNING tableoid::bigint, ctid::text"  # noqa: S608 - quoted names


def _undecided(table: LoadedTable, column: TableColumn, error: UndecidedError) -> InputError:
    return InputError(
        f"{table.title}.{column.name} cannot be verified independently: {error}; adopt the backup "
        "without this table"
    )
