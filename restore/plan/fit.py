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
from restore.source.buffer import UTF8_BOM
from restore.source.foreign import known_export, unlike_records
from restore.source.json_values import DECODE_ERRORS, members_of, values_of
from restore.source.reader import Reader
from restore.source.records import Damage
from restore.text import shell_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from restore.plan.order import Plan
    from restore.source.discovery import TableFile
    from restore.source.table_file import TableBytes
    from restore.target.catalog import Table

# Whole records are looked for in so much of a file, and names of columns, if there are none, in so
# much more: a record may be large, or the start of a file damaged.
_HEAD_BYTES = 1 << 20
_SEARCHED_BYTES = 1 << 26
_READ_BYTES = 1 << 16
_OVERLAP_BYTES = 1 << 10
_MOST_NAMED, _LONGEST_NAME = 6, 60
_NO_RECORDS = ("no list of JSON objects", "export the table again, as JSON")
# A file that was cut off before its first field.
_BARELY_BEGUN = re.compile(rb'\[?\s*(?:\{\s*(?:"[^"]*"?\s*)?)?')

_encode = msgspec.json.encode


def check_fit(plan: Plan, left_out: Sequence[str]) -> None:
    """Raise unless each file of a plan holds records of its table, or no records.

    Args:
        plan: what is to be loaded.
        left_out: a line for each file that is not.

    Raises:
        BackupError: a file holds something else, or there is no file.
        SchemaError: no field of a file's first records is a column.
    """
    if not plan.loads:
        why = f": {_listed(left_out, '; ')}" if left_out else ""
        raise BackupError(
            f"nothing to restore, all files of the backup are left out{why}; see --tables,"
            " --exclude and --map"
        )
    for load in plan.loads:
        _Check(load.file, load.table).run()


class _Head:
    """A stream's first bytes, as a stream that keeps them."""

    def __init__(self, stream: TableBytes) -> None:
        self.span, self.start = stream.span, stream.start
        self.data = b""
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        part = self._stream.read(min(size, _HEAD_BYTES - len(self.data)))
        self.data += part
        return part


class _Check:
    """Checks one file against its table."""

    def __init__(self, file: TableFile, table: Table) -> None:
        self._file = file
        self._table = table
        self._columns = {c.name: None for c in table.columns if not c.generated}
        self._column = _pattern(self._columns)

    def run(self) -> None:
        """Read the file until a field is a column.

        Raises:
            RestoreError: no field has.
        """
        if not self._columns:
            return
        fields: dict[str, None] = {}
        is_whole = is_damaged = False
        with contextlib.closing(self._file.open()) as stream:
            head = _Head(stream)
            for record, named in _found(Reader(head, _READ_BYTES, members_of)):
                if named is None:
                    is_damaged = True
                    if self._column.search(record):
                        return
                    continue
                is_whole = True
                self._check_may_insert(named)
                if not fields:
                    self._check_export(record, frozenset(named))
                if not self._columns.keys().isdisjoint(named):
                    return
                fields |= dict.fromkeys(named)
            if is_damaged and self._finds_column(stream):
                return
        if is_whole:
            raise SchemaError(self._no_field(fields))
        start = head.data.removeprefix(UTF8_BOM).strip()
        if is_damaged and not _BARELY_BEGUN.fullmatch(start):
            kind, advice = unlike_records(start) or _NO_RECORDS
            raise BackupError(self._refusal(kind, advice))

    def _check_may_insert(self, fields: Iterable[str]) -> None:
        wanted = {c.name for c in self._table.columns if not c.may_insert}.intersection(fields)
        if wanted:
            columns = sql.SQL(", ").join(map(sql.Identifier, sorted(wanted)))
            grant = sql.SQL("GRANT INSERT ({}) ON TABLE {}").format(columns, self._table.identifier)
            raise LoadError(
                f"permission denied for table {self._table.name}: the role lacks INSERT on columns"
                f" that {display_name(self._file)} has; {grant.as_string()} to it"
            )

    def _finds_column(self, stream: TableBytes) -> bool:
        """Search the rest of the file for the name of a column."""
        left, held = _SEARCHED_BYTES, b""
        while left > 0 and (part := stream.read(_HEAD_BYTES)):
            held += part
            if self._column.search(held):
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
            f" {_listed(self._columns)}: {why}; name the right table with"
            f" {shell_option('--map', f'{self._file.table}=TABLE')}, or leave the file out with"
            f" {self._exclude()}"
        )

    def _refusal(self, kind: str, advice: str) -> str:
        return (
            f"cannot restore {display_name(self._file)}: it is {kind}; {advice}, or leave it out"
            f" with {self._exclude()}"
        )

    def _exclude(self) -> str:
        return shell_option("--exclude", self._file.table)


def _found(reader: Reader) -> Iterator[tuple[bytes, tuple[str, ...] | None]]:
    """Yield each record with its fields; None: it is damaged."""
    for found in reader:
        if isinstance(found, Damage):
            yield found.record.raw, None
            continue
        for raw in found.raws():
            try:
                yield bytes(raw), tuple(values_of(raw))
            except DECODE_ERRORS:
                yield bytes(raw), None


def _pattern(names: Iterable[str]) -> re.Pattern[bytes]:
    """Return a pattern that finds one of these names as a field, in any text."""
    forms = {form for name in names for form in (json.dumps(name).encode(), _encode(name))}
    return re.compile(rb"(?:%b)\s*:" % b"|".join(map(re.escape, sorted(forms))))


def _listed(names: Iterable[str], between: str = ", ") -> str:
    """Return the first few names."""
    all_names = list(names)
    shown_names = [name[:_LONGEST_NAME] for name in all_names[:_MOST_NAMED]]
    return between.join([*shown_names, *(["..."] if len(all_names) > _MOST_NAMED else [])])
