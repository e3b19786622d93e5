"""Infers the tables of a backup: columns, primary keys and foreign keys, with the evidence."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from restore.errors import BackupError
from restore.infer.files import choose_table_files
from restore.infer.keys import KeyStore
from restore.infer.naming import key_rank, name_columns, referred_tables
from restore.infer.scan import TableScan
from restore.plan.matching import display_name
from restore.report.events import Stage
from restore.source.foreign import known_export, unlike_records
from restore.text import pluralize, shell_option

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restore.infer.files import NamedFile
    from restore.infer.keys import KeyValues
    from restore.options import Options
    from restore.report.events import ProgressCallback
    from restore.source.discovery import Backup

# Types whose values one foreign key can compare.
_INTEGERS = frozenset({"integer", "bigint"})


class TableName(NamedTuple):
    """A table's name, and its schema if that is named."""

    schema: str | None
    name: str


class InferredColumn(Struct, frozen=True):
    """A column: its field, name and type, if all records fill it, and the evidence."""

    field: str
    name: str
    type: str
    not_null: bool
    why: str


class InferredKey(Struct, frozen=True):
    """A foreign key from a column to the primary key of a table, and the evidence."""

    column: str
    parent: TableName
    parent_column: str
    why: str


class InferredTable(Struct):
    """A table that takes all records of its files.

    Attributes:
        name: its name.
        files: the names of its files.
        records: how many records they hold.
        columns: its columns.
        unreadable: records, or damage between them, that no table takes.
        notes: a line for each thing that a reader should know.
        key: the primary key's column; None: it has none.
        key_why: the evidence for the key.
        foreign_keys: its foreign keys.
    """

    name: TableName
    files: list[str]
    records: int
    columns: list[InferredColumn]
    unreadable: int = 0
    notes: list[str] = field(default_factory=list)
    key: str | None = None
    key_why: str = ""
    foreign_keys: list[InferredKey] = field(default_factory=list)


class Schema(Struct, frozen=True):
    """The tables of a backup.

    Attributes:
        tables: the tables.
        map_column: columns by ``TABLE.FIELD``, of fields whose names no column can have.
        left_out: a line for each file or key that is no table.
    """

    tables: list[InferredTable]
    map_column: dict[str, str]
    left_out: list[str]


def infer_schema(
    backup: Backup, options: Options, watch: ProgressCallback, sample: int | None = None
) -> Schema:
    """Read a backup once, and infer its schema.

    Args:
        backup: the backup.
        options: the tables that are chosen, their names, and how much is decoded at a time.
        watch: receives progress.
        sample: look at so many records of each table; None: at all.

    Raises:
        RestoreError: a file cannot be read, holds no records, or has no name for a table.
    """
    files, left_out = choose_table_files(backup, options)
    with contextlib.closing(KeyStore()) as store:
        scans: dict[TableName, TableScan] = {}
        names: dict[TableName, list[str]] = {}
        for each in files:
            name = TableName(each.schema, each.table)
            scan = scans.setdefault(name, TableScan(each.table, store))
            names.setdefault(name, []).append(display_name(each.file))
            watch(Stage(f"reading {display_name(each.file)}"))
            scan.read(each.file, options.chunk_bytes, sample)
            _check_records(each, scan)
        watch(Stage("keys"))
        return _Inference(scans, names, options, is_sample=sample is not None).run(left_out)


def _check_records(named: NamedFile, scan: TableScan) -> None:
    """Raise if a file holds something else than records of a table.

    Raises:
        BackupError: it does.
    """
    file = named.file
    kind: tuple[str, str] | None = None
    if scan.records:
        export = known_export(scan.first or b"", frozenset(scan.columns), frozenset())
        if export is not None:
            kind = f"{export}, not rows", "make it a list of rows"
        elif not scan.columns:
            kind = "a list of empty objects", "export the table again"
    elif scan.unreadable:
        unknown = "no list of JSON objects", "export the table again, as JSON"
        kind = unlike_records(file.first_bytes()) or unknown
    if kind is not None:
        raise BackupError(
            f"no schema for {display_name(file)}: it is {kind[0]}; {kind[1]}, or leave it out with"
            f" {shell_option('--exclude', file.table)}"
        )


class _Inference:
    """Makes tables of scans.

    Args:
        scans: what was read of each table.
        names: the names of their files.
        options: the restore's options.
        is_sample: not all records were read.
    """

    def __init__(
        self,
        scans: Mapping[TableName, TableScan],
        names: Mapping[TableName, list[str]],
        options: Options,
        *,
        is_sample: bool,
    ) -> None:
        self._scans = scans
        self._names = names
        self._options = options
        self._is_sample = is_sample
        self._tables: dict[TableName, InferredTable] = {}
        self._keys: dict[TableName, tuple[str, KeyValues]] = {}
        self._map_column: dict[str, str] = {}

    def run(self, left_out: list[str]) -> Schema:
        for name, scan in self._scans.items():
            self._tables[name] = self._table(name, scan)
        for name, scan in self._scans.items():
            for child, values in scan.references.items():
                self._refer(name, child, values)
        return Schema(list(self._tables.values()), self._map_column, left_out)

    def _table(self, name: TableName, scan: TableScan) -> InferredTable:
        columns = name_columns(scan.columns, name.name, self._options.map_column)
        self._map_column |= {
            f"{name.name}.{field}": column for field, column in columns.items() if field != column
        }
        table = InferredTable(name, self._names[name], scan.records, [], scan.unreadable)
        for each, column in scan.columns.items():
            type_, why = column.type()
            missing = scan.records - column.filled
            if missing:
                why += f"; null or absent in {missing:,} of {scan.records:,} records"
            inferred = InferredColumn(each, columns[each], type_, not missing, why)
            table.columns.append(inferred)
            table.unreadable += column.lost_specials
        table.notes += _notes(scan, is_sample=self._is_sample)
        for each in sorted(scan.key_names, key=lambda each: key_rank(each, name.name) or 0):
            values = scan.unique_key(each)
            if values is not None:
                self._keys[name] = columns[each], values
                table.key = columns[each]
                table.key_why = f"all {scan.records:,} values differ"
                break
        return table

    def _refer(self, name: TableName, field: str, values: KeyValues) -> None:
        """Infer a foreign key of one column."""
        table = self._tables[name]
        column = next(each for each in table.columns if each.field == field)
        if column.name == table.key:
            return
        by_name = {each.name: each for each in self._keys if self._comparable(each, column)}
        wanted = [by_name[each] for each in referred_tables(field, name.name, by_name.keys())]
        filled = self._scans[name].columns[field].filled
        missing = 0
        for parent in wanted:
            missing = values.count_missing(self._keys[parent][1])
            if not missing:
                table.foreign_keys.append(self._key(column, parent, filled))
                return
        if wanted:
            table.notes.append(
                f"no foreign key of {column.name} to {wanted[-1].name}:"
                f" {pluralize(missing, 'value')} not there"
            )
        elif column.type == "uuid":
            holding = [p for p in by_name.values() if not values.count_missing(self._keys[p][1])]
            if len(holding) == 1:
                key = self._key(column, holding[0], filled)
                table.foreign_keys.append(replace(key, why=f"{key.why}, and in no other key"))

    def _comparable(self, parent: TableName, column: InferredColumn) -> bool:
        """Tell if a table's primary key is known whole, and of a column's type."""
        table = self._tables[parent]
        key = next(each.type for each in table.columns if each.name == table.key)
        same = key == column.type or {key, column.type} <= _INTEGERS
        return same and self._scans[parent].is_whole

    def _key(self, column: InferredColumn, parent: TableName, filled: int) -> InferredKey:
        key, _ = self._keys[parent]
        why = f"{filled:,} of {filled:,} values are in {parent.name}.{key}"
        return InferredKey(column.name, parent, key, why)


def _notes(scan: TableScan, *, is_sample: bool) -> Iterator[str]:
    if scan.unreadable:
        are = "piece is" if scan.unreadable == 1 else "pieces are"
        yield f"{scan.unreadable:,} {are} damaged and will be rejected"
    if is_sample and not scan.is_whole:
        yield "a sample: other records may not fit, or lack what these have"
    elif not scan.is_whole:
        yield "the file is truncated"
    if not (scan.records or scan.unreadable):
        yield "no records, so no columns are known"
