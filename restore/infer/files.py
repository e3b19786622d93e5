"""Chooses the files of a backup that hold tables, and the name of each table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from restore.errors import BackupError, SchemaError
from restore.infer.naming import LONGEST_NAME_BYTES, is_name
from restore.plan.matching import (
    MIGRATION_TABLES,
    check_format,
    choose_files,
    display_name,
    is_companion,
    is_optional,
    means_file,
)
from restore.source.formats.format import TableColumns
from restore.source.unread import check_unread, is_hidden, names_of
from restore.text import shell_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restore.options import Options
    from restore.source.discovery import Backup, TableFile

_PUBLIC = "public."


class NamedFile(NamedTuple):
    """A file, and the name and schema of the table that takes it; None: the usual schema."""

    file: TableFile
    schema: str | None
    table: str


def choose_table_files(backup: Backup, options: Options) -> tuple[list[NamedFile], list[str]]:
    """Choose the files that a restore would load if each had a table of its own name.

    Args:
        backup: the backup.
        options: maps, and the tables and files that were chosen or left out.

    Returns:
        The files, and a line for each that is left out.

    Raises:
        BackupError: a file holds no JSON, or one object that is no list of records, or there is no
            file.
        SchemaError: a name cannot be a table's, or an option names a file that is not there.
    """
    unread = frozenset().union(*map(names_of, backup.unread))
    files = [file for each in backup.files for file in _parts_or_whole(each, options)]
    for given in options.map:
        if not any(means_file(given, file) for file in files):
            raise SchemaError(f"--map {given}: the backup has no file of that name")
    chosen, left_out, _ = choose_files(
        tuple(files), {n: [] for n in range(len(files))}, options, unread
    )
    left_out += check_unread(backup.unread, frozenset(), frozenset(), options)
    found = []
    for file in [files[n] for n in chosen if not is_optional(files[n])]:
        why = None if _mapped(file, options) else _unlike_table(file, backup)
        if why is None:
            found.append(_named(_with_unknown_columns(file, files), options))
        else:
            left_out.append(f"{display_name(file)}: {why}")
    if not found:
        why = f": {'; '.join(left_out)}" if left_out else ""
        raise BackupError(f"nothing to infer a schema from, all files are left out{why}")
    return found, left_out


def _parts_or_whole(file: TableFile, options: Options) -> tuple[TableFile, ...]:
    """Return part files one by one if a map names one of them, else as one."""
    if any(means_file(given, part) for part in file.nested for given in options.map):
        return (file,) if file.is_object else file.nested
    return (file if file.is_object else replace(file, nested=()),)


def _mapped(file: TableFile, options: Options) -> str | None:
    """Return the table that a map gives a file."""
    return next((t for given, t in options.map.items() if means_file(given, file)), None)


def _with_unknown_columns(file: TableFile, files: Sequence[TableFile]) -> TableFile:
    """Return an export whose format knows its tables, but no column but the usual key."""
    if file.translation is None:
        return file
    names = [
        each.translation.table or each.table
        for each in files
        if each.translation is not None
        and not is_optional(each)
        and (each.path, each.member) == (file.path, file.member)
    ]
    tables = dict.fromkeys(names, TableColumns((), ("id",)))
    return replace(file, translation=file.translation._replace(tables=tables))


def _unlike_table(file: TableFile, backup: Backup) -> str | None:
    """Return why a file is no table; None: it may be one."""
    if is_hidden(file.path) and file.path != backup.path:
        return "hidden"
    if file.table in MIGRATION_TABLES:
        return "a migration tool's own table"
    if is_companion(file):
        return "holds one object that describes the backup"
    return None


def _named(file: TableFile, options: Options) -> NamedFile:
    check_format(file)
    exclude = shell_option("--exclude", file.table)
    mapped = _mapped(file, options)
    if file.is_object and file.span is None and mapped is None:
        raise BackupError(
            f"{display_name(file)} holds one object, not a list of records; make it a table of one"
            f" record with {shell_option('--map', f'{file.file_name}={file.table}')}, or leave it"
            f" out with {exclude}"
        )
    schema, _, table = (mapped or "").rpartition(".")
    if mapped is None:
        schema, table = "", file.table
        if table.startswith(_PUBLIC):
            schema, table = "public", table.removeprefix(_PUBLIC)
    if not is_name(table):
        raise SchemaError(
            f"{display_name(file)}: {table!r} cannot be the name of a table, which has 1 to"
            f" {LONGEST_NAME_BYTES} bytes; name it with"
            f" {shell_option('--map', f'{file.table}=TABLE')}, or leave it out with {exclude}"
        )
    return NamedFile(file, schema or options.schema, table)
