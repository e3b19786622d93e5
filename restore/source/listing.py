"""Lists the table files of a folder or an archive: one for each table, part files put together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from restore.errors import BackupError
from restore.remote.path import entries
from restore.source.archive import Member, is_archive, list_members
from restore.source.table_file import FileState, TableFile
from restore.source.unread import is_hidden

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from restore.remote.path import BackupPath

_TABLE_FILE = re.compile(
    r"(?P<table>.+)\.(?:json|jsonl|ndjson|json-seq|geojson|geojsonl)(?:\.(?P<compression>gz|zst|xz|bz2))?",
    re.DOTALL | re.IGNORECASE,
)
# Amazon Redshift's UNLOAD writes its parts without an ending: users_0001_part_00.gz.
_UNLOADED = re.compile(
    r"(?P<table>.+_part_\d+)(?:\.(?P<compression>gz|zst|bz2))?", re.DOTALL | re.IGNORECASE
)
# The number of a part file: users-000000000000 (BigQuery), users_0001_part_00 (Redshift),
# part-00000-<uuid>-c000 (Spark), data_0_0_0 (Snowflake), 000000_0 (Hive).
_PART = re.compile(
    r"(?P<prefix>.*?)[-_.]?(?:part[-_.]?)?"
    r"(?P<numbers>\d+(?:[-_.](?:part[-_.](?:[rm][-_.])?|of[-_.])?\d+)*)"
    r"(?P<run>-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:[-.]c\d+)?)?",
    re.DOTALL | re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+")
# Prefixes of part files that name no table; their folder does.
_UNNAMED = frozenset({"", "chunk", "data", "export", "output", "part", "run"})
# A single part is known as one by so many digits, the first of them a zero.
_SURE_DIGITS = 5
# Files that tools leave beside their part files.
_MARKERS = frozenset({"_success", "_started", "_committed"})


class Listing(NamedTuple):
    """What was found: table files in the order of their names, and other paths."""

    files: list[TableFile]
    unread: list[BackupPath]


class _Part(NamedTuple):
    """A file whose name numbers it among others."""

    prefix: str
    numbers: tuple[int, ...]
    digits: int
    file: TableFile


def list_folder(folder: BackupPath) -> Listing:
    """List a folder, the archives in it, and folders of part files.

    Raises:
        BackupError: a folder is named as a table file and holds none, or an archive is damaged.
        OSError: something cannot be read.
    """
    files: list[TableFile] = []
    unread: list[BackupPath] = []
    for path in entries(folder):
        parts = _folder_of_parts(path) if path.is_dir() and not is_hidden(path) else None
        if parts is not None:
            files.append(parts)
        elif _TABLE_FILE.fullmatch(path.name) and not path.is_file() and not is_hidden(path):
            raise BackupError(f"{path} is named as a table file, but is none: restore or remove it")
        elif is_archive(path) and path.is_file() and not is_hidden(path):
            inside = list_archive(path)
            files += inside.files
            unread += inside.unread
        else:
            file = table_file(path) if path.is_file() else None
            if file is None:
                unread.append(path)
            else:
                files.append(file)
    return Listing(_join_parts(files, folder.name), unread)


def list_archive(archive: BackupPath) -> Listing:
    """List the files in an archive; folders that hold all of them do not count.

    Raises:
        BackupError: it is damaged or encrypted, or a table file in it is a link to elsewhere.
        OSError: it cannot be read.
    """
    state = FileState.of(archive)
    folders: dict[str, list[TableFile]] = {}
    unread = []
    for member in list_members(archive):
        folder, _, name = member.name.rpartition("/")
        hidden = name.startswith(".") or "__MACOSX" in member.name
        file = None if hidden else _named(archive, name, state, member)
        if file is not None and member.is_elsewhere:
            raise BackupError(
                f"{archive / member.name} is named as a table file, but is a link to what is not in"
                " the archive: unpack it, and restore the folder"
            )
        if file is None:
            unread.append(archive / member.name)
        else:
            folders.setdefault(folder, []).append(file)
    files = []
    for folder, inside in folders.items():
        files += _join_parts(inside, folder.rpartition("/")[2])
    return Listing(files, unread)


def table_file(path: BackupPath) -> TableFile | None:
    """Return the table file at a path; None: it is not named as one."""
    return _named(path, path.name, FileState.of(path), None)


def join_files(files: Sequence[TableFile], table: str) -> TableFile:
    """Return files that hold one table's records one after the other as one."""
    parts = tuple(files)
    return parts[0] if len(parts) == 1 else TableFile(parts[0].path, table, None, parts=parts)


def _named(
    path: BackupPath, name: str, state: FileState, member: Member | None
) -> TableFile | None:
    match = _TABLE_FILE.fullmatch(name) or _UNLOADED.fullmatch(name)
    if match is None:
        return None
    compression = match["compression"]
    return TableFile(
        path, match["table"], compression and compression.lower(), state=state, member=member
    )


def _folder_of_parts(folder: BackupPath) -> TableFile | None:
    """Return the part files in a folder as one file, if it holds nothing else."""
    files = []
    for path in entries(folder):
        if is_hidden(path) or path.name.lower() in _MARKERS:
            continue
        file = table_file(path) if path.is_file() else None
        part = _part_of(file) if file else None
        if part is None:
            return None
        files.append(part)
    if not files or len({part.prefix for part in files}) > 1:
        return None
    match = _TABLE_FILE.fullmatch(folder.name)
    table = match["table"] if match else folder.name
    parts = [part.file for part in sorted(files, key=lambda p: (p.numbers, p.file.file_name))]
    return replace(join_files(parts, table), table=table)


def _part_of(file: TableFile) -> _Part | None:
    match = _PART.fullmatch(file.table)
    if match is None:
        return None
    numbers = _NUMBER.findall(match["numbers"])
    return _Part(match["prefix"], tuple(map(int, numbers)), len(numbers[-1]), file)


def _join_parts(files: Iterable[TableFile], folder: str) -> list[TableFile]:
    """Join part files that are numbered without a gap; return these and the others, by name."""
    groups: dict[object, list[_Part]] = {}
    found = []
    for file in files:
        part = _part_of(file)
        if part is None:
            found.append(file)
        else:
            key = (part.prefix, len(part.numbers), file.compression)
            groups.setdefault(key, []).append(part)
    for parts in groups.values():
        found += _joined(sorted(parts, key=lambda p: (p.numbers, p.file.file_name)), folder)
    return sorted(found, key=lambda file: file.file_name)


def _joined(parts: list[_Part], folder: str) -> list[TableFile]:
    files = [part.file for part in parts]
    if not _is_sequence(parts):
        return files
    prefix = parts[0].prefix
    table = folder if prefix.lower() in _UNNAMED else prefix
    return [replace(join_files(files, table), table=table, nested=tuple(files))]


def _is_sequence(parts: list[_Part]) -> bool:
    """Tell if numbers are those of the parts of one table: from 0 or 1 on, without a gap."""
    if len(parts) == 1:
        first = parts[0].file.table
        return parts[0].digits >= _SURE_DIGITS and not parts[0].numbers[-1] and first != ""
    varying = [sorted(set(numbers)) for numbers in zip(*(p.numbers for p in parts), strict=True)]
    return all(
        len(numbers) == 1 or (numbers[0] <= 1 and numbers == [*range(numbers[0], numbers[-1] + 1)])
        for numbers in varying
    )
