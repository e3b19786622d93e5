"""Finds a backup, and the table files in it."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from restore.errors import BackupError
from restore.remote.path import RemotePath, entries
from restore.source.archive import is_archive
from restore.source.export import tables_of_export
from restore.source.listing import list_archive, list_folder, table_file
from restore.source.table_file import TableFile
from restore.source.unread import describe, is_hidden

if TYPE_CHECKING:
    from collections.abc import Iterable

    from restore.remote.path import BackupPath
    from restore.source.envelope import Envelope, Section

__all__ = ["Backup", "TableFile", "find_backup"]

_TIMESTAMPED = re.compile(r"\d{8}_\d{6}$")
_MAY_BE_ENVELOPE = re.compile(r"\.json(\.\w+)?$", re.IGNORECASE)
_MOST_NAMED = 5
_NO_LIST = "it holds no list of records; export the table again as a list"
# Keys that name no table: the list under one of them holds the records of the file's own table.
_GENERIC_KEYS = frozenset(
    {"content", "data", "documents", "elements", "entries", "features", "items", "list"}
    | {"nodes", "objects", "records", "result", "results", "rows", "values"}
)


class Backup(Struct, frozen=True):
    """A backup on disk.

    Args:
        path: its folder, or the single file.
        files: its table files, by name, and the lists of each envelope, in their order.
        newest: the folder was chosen as the newest of several timestamped ones.
        documents: keys of envelopes that hold members, but no list of records.
        left_out: a line for each key of an envelope that holds no list of records.
        unread: what else stands in its folder.
        warnings: a line for each envelope that is damaged outside its lists, or cut off.
    """

    path: BackupPath
    files: tuple[TableFile, ...]
    newest: bool = False
    documents: tuple[TableFile, ...] = ()
    left_out: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    unread: tuple[BackupPath, ...] = ()


def find_backup(path: BackupPath, forced: str | None = None) -> Backup:
    """Find the backup at ``path``.

    A file that holds one object, or an export of several tables, is read through once.

    Args:
        path: a backup folder, a root of timestamped ones (the newest is taken), a table file, a
            file that holds several tables, or an archive; ``-``: standard input.
        forced: the name of the files' format; None: it is recognised.

    Raises:
        BackupError: there is none, or it holds no table file, or holds a table twice.
    """
    try:
        return _find(path.fresh() if isinstance(path, RemotePath) else path, forced)
    except OSError as error:
        where, why = error.filename or path, error.strerror or error
        raise BackupError(f"cannot read {where}: {why}") from error


def _find(path: BackupPath, forced: str | None) -> Backup:
    if path.is_file() and is_archive(path):
        inside = list_archive(path)
        if not inside.files:
            raise BackupError(f"no table files in {path}: expected files such as users.json")
        return _unpack(path, inside.files, inside.unread, forced)
    if path.is_file():
        single = table_file(path)
        if single is None:
            kind, advice = describe(path)
            raise BackupError(
                f"{path} is not a table file, whose name should end in .json or .jsonl: it is"
                f" {kind}; {advice}"
            )
        return _unpack(path, [single], (), forced)
    if not path.is_dir():
        raise BackupError(f"no backup at {path}: give a folder of table files, such as users.json")
    folder = _newest(path)
    files, unread = list_folder(folder)
    if not files:
        found = [f"{each.name} is {describe(each)[0]}" for each in unread if not is_hidden(each)]
        raise BackupError(
            f"no table files in {folder}: expected files such as users.json"
            + "".join(f"; {line}" for line in found[:_MOST_NAMED])
        )
    backup = _unpack(folder, files, unread, forced)
    if folder == path:
        return backup
    beside = [each.name for each in entries(path) if not _is_stamped(each)]
    lines = [f"{name}: beside the timestamped folders" for name in beside]
    return replace(backup, newest=True, left_out=(*lines, *backup.left_out))


def _unpack(
    path: BackupPath, found: list[TableFile], unread: Iterable[BackupPath], forced: str | None
) -> Backup:
    """Replace each export and each envelope by the tables in it."""
    files: list[TableFile] = []
    documents: list[TableFile] = []
    left_out: list[str] = []
    warnings: list[str] = []
    for file in found:
        hidden = is_hidden(file.path) and file.path != path
        exported = () if hidden else tables_of_export(file, forced)
        if exported:
            files += exported
            continue
        envelope = None if hidden else _envelope(file)
        if envelope is None:
            files.append(file)
            continue
        whole = replace(file, is_object=True)
        if not envelope.sections:
            files.append(whole)
            continue
        if envelope.fault is not None:
            warnings.append(f"{file.file_name} {envelope.fault}")
            envelope = _with_fault(envelope, warnings[-1])
        taken = _choose_sections(whole, envelope, alone=len(found) == 1 and path.is_file())
        others = [_section(whole, s, s.key) for s in envelope.sections]
        refused = [replace(others[0], table=key, refusal=_NO_LIST) for key in envelope.documents]
        if taken is None:
            nested, named = tuple(others), tuple(refused)
            files.append(replace(whole, nested=nested, others=envelope.others, documents=named))
            continue
        files += taken
        documents += refused
        spans = {one.span for one in taken}
        left_out += [
            f"{file.file_name}: {key} holds no list of records"
            for key in [o.table for o in others if o.span not in spans] + list(envelope.others)
        ]
    _check_no_duplicates(files, path)
    return Backup(
        path,
        tuple(files),
        documents=tuple(documents),
        left_out=tuple(left_out),
        warnings=tuple(warnings),
        unread=tuple(unread),
    )


def _with_fault(envelope: Envelope, fault: str) -> Envelope:
    """Return an envelope whose last list has the fault, so that its table counts as truncated."""
    *others, last = envelope.sections
    last = replace(last, span=replace(last.span, fault=fault))
    return replace(envelope, sections=(*others, last))


def _section(file: TableFile, section: Section, table: str) -> TableFile:
    return replace(file, table=table, span=section.span, disk=section.disk)


def _envelope(file: TableFile) -> Envelope | None:
    """Find the lists in a file that starts as an object; return None if it is no envelope."""
    if file.parts or not _MAY_BE_ENVELOPE.search(file.file_name):
        return None
    if not (file.readable_start() or b"").startswith(b"{"):
        return None
    from restore.source.envelope import read_envelope  # noqa: PLC0415 - most backups need no ijson

    with contextlib.closing(file.open()) as stream:
        return read_envelope(stream)


def _choose_sections(file: TableFile, envelope: Envelope, *, alone: bool) -> list[TableFile] | None:
    """Choose the lists that are tables; None: this depends on the database's tables.

    Args:
        file: the file.
        envelope: what is in it.
        alone: the file is the whole backup.
    """
    filled = [section for section in envelope.sections if not section.empty]
    main = filled or list(envelope.sections)
    if len(main) == 1 and main[0].key.lower() in {file.table.lower(), *_GENERIC_KEYS}:
        return [_section(file, main[0], file.table)]
    if envelope.scalars and not (alone and filled):
        return None
    return [_section(file, section, section.key) for section in envelope.sections]


def _check_no_duplicates(files: Iterable[TableFile], path: BackupPath) -> None:
    seen: dict[str, TableFile] = {}
    for file in files:
        other = seen.setdefault(file.table, file)
        if (other.path, other.member) != (file.path, file.member):
            raise BackupError(
                f"{file.name} and {other.name} in {path} both hold table {file.table}: move one of"
                " them away"
            )
        if other is not file:
            raise BackupError(duplicate_key_message(file))


def duplicate_key_message(file: TableFile) -> str:
    """Return the message for a file with two lists under one key."""
    return f"{file.file_name} holds the key {file.table!r} twice: join the two lists under one key"


def _is_stamped(path: BackupPath) -> bool:
    return _TIMESTAMPED.fullmatch(path.name) is not None and path.is_dir()


def _newest(root: BackupPath) -> BackupPath:
    """Return the newest timestamped folder in ``root``; ``root`` itself if it has none."""
    return max(filter(_is_stamped, entries(root)), key=lambda p: p.name, default=root)
