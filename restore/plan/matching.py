"""Matches files to tables by name, or as ``--map`` says."""

from __future__ import annotations

import difflib
import fnmatch
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from restore.errors import BackupError, SchemaError
from restore.plan.names import TableNames
from restore.source.discovery import duplicate_key_message
from restore.source.foreign import foreign_format
from restore.source.listing import join_files
from restore.source.unread import check_unread, is_hidden, lowered, names_of
from restore.text import first_few, shell_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from restore.options import Options
    from restore.plan.sample import Samples
    from restore.source.discovery import Backup, TableFile
    from restore.target.relations import Relation

# Tables in which migration tools keep their books. They describe the target itself, which has its
# own; a backup's copy is left out if the target has none, or has rows in it.
MIGRATION_TABLES = frozenset(
    {
        "_prisma_migrations",
        "alembic_version",
        "django_migrations",
        "flyway_schema_history",
        "knex_migrations",
        "knex_migrations_lock",
        "schema_migrations",
    }
)
# Files that describe a backup; one that is a single object, and no table of the target, is no data.
_COMPANIONS = frozenset({"manifest.json", "metadata.json"})
_MOST_NAMED = 5


class Match(Struct, frozen=True):
    """A file and the table that takes it."""

    file: TableFile
    relation: Relation


class Matches(Struct, frozen=True):
    """Matches by the table's oid; a line for each file left out; and warnings.

    ``joinable``: the tables for which another file may be named with ``--map``. ``loose``: the
    tables of files of similar names.
    """

    by_oid: dict[int, Match]
    left_out: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    joinable: set[int] = field(default_factory=set)
    loose: dict[str, str] = field(default_factory=dict)


def display_name(file: TableFile) -> str:
    """Return the name to show for a table file: its name, or its key and the name."""
    own = file.parts or not file.is_part or file.file_name.startswith(f"{file.table}.")
    if own or (file.translation is not None and file.translation.is_only):
        return file.name
    return f"{file.table} in {file.file_name}"


def match_files(
    backup: Backup, relations: list[Relation], options: Options, samples: Samples
) -> Matches:
    """Match each file to its table.

    Args:
        backup: what was found.
        relations: the target's relations.
        options: maps, and the tables and files that were chosen or left out.
        samples: the first records of files, by which similar names are judged.

    Raises:
        BackupError: a file holds no JSON, or one that is not read seems to hold a table.
        SchemaError: a file is for no table or may be for several, two are for the same, or a name
            that was given means nothing.
    """
    names = TableNames.of(relations)
    files, left_out = _unpacked(backup, names, options, samples)
    mapped = _mapped(files, names, options)
    found = {n: mapped.get(n) or _find(names, file, options) for n, file in enumerate(files)}
    unread = frozenset().union(*map(names_of, backup.unread))
    chosen, not_chosen, warnings = choose_files(files, found, options, unread)
    left_out += not_chosen
    loose = [n for n in chosen if n not in mapped and found[n] and not names.find(files[n].table)]
    found |= {n: _fitting(names, files[n], found[n], samples) for n in loose}
    tables = {
        r.name.lower(): r.display_name for r in relations if r.visible and not r.unsupported_kind
    }
    taken = lowered(relation.name for n in chosen for relation in found[n])
    left_out += check_unread(backup.unread, frozenset(tables), taken, options)
    matches = Matches({}, left_out, warnings)
    held = {files[n].path for n in chosen if found[n]}
    missing = []
    for number in filter(lambda n: found[n] or not is_optional(files[n]), chosen):
        file, relation = files[number], _only(files[number], found[number])
        if relation is not None and relation.unsupported_kind:
            if number in mapped:
                raise SchemaError(
                    f"--map {display_name(file)}={relation.display_name}:"
                    f" {relation.unsupported_kind}"
                )
            left_out.append(f"{display_name(file)}: {relation.unsupported_kind} in the database")
        elif relation is not None:
            check_format(file)
            _take(matches, file, relation, may_join=number in mapped)
            if number in loose:
                matches.loose[display_name(file)] = relation.display_name
        elif is_hidden(file.path) and file.path != backup.path:
            left_out.append(f"{display_name(file)}: hidden")
        elif file.table in MIGRATION_TABLES:
            left_out.append(
                f"{display_name(file)}: a migration tool's own table, not in the database"
            )
        elif is_companion(file) and file.path not in held:
            left_out.append(f"{display_name(file)}: holds one object that describes the backup")
        else:
            check_format(file)
            missing.append(file.table)
    if missing:
        free = {name: table for name, table in tables.items() if name not in taken}
        raise SchemaError(_missing(missing, free, options.schema))
    return matches


def _only(file: TableFile, found: list[Relation]) -> Relation | None:
    """Return the one table that was found for a file, if any.

    Raises:
        SchemaError: there are several.
    """
    if len(found) > 1:
        raise SchemaError(_ambiguous(file, found))
    return found[0] if found else None


def is_optional(file: TableFile) -> bool:
    """Tell if a table of an export is only there if the target has it."""
    return file.translation is not None and file.translation.is_optional


def _find(names: TableNames, file: TableFile, options: Options) -> list[Relation]:
    """Return the tables that a file's name may mean; one that is no table's is taken as it is."""
    if options.match == "exact":
        return names.find(file.table)
    found = names.find_similar(file.table)
    if found or file.table in MIGRATION_TABLES or is_companion(file) or is_hidden(file.path):
        return found
    found = [table for table in names.find_loosely(file.table) if not table.unsupported_kind]
    if not found and file.translation and file.translation.is_only:
        return names.find_similar(_stem(file))
    return found


def _fitting(
    names: TableNames, file: TableFile, found: list[Relation], samples: Samples
) -> list[Relation]:
    """Return the table of a file of a similar name, if its first records may be of it.

    Raises:
        BackupError: the file holds no JSON.
    """
    if names.find_similar(file.table) or len(found) > 1:
        return found
    check_format(file)
    return [table for table in found if samples.may_be_rows(file, table)]


def is_companion(file: TableFile) -> bool:
    """Tell if a file describes its backup."""
    return file.is_object and file.file_name.lower() in _COMPANIONS


def check_format(file: TableFile) -> None:
    """Raise if a file cannot hold JSON.

    Raises:
        BackupError: it does not, or cannot be read.
    """
    refusal = file.refusal
    if refusal is None and (foreign := foreign_format(file.first_bytes())) is not None:
        kind, advice = foreign
        refusal = f"it is {kind}; {advice}"
    if refusal is not None:
        raise BackupError(
            f"cannot restore {display_name(file)}: {refusal}, or leave it out with"
            f" {shell_option('--exclude', file.table)}"
        )


def _take(matches: Matches, file: TableFile, relation: Relation, *, may_join: bool) -> None:
    other = matches.by_oid.get(relation.oid)
    if other is not None and may_join and relation.oid in matches.joinable:
        parts = other.file.parts or (other.file,)
        matches.by_oid[relation.oid] = Match(join_files([*parts, file], file.table), relation)
        return
    if may_join and not file.is_part:
        matches.joinable.add(relation.oid)
    if other is not None and (other.file.path, other.file.table) == (file.path, file.table):
        raise SchemaError(duplicate_key_message(file))
    if other is not None:
        raise SchemaError(
            f"{display_name(other.file)} and {display_name(file)} are both for table"
            f" {relation.display_name}: leave one"
            " out with --exclude, or name its table with --map FILE=TABLE"
        )
    matches.by_oid[relation.oid] = Match(file, relation)


def names_of_file(file: TableFile) -> set[str]:
    """Return the names that may mean a file: with and without its endings, or its key."""
    name = file.file_name
    shared = file.is_part and not (file.translation and file.translation.is_only)
    if file.parts or (shared and not name.startswith(f"{file.table}.")):
        return {file.table}
    whole = name[: -len(file.compression) - 1] if file.compression else name
    return {file.table, name, whole, _stem(file)}


def _stem(file: TableFile) -> str:
    """Return the name of a file without its endings."""
    name = file.file_name
    whole = name[: -len(file.compression) - 1] if file.compression else name
    return whole.rpartition(".")[0]


def _unpacked(
    backup: Backup, names: TableNames, options: Options, samples: Samples
) -> tuple[tuple[TableFile, ...], list[str]]:
    """Replace files that hold one object by the lists in it, if one of these is a table.

    A file whose own name means a table is one record of it, even if it holds lists, unless none of
    its keys is a column.

    Returns:
        The files, and a line for each key beside such lists.
    """
    files: list[TableFile] = []
    left_out: list[str] = []
    for file in backup.files:
        if _is_plain(file, names, samples):
            files += [_as_plain(file)] if file.translation and file.translation.is_first else []
            continue
        if file.nested and not file.is_object:
            files += _parts_or_whole(file, names, options)
            continue
        keys = {*file.others, *(each.table for each in file.nested)}
        own = _find(names, file, options)
        is_table = any(_find(names, x, options) or x.table in options.map for x in file.nested)
        is_record = any(samples.may_have(keys, table) for table in own)
        if not is_table or is_record or options.map.keys() & names_of_file(file):
            files.append(file)
            continue
        files += [*file.nested, *_named(names, file.documents)]
        left_out += [f"{file.file_name}: {key} holds no list of records" for key in file.others]
    return (*files, *_named(names, backup.documents)), left_out


def _named(names: TableNames, documents: Iterable[TableFile]) -> list[TableFile]:
    """Return the keys without a list of records that are named exactly as a table."""
    return [file for file in documents if names.find(file.table)]


def _is_plain(file: TableFile, names: TableNames, samples: Samples) -> bool:
    """Tell if what an export's format wraps records in are columns of the table of its name."""
    wrapper = file.translation.format.wrapper if file.translation else frozenset()
    own = names.find(file.translation.file_table) if file.translation and wrapper else []
    return any(wrapper <= samples.columns(table) for table in own)


def _as_plain(file: TableFile) -> TableFile:
    table = file.translation.file_table if file.translation else file.table
    return replace(file, table=table, disk=None, translation=None)


def _parts_or_whole(file: TableFile, names: TableNames, options: Options) -> tuple[TableFile, ...]:
    """Return part files one by one if one has a table of its own, or an option means it alone."""
    given = (*options.map, *options.exclude, *options.tables)
    own = any(
        part.table in names.exact or any(means_file(name, part) for name in given)
        for part in file.nested
    )
    return file.nested if own else (replace(file, nested=()),)


def means_file(given: str, file: TableFile) -> bool:
    """Tell if the name or the pattern of ``--map`` means a file."""
    called = names_of_file(file)
    return given in called or ("*" in given and bool(fnmatch.filter(called, given)))


def _mapped(
    files: tuple[TableFile, ...], names: TableNames, options: Options
) -> dict[int, list[Relation]]:
    """Return the relations that ``--map`` names, by the file's place in the backup."""
    mapped: dict[int, list[Relation]] = {}
    for given, table in options.map.items():
        places = [n for n, file in enumerate(files) if means_file(given, file)]
        if not places:
            raise SchemaError(f"--map {given}={table}: the backup has no file of that name")
        found = names.find_similar(table)
        if not found:
            raise SchemaError(f"--map {given}={table}: the database has no table of that name")
        if len(found) > 1:
            raise SchemaError(f"--map {given}={table} may mean {_list(found)}: write it exactly")
        mapped |= dict.fromkeys(places, found)
    return mapped


def choose_files(
    files: tuple[TableFile, ...],
    found: dict[int, list[Relation]],
    options: Options,
    unread: frozenset[str],
) -> tuple[list[int], list[str], list[str]]:
    """Apply ``--tables`` and ``--exclude``; ``unread`` are names of files that are not read.

    Returns:
        The places of the files that are restored, a line for each other one, and warnings.
    """
    called = {n: names_of_file(file) | _names_of_all(found[n]) for n, file in enumerate(files)}
    chosen = set(called)
    left_out: list[str] = []
    warnings: list[str] = []
    if options.tables:
        meant = {name: _meant(name, called) for name in sorted(options.tables)}
        known = {name for name in meant if name.lower() in unread}
        if unknown := [n for n, places in meant.items() if not places and n not in known]:
            raise SchemaError(f"--tables {','.join(unknown)}: the backup has no such file")
        chosen = set().union(*meant.values())
        left_out += [
            f"{display_name(files[n])}: not among --tables" for n in called if n not in chosen
        ]
    for name in sorted(options.exclude):
        places = _meant(name, called)
        if not places and name.lower() not in unread:
            warnings.append(f"--exclude {name}: the backup has no such file")
        left_out += [f"{display_name(files[n])}: excluded" for n in sorted(places & chosen)]
        chosen -= places
    return sorted(chosen), left_out, warnings


def _names_of_all(relations: Iterable[Relation]) -> set[str]:
    return {name for relation in relations for name in (relation.name, relation.qualified)}


def _meant(name: str, called: dict[int, set[str]]) -> set[int]:
    """Return the places of the files that a name means: exactly, else ignoring case."""
    exact = {n for n, names in called.items() if name in names}
    return exact or {n for n, ns in called.items() if name.lower() in {x.lower() for x in ns}}


def _list(relations: Iterable[Relation]) -> str:
    return ", ".join(relation.display_name for relation in relations)


def _ambiguous(file: TableFile, candidates: list[Relation]) -> str:
    return (
        f"{display_name(file)} may be for any of the tables {_list(candidates)}: say which with"
        f" {shell_option('--map', f'{file.table}={candidates[0].display_name}')}"
    )


def _missing(missing: list[str], free: Mapping[str, str], schema: str | None) -> str:
    """Return the message for files without a table.

    Args:
        missing: the tables that the files are named after.
        free: the tables without a file, by their names in small letters.
        schema: the schema of bare names.
    """
    where = f"schema {schema}" if schema else "the database"
    hints = []
    named = missing[:_MOST_NAMED]  # each is compared with all that are free
    for name in named:
        for similar in difflib.get_close_matches(name.lower(), free, n=1):
            meant = free[similar]
            hints.append(f"did you mean {meant} ({shell_option('--map', f'{name}={meant}')})?")
    excludes = first_few([shell_option("--exclude", name) for name in missing], _MOST_NAMED, " ")
    hint = " ".join([*hints, "Else "]) if hints else ""
    return (
        f"no table in {where} for {first_few(missing, _MOST_NAMED)}: {hint}"
        "create the schema first, name it with --schema, name the table with"
        f" {shell_option('--map', f'{missing[0]}=TABLE')}, or leave the file out with {excludes}"
    )
