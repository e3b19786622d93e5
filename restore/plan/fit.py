"""Checks that files hold records of their tables, before anything is written."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING

import msgspec
from psycopg import sql

from restore.errors import BackupError, LoadError, SchemaError
from restore.plan.matching import display_name
from restore.plan.names import squash
from restore.source.buffer import UTF8_BOM
from restore.source.foreign import known_export, unlike_records
from restore.text import shell_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from restore.options import Options
    from restore.plan.order import Plan
    from restore.plan.sample import Sample, Samples
    from restore.source.discovery import TableFile
    from restore.target.catalog import Table

# Names of columns are looked for in so much of a file that starts with no whole record.
_SEARCHED_BYTES = 1 << 26
_PART_BYTES = 1 << 20
_OVERLAP_BYTES = 1 << 10
_MOST_NAMED, _LONGEST_NAME = 6, 60
# What APIs answer instead of rows, if there are other fields than columns among them.
_ERROR_FIELDS = frozenset(
    {
        *(
            "code",
            "detail",
            "details",
            "documentationurl",
            "error",
            "errorcode",
            "errordescription",
        ),
        *("errors", "exception", "hint", "instance", "message", "msg", "path", "requestid"),
        *("status", "statuscode", "success", "timestamp", "title", "trace", "type"),
    }
)
_NO_RECORDS = ("no list of JSON objects", "export the table again, as JSON")
# A file that was cut off before its first field.
_BARELY_BEGUN = re.compile(rb'\[?\s*(?:\{\s*(?:"[^"]*"?\s*)?)?')

_encode = msgspec.json.encode


def check_fit(plan: Plan, left_out: Sequence[str], samples: Samples, options: Options) -> None:
    """Raise unless each file of a plan holds records of its table, or no records.

    Args:
        plan: what is to be loaded; its columns know their fields.
        left_out: a line for each file that is not.
        samples: the first records of the files.
        options: what unknown fields mean.

    Raises:
        BackupError: a file holds something else, or there is no file.
        SchemaError: no field of a file's first records is a column, or few of them are.
    """
    if not plan.loads:
        why = f": {_listed(left_out, '; ')}" if left_out else ""
        raise BackupError(
            f"nothing to restore, all files of the backup are left out{why}; see --tables,"
            " --exclude and --map"
        )
    for load in plan.loads:
        _Check(load.file, load.table, samples.of(load.file), options).run()


class _Check:
    """Checks one file against its table."""

    def __init__(self, file: TableFile, table: Table, sample: Sample, options: Options) -> None:
        self._file = file
        self._table = table
        self._sample = sample
        self._options = options
        self._columns = {c.field: c.name for c in table.columns if not c.generated}

    def run(self) -> None:
        """Check what the file's first records are.

        Raises:
            RestoreError: they are no rows of the table.
        """
        if not self._columns:
            return
        sample = self._sample
        if sample.records:
            self._check_may_insert(sample.fields)
            self._check_export(sample.first, next(iter(sample.shapes)))
        if not self._columns.keys().isdisjoint(sample.fields):
            self._check_share()
            return
        if sample.is_damaged and self._finds_column():
            return
        if sample.records:
            raise SchemaError(self._no_field(sample.fields))
        start = sample.start.removeprefix(UTF8_BOM).strip()
        if sample.is_damaged and not _BARELY_BEGUN.fullmatch(start):
            kind, advice = unlike_records(start) or _NO_RECORDS
            raise BackupError(self._refusal(kind, advice))

    def _check_share(self) -> None:
        """Check that the records' columns are many of their fields, and all that is wanted.

        Raises:
            SchemaError: they are not.
        """
        sample = self._sample
        known = {column.field for column in self._table.columns}
        unknown = [name for name in sample.fields if name not in known]
        if unknown and self._options.unknown_fields == "error":
            raise SchemaError(
                f"table {self._table.name} has no column for {_listed(map(repr, unknown))} of"
                f" {display_name(self._file)}, and --unknown-fields is error: add the column, name"
                f" it with {self._map_column(unknown[0])}, or restore with --unknown-fields warn"
            )
        missing = {f for f in self._columns if f not in sample.fields}
        if not (unknown and missing) or self._options.unknown_fields == "ignore":
            return
        if sample.records == 1 and _ERROR_FIELDS.issuperset(map(squash, sample.fields)):
            raise BackupError(self._refusal("an API's error message", "export the table again"))
        self._check_nested(unknown, missing)
        plain = sample.fields.keys() - sample.nested.keys()
        if not any(len(s & known) * 2 >= len(s & plain | s & known) for s in sample.shapes):
            raise SchemaError(
                f"{display_name(self._file)} does not seem to hold rows of table"
                f" {self._table.name}, whose columns are {_listed(self._columns.values())}: few of"
                f" its fields ({_listed(sample.fields)}) are columns; name others with"
                f" {self._map_column(unknown[0])}, ignore them with --unknown-fields ignore, or"
                f" {self._leave_out()}"
            )

    def _check_nested(self, unknown: list[str], missing: set[str]) -> None:
        """Check that no columns, nor the only values of foreign keys, are within other fields.

        Raises:
            SchemaError: they are.
        """
        sample = self._sample
        keys = {name for key in self._table.foreign_keys for name in key.columns}
        lost = {squash(self._columns[f]): f for f in missing if self._columns[f] in keys}
        for name in unknown:
            inner = sample.nested.get(name, frozenset())
            fitting = inner & self._columns.keys()
            if fitting & missing and len(fitting) * 2 >= len(inner):
                raise SchemaError(
                    f"{display_name(self._file)} does not fit table {self._table.name}: its"
                    f" columns {_listed(sorted(fitting))} are within field {name!r}; make it a list"
                    f" of rows, each an object with the columns as fields, or {self._leave_out()}"
                )
            if (key := lost.get(f"{squash(name)}id")) and inner:
                raise SchemaError(
                    f"{display_name(self._file)} has the values of column {self._columns[key]} of"
                    f" table {self._table.name} only within field {name!r}: export the column as"
                    " well, or restore without it, --unknown-fields ignore"
                )

    def _map_column(self, field: str) -> str:
        return shell_option("--map-column", f"{self._table.name}.{field}=COLUMN")

    def _check_may_insert(self, fields: Iterable[str]) -> None:
        given = frozenset(fields)
        wanted = {c.name for c in self._table.columns if not c.may_insert and c.field in given}
        if wanted:
            columns = sql.SQL(", ").join(map(sql.Identifier, sorted(wanted)))
            grant = sql.SQL("GRANT INSERT ({}) ON TABLE {}").format(columns, self._table.identifier)
            raise LoadError(
                f"permission denied for table {self._table.name}: the role lacks INSERT on columns"
                f" that {display_name(self._file)} has; {grant.as_string()} to it"
            )

    def _finds_column(self) -> bool:
        """Search the start of the file for the name of a column."""
        column = _pattern(self._columns)
        left, held = _SEARCHED_BYTES, b""
        with contextlib.closing(self._file.open()) as stream:
            while left > 0 and (part := stream.read(_PART_BYTES)):
                held += part
                if column.search(held):
                    return True
                held = held[-_OVERLAP_BYTES:]
                left -= len(part)
        return False

    def _check_export(self, record: bytes, fields: frozenset[str]) -> None:
        name = known_export(record, fields, frozenset(self._columns))
        if name is not None:
            advice = "make it a list of rows, each an object with the columns as fields"
            raise SchemaError(self._refusal(f"{name}, not rows of {self._table.name}", advice))

    def _no_field(self, fields: Iterable[str]) -> str:
        names = _listed(fields)
        why = f"no field ({names}) is a column" if names else "its records are empty"
        return (
            f"{display_name(self._file)} does not fit table {self._table.name}, whose columns are"
            f" {_listed(self._columns.values())}: {why}; name the right table with"
            f" {shell_option('--map', f'{self._file.table}=TABLE')}, or {self._leave_out()}"
        )

    def _refusal(self, kind: str, advice: str) -> str:
        return (
            f"cannot restore {display_name(self._file)}: it is {kind}; {advice}, or"
            f" {self._leave_out()}"
        )

    def _leave_out(self) -> str:
        return f"leave it out with {shell_option('--exclude', self._file.table)}"


def _pattern(names: Iterable[str]) -> re.Pattern[bytes]:
    """Return a pattern that finds one of these names as a field, in any text."""
    forms = {form for name in names for form in (json.dumps(name).encode(), _encode(name))}
    return re.compile(rb"(?:%b)\s*:" % b"|".join(map(re.escape, sorted(forms))))


def _listed(names: Iterable[str], between: str = ", ") -> str:
    """Return the first few names."""
    all_names = list(names)
    shown_names = [name[:_LONGEST_NAME] for name in all_names[:_MOST_NAMED]]
    return between.join([*shown_names, *(["..."] if len(all_names) > _MOST_NAMED else [])])
