"""Matches the fields of a file's records to the columns of its table.

Exact names come first, then names that differ in case or in how their words are joined. It is
decided once, by the first records; columns that none of these fills take the field that is written
like those that were found, so that ``middleName`` may come later.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from restore.errors import SchemaError
from restore.plan.names import STYLES, squash
from restore.text import first_few, shell_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from restore.options import Options
    from restore.plan.sample import Sample
    from restore.target.catalog import Column, Table

_MOST_NAMED = 6
_NUMBERS = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})
# A noncharacter of Unicode, before the name of a column whose field was given to another one.
_NO_FIELD = "\ufdd0"


class FieldMatches(Struct, frozen=True):
    """A table whose columns know their fields, and how these were found.

    Attributes:
        table: the table.
        loose: the columns that are read from fields of similar names, by the field.
        nested: fields that hold objects and have no column.
        unmatched: all other fields without a column.
        unfilled: columns that may not be NULL or have a default, and have no field.
        omitted: columns that hold NULL in records without their field, as nulls seem to be left
            out.
        defaulted: columns that take their default in such records, of a file without any null.
    """

    table: Table
    loose: dict[str, str] = field(default_factory=dict)
    nested: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    unfilled: list[str] = field(default_factory=list)
    omitted: list[str] = field(default_factory=list)
    defaulted: list[str] = field(default_factory=list)


def check_map_column(tables: Iterable[Table], options: Options) -> None:
    """Raise if ``--map-column`` names a table or column that is not there.

    Raises:
        SchemaError: it does.
    """
    found = list(tables)
    known = [(name, table) for table in found for name in _names_of(table)]
    for given, column in options.map_column.items():
        option = shell_option("--map-column", f"{given}={column}")
        meant = [table for name, table in known if given.startswith(f"{name}.")]
        if not meant:
            names = first_few([table.name for table in found], _MOST_NAMED)
            raise SchemaError(f"{option}: no table of that name is restored, only {names}")
        if not any(c.name == column and not c.generated for t in meant for c in t.columns):
            raise SchemaError(f"{option}: table {meant[0].name} has no such column to fill")


def _names_of(table: Table) -> tuple[str, str]:
    return table.name, f"{table.schema}.{table.name}"


def match_fields(table: Table, sample: Sample, options: Options) -> FieldMatches:
    """Match the fields of a table's first records to its columns.

    Args:
        table: the table, as the catalog has it.
        sample: the first records.
        options: maps, and if similar names match.

    Raises:
        SchemaError: a field may be for several columns, or a column for several fields.
    """
    mapped = _mapped(table, options)
    names = {column.name: None for column in table.columns}
    field_of = {column: field for field, column in mapped.items()}
    for name in names:
        if name in mapped:
            field_of.setdefault(name, _NO_FIELD + name)
        elif name in sample.fields:
            field_of.setdefault(name, name)
    loose: dict[str, str] = {}
    if options.match == "loose":
        taken = mapped.keys() | names.keys()
        fields = [name for name in sample.fields if name not in taken]
        loose = _match_loosely(table, fields, [n for n in names if n not in field_of])
        left = [n for n in names if n not in field_of and n not in loose.values()]
        plain = [name for name in fields if name not in loose and name not in sample.nested]
        loose |= _match_keys(table, plain, left)
        field_of |= {column: name for name, column in loose.items()}
    others = [name for name in sample.fields if name not in {*field_of.values(), *names}]
    unfilled = [c.name for c in table.columns if c.name not in field_of and _is_missed(c)]
    taken_fields = {*field_of.values(), *sample.fields, *names}
    field_of |= _written_alike(loose, [n for n in names if n not in field_of], taken_fields)
    matched = [_with_field(column, field_of) for column in table.columns]
    lacked = _lacked(matched, sample) if options.absent_fields == "auto" else []
    omitted = [c.name for c in lacked if c.has_default] if _are_nulls(lacked) else []
    defaulted = [c.name for c in lacked if c.has_default and _may_be_null(c) and not omitted]
    if options.absent_fields == "null":
        matched = [replace(c, null_if_absent=_may_be_null(c) and c.has_default) for c in matched]
    else:
        matched = [replace(c, null_if_absent=c.name in omitted) for c in matched]
    return FieldMatches(
        replace(table, columns=tuple(matched)),
        loose,
        [name for name in others if name in sample.nested],
        [name for name in others if name not in sample.nested],
        unfilled,
        omitted,
        defaulted,
    )


def _mapped(table: Table, options: Options) -> dict[str, str]:
    """Return the columns that ``--map-column`` gives, by the field."""
    mapped: dict[str, str] = {}
    for given, column in options.map_column.items():
        for name in _names_of(table):
            if given.startswith(f"{name}.") and any(c.name == column for c in table.columns):
                if column in mapped.values():
                    raise SchemaError(
                        f"--map-column gives column {column} of table {table.name} two fields"
                    )
                mapped[given.removeprefix(f"{name}.")] = column
    return mapped


def _match_loosely(table: Table, fields: list[str], columns: list[str]) -> dict[str, str]:
    """Return the columns of fields of similar names, by the field; the closest ones first."""
    found: dict[str, str] = {}
    for key in (str.lower, squash):
        left = [name for name in columns if name not in found.values()]
        groups = _groups(left, key)
        for name, similar in _groups([n for n in fields if n not in found], key).items():
            meant = groups.get(name, [])
            if len(meant) > 1 or (meant and len(similar) > 1):
                raise SchemaError(_ambiguous(table, similar, meant))
            if meant:
                found[similar[0]] = meant[0]
    return found


def _match_keys(table: Table, fields: list[str], columns: list[str]) -> dict[str, str]:
    """Return the columns of ``_id``, and of fields named after what a foreign key refers to.

    MongoDB's identifiers are no numbers: a column of these takes none.
    """
    keys = {key.columns[0] for key in table.foreign_keys if len(key.columns) == 1}
    found: dict[str, str] = {}
    numbers = {column.name for column in table.columns if column.type.name in _NUMBERS}
    for column in columns:
        name = squash(column)
        alike = [f for f in fields if squash(f) == f"_{name}" == "_id" and column not in numbers]
        if column in keys and name.endswith("id"):
            alike += [f for f in fields if f"{squash(f)}id" == name]
        if len(alike) == 1 and alike[0] not in found:
            found[alike[0]] = column
    return found


def _groups(names: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[key(name)].append(name)
    return groups


def _ambiguous(table: Table, fields: list[str], columns: list[str]) -> str:
    which = shell_option("--map-column", f"{table.name}.{fields[0]}={columns[0]}")
    if len(fields) > 1:
        return (
            f"the fields {', '.join(fields)} may all be for column {', '.join(columns)} of table"
            f" {table.name}: say which with {which}, or ignore them with --match exact"
        )
    return (
        f"field {fields[0]} may be for any of the columns {', '.join(columns)} of table"
        f" {table.name}: say which with {which}"
    )


def _written_alike(
    loose: Mapping[str, str], columns: Iterable[str], taken: set[str]
) -> dict[str, str]:
    """Return fields of columns that no record has yet, written like those that were found."""
    alike = {f: c for f, c in loose.items() if squash(f) == squash(c)}
    style = next((s for s in STYLES if alike and all(s(c) == f for f, c in alike.items())), None)
    if style is None:
        return {}
    found: dict[str, str] = {}
    for column in columns:
        name = style(column)
        if name and name not in taken:
            taken.add(name)
            found[column] = name
    return found


def _lacked(columns: Iterable[Column], sample: Sample) -> list[Column]:
    """Return the columns whose fields only some records have, in a file without any null."""
    if sample.has_null:
        return []
    return [
        column
        for column in columns
        if 0 < sample.fields.get(column.field, 0) < sample.records and not column.generated
    ]


def _are_nulls(lacked: list[Column]) -> bool:
    """Tell if nulls seem to be left out, as Snowflake, Spark and BigQuery do.

    Then some records lack fields of columns without a default, which others have.
    """
    return all(map(_may_be_null, lacked)) and not all(column.has_default for column in lacked)


def _may_be_null(column: Column) -> bool:
    return column.may_insert and not (column.not_null or column.generated or column.identity)


def _is_missed(column: Column) -> bool:
    return column.may_insert and not column.generated and (column.not_null or column.has_default)


def _with_field(column: Column, field_of: Mapping[str, str]) -> Column:
    name = field_of.get(column.name, column.name)
    return column if name == column.name else replace(column, alias=name)
