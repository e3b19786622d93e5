"""Decides, from each file's first records, how values are read that may mean several things.

A column is read in one way from its first record to its last: what is not certain stops the restore
before anything is written, and the message names the option that says what is meant.
"""

from __future__ import annotations

import contextlib
import decimal
from typing import TYPE_CHECKING, cast

import msgspec
from msgspec import Struct, field

from restore.decode.datetimes import EPOCH_TEXT
from restore.decode.policies import (
    DATED,
    UNIT_NAMES,
    UNIT_NS,
    ColumnReading,
    DateFormat,
    ValuePolicies,
    infer_unit,
)
from restore.decode.scalars import HEX, NUMBER, is_base64
from restore.decode.types import JSON_TYPES
from restore.errors import SchemaError
from restore.source.bare_numbers import BARE_NUMBER
from restore.source.json_values import DECODE_ERRORS, members_of, values_of
from restore.source.reader import Batch, Reader
from restore.text import clip

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator, Mapping

    from restore.options import EpochUnit, Options
    from restore.plan.order import Plan
    from restore.source.discovery import TableFile
    from restore.target.catalog import Column, Table

# So much of a file is looked at.
_HEAD_BYTES = 1 << 18
_READ_BYTES = 1 << 16
_KINDS = DATED | JSON_TYPES | {"bytea", "interval"}
_DAY_NS = 86_400 * 10**9
_LONGEST_SHOWN = 40


def read_policies(plan: Plan, options: Options) -> dict[int, ValuePolicies]:
    """Decide how the values of each table are read, by the table's oid.

    Raises:
        SchemaError: an option has to say it, or names a column that is not there.
    """
    columns = {f"{t.name}.{c.name}" for t in plan.tables.values() for c in t.columns}
    unknown = sorted(name for name in options.epoch if name and name not in columns)
    if unknown:
        raise SchemaError(
            f"--epoch {unknown[0]}={options.epoch[unknown[0]]}: no table that is restored has this"
            " column; write TABLE.COLUMN=UNIT"
        )
    return {
        load.table.oid: decide(load.table, _first_records(load.file, load.table), options)
        for load in plan.loads
    }


def _kind(column: Column) -> str:
    return (column.type.element or column.type).name


def _first_records(file: TableFile, table: Table) -> Iterator[bytes]:
    """Yield the records at a file's start if a column of the table needs a look at them."""
    if not any(_kind(column) in _KINDS and not column.generated for column in table.columns):
        return
    with contextlib.closing(file.open()) as stream:
        for found in Reader(stream, _READ_BYTES, members_of):
            if isinstance(found, Batch):
                yield from map(bytes, found.raws())
                end = found.end
            else:
                yield BARE_NUMBER.sub(_null_for, found.record.raw)
                end = found.record.offset + len(found.record.raw)
            if end - stream.start > _HEAD_BYTES:
                return


def _null_for(match: re.Match[bytes]) -> bytes:
    return match[0] if match[0][:1] == b'"' else b"null"


class _Values(Struct):
    """What a column's first values are like."""

    numbers: list[decimal.Decimal] = field(default_factory=list)
    documents: int = 0
    hex: int = 0
    has_base64: bool = False
    marked: int = 0  # by 0x
    others: int = 0
    example: str = ""


def decide(
    table: Table, records: Iterable[bytes], options: Options, *, may_infer: bool = True
) -> ValuePolicies:
    """Decide how the values of a table are read.

    Args:
        table: the table.
        records: its first records.
        options: what is said of it.
        may_infer: a form may be inferred; else it has to be certain.

    Raises:
        SchemaError: an option has to say it.
    """
    values = _look(table, records, has_format=options.date_format is not None)
    columns: dict[str, ColumnReading] = {}
    notes: list[str] = []
    for column in table.columns:
        if column.name not in values:
            continue
        decision = _Decision(table, column, values[column.name], options, may_infer=may_infer)
        columns[column.name] = decision.reading()
        notes += decision.notes
    return ValuePolicies(
        nul=options.nul,
        empty_string=options.empty_string,
        zero_date=options.zero_date,
        fraction=options.fraction,
        date_format=DateFormat.parse(options.date_format) if options.date_format else None,
        columns=columns,
        notes=tuple(notes),
    )


def _look(table: Table, records: Iterable[bytes], *, has_format: bool) -> Mapping[str, _Values]:
    """Look at the values of columns that may mean several things."""
    columns = {c.name: c for c in table.columns if _kind(c) in _KINDS and not c.generated}
    found = {name: _Values() for name in columns}
    wanted = [
        (column.field, _kind(column), column.type.element is not None, found[name])
        for name, column in columns.items()
    ]
    for record in records:
        try:
            fields = values_of(record)
        except DECODE_ERRORS:
            continue
        for name, kind, is_array, values in wanted:
            if name not in fields:
                continue
            raw = bytes(fields[name])
            if is_array and raw[:1] == b"[":
                with contextlib.suppress(*DECODE_ERRORS):
                    for each in map(bytes, members_of(raw)):
                        _add(values, kind, each, has_format=has_format)
            elif _is_usual(kind, raw):
                values.others += 1
            else:
                with contextlib.suppress(*DECODE_ERRORS):
                    _add(values, kind, raw, has_format=has_format)
    return found


def _add(values: _Values, kind: str, raw: bytes, *, has_format: bool) -> None:
    if raw in {b"null", b'""'}:
        return
    if _is_usual(kind, raw):
        values.others += 1
        return
    text = msgspec.json.decode(raw, type=str) if raw[:1] == b'"' else None
    if kind in JSON_TYPES:
        if text is not None and _is_document(text):
            values.documents += 1
        elif text is None or text.strip() != "null":
            values.others += 1
    elif kind == "bytea":
        if text is not None and not text.startswith("\\x"):
            _add_bytes(values, text)
    elif _is_number(kind, raw, text, has_format=has_format):
        number = decimal.Decimal((text or raw.decode()).strip())
        values.numbers.append(number)
        values.example = values.example or clip(str(number), _LONGEST_SHOWN)
    else:
        values.others += 1


def _is_usual(kind: str, raw: bytes) -> bool:
    """Return whether a value's first bytes tell that it can mean one thing only."""
    if kind in JSON_TYPES:
        return raw[:1] != b'"' and raw != b"null"
    return kind in DATED and raw[:1] == b'"' and raw[5:6] == b"-"


def _is_document(text: str) -> bool:
    """Return whether a text is a JSON object or array."""
    if text.lstrip()[:1] not in {"{", "["}:
        return False
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except DECODE_ERRORS:
        return False
    return True


def _add_bytes(values: _Values, text: str) -> None:
    if HEX.fullmatch(text) is None:
        values.has_base64 = values.has_base64 or is_base64(text)
    elif text.startswith("0x"):
        values.marked += 1
    else:
        values.hex += 1
        values.example = values.example or clip(text, _LONGEST_SHOWN)


def _is_number(kind: str, raw: bytes, text: str | None, *, has_format: bool) -> bool:
    if text is None:
        is_date = has_format and raw.isdigit() and len(raw) == len("YYYYMMDD")
        return not is_date and NUMBER.fullmatch(raw.decode()) is not None
    return (NUMBER if kind == "interval" else EPOCH_TEXT).fullmatch(text) is not None


class _Decision:
    """Decides how one column is read.

    Attributes:
        notes: lines for the report.
    """

    def __init__(
        self, table: Table, column: Column, values: _Values, options: Options, *, may_infer: bool
    ) -> None:
        self._where = f"table {table.name}, column {column.name}"
        self._option = f"{table.name}.{column.name}"
        self._name = column.name
        self._kind = _kind(column)
        self._values = values
        self._options = options
        self._may_infer = may_infer
        self.notes: list[str] = []

    def reading(self) -> ColumnReading:
        """Return how the column is read.

        Raises:
            SchemaError: an option has to say it.
        """
        if self._kind in JSON_TYPES:
            return ColumnReading(parses_strings=self._parses_strings())
        if self._kind == "bytea":
            return self._bytes()
        epoch = self._options.epoch
        given = epoch.get(self._option, epoch.get(""))
        if given is not None:
            return ColumnReading(unit=cast("EpochUnit", given))
        return self._inferred_unit()

    def _parses_strings(self) -> bool:
        values, given = self._values, self._options.json_strings
        if given != "auto" or not values.documents:
            return given == "parse"
        if values.others:
            self.notes.append(
                f"column {self._name}: some strings hold JSON documents, and are kept as strings;"
                " --json-strings parse makes documents of them"
            )
            return False
        if not self._may_infer:
            raise SchemaError(
                f"{self._where}: strings that hold JSON documents may be documents or strings: say"
                " --json-strings parse, or --json-strings keep"
            )
        self.notes.append(
            f"column {self._name}: all of the first strings hold JSON documents, and were parsed;"
            " --json-strings keep loads them as strings"
        )
        return True

    def _bytes(self) -> ColumnReading:
        values, given = self._values, self._options.bytea
        if given != "auto":
            return ColumnReading(bytea=given)
        if values.hex and not values.has_base64 and not values.marked:
            raise SchemaError(
                f"{self._where}: {values.example!r} may be hex or base64: say --bytea hex, or"
                " --bytea base64"
            )
        if values.marked and not values.has_base64 and not values.hex:
            return ColumnReading(bytea="hex")
        if values.has_base64 and not values.marked:
            return ColumnReading(bytea="base64")
        return ColumnReading()

    def _inferred_unit(self) -> ColumnReading:
        numbers = self._values.numbers
        unit = infer_unit(numbers) if numbers and self._kind != "interval" else None
        if unit is not None and self._kind == "date":
            is_midnight = all(number * UNIT_NS[unit] % _DAY_NS == 0 for number in numbers)
            unit = unit if is_midnight else None
        if unit is not None and self._may_infer:
            since = f"{UNIT_NAMES[unit]} since 1970-01-01 UTC"
            self.notes.append(f"column {self._name}: numbers were read as {since}; see --epoch")
            return ColumnReading(unit=unit, is_inferred=True)
        if numbers and len(numbers) >= self._values.others:
            raise SchemaError(
                f"{self._where}: the number {self._values.example} in a column of type"
                f" {self._kind} may be of several units: name it, --epoch s, ms, us or ns, or for"
                f" this column alone --epoch {self._option}=UNIT"
            )
        return ColumnReading()
