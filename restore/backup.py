"""Find a backup, and say which of its files hold which tables."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from restore.errors import BackupError
from restore.stream import Span, TableStream

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from restore.envelope import Envelope, Section

_TIMESTAMPED = re.compile(r"\d{8}_\d{6}$")
_TABLE_FILE = re.compile(
    r"(?P<table>.+)\.(?P<form>json|jsonl|ndjson)(?:\.(?P<compression>gz|zst))?$", re.DOTALL
)
_START_BYTES = 1 << 10
_UTF8_BOM = b"\xef\xbb\xbf"
# Keys that name no table: the list under one of them holds the records of the file's own table.
_UNNAMED = frozenset(
    {"content", "data", "documents", "elements", "entries", "features", "items", "list"}
    | {"nodes", "objects", "records", "result", "results", "rows", "values"}
)


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file of a backup, or one list of records in a file that holds several under keys.

    Args:
        path: the file.
        table: the table's name: the file's without its endings, or the key.
        compression: ``gz``, ``zst`` or None.
        span: where in the file, decompressed, the records stand; None: all of it.
        disk: from where to where in the file as it lies on the disk; None: all of it.
        inside: what the file holds if it is no record of its table but an envelope of several:
            only who knows the database's tables can tell.
    """

    path: Path
    table: str
    compression: str | None
    span: Span | None = None
    disk: tuple[int, int] | None = None
    inside: tuple[TableFile, ...] = ()

    @property
    def name(self) -> str:
        """What a person knows it by: ``users.json``, or ``dump.json: users``."""
        own = self.span is None or self.path.name.startswith(f"{self.table}.")
        return self.path.name if own else f"{self.path.name}: {self.table}"

    @property
    def disk_bytes(self) -> int:
        """How much of the disk's bytes has to be read, to tell how far a load has come."""
        return self.disk[1] - self.disk[0] if self.disk else self.path.stat().st_size

    def open(self, part: tuple[int, int | None] | None = None) -> TableStream:
        """Open the file for reading, at the start of its records, or of a part of them.

        Raises:
            BackupError: it cannot be opened.
        """
        try:
            return TableStream(self.path, self.compression, self.span, self.disk, part)
        except OSError as error:
            raise BackupError(f"cannot read {self.path}: {error.strerror or error}") from error

    def start(self) -> bytes:
        """Return the whole file's first bytes, without a byte order mark and white space.

        Raises:
            BackupError: it cannot be read at all.
        """
        whole = TableFile(self.path, self.table, self.compression)
        with contextlib.closing(whole.open()) as stream:
            start = stream.read(_START_BYTES).removeprefix(_UTF8_BOM).lstrip()
            while not start and (more := stream.read(_START_BYTES)):
                start = more.lstrip()
            if stream.fault is not None and not start:
                raise BackupError(f"cannot read {self.path}: {stream.fault}")
        return start


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was found.

    Args:
        path: its folder, or the single file.
        files: its table files, by name, and the lists of each envelope, in their order.
        newest: the folder was chosen as the newest of several timestamped ones.
        left_out: a line for each key of an envelope that holds no list of records.
        warnings: a line for each envelope that is damaged outside its lists, or cut off.
    """

    path: Path
    files: tuple[TableFile, ...]
    newest: bool = False
    left_out: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def find_backup(path: Path) -> Backup:
    """Find the backup that ``path`` means.

    A file that holds one object is read through once, to find the lists in it.

    Args:
        path: a backup folder, a root of timestamped ones (the newest is taken), a table file, or a
            file that holds several tables under keys.

    Raises:
        BackupError: there is none, or it holds no table file, or holds a table twice.
    """
    try:
        return _find(path)
    except OSError as error:
        raise BackupError(f"cannot read {error.filename}: {error.strerror}") from error


def _find(path: Path) -> Backup:
    if path.is_file():
        single = _table_file(path)
        if single is None:
            raise BackupError(f"{path} is no table file: its name should end in .json or .jsonl")
        return _unpack(path, [single])
    if not path.is_dir():
        raise BackupError(f"no backup at {path}: give a folder of table files, such as users.json")
    folder = _newest(path)
    files = _table_files(folder)
    if not files:
        raise BackupError(f"no table files in {folder}: expected files such as users.json")
    return _unpack(folder, files, newest=folder != path)


def _unpack(path: Path, found: list[TableFile], *, newest: bool = False) -> Backup:
    """Put the lists of envelopes in the place of the files that hold them."""
    files: list[TableFile] = []
    left_out: list[str] = []
    warnings: list[str] = []
    for file in found:
        envelope = _envelope(file)
        if envelope is None or not envelope.sections:
            files.append(file)
            continue
        taken = _taken(file, envelope, alone=file.path == path)
        others = [
            TableFile(file.path, s.key, file.compression, s.span, s.disk) for s in envelope.sections
        ]
        if taken is None:
            files.append(TableFile(file.path, file.table, file.compression, inside=tuple(others)))
            continue
        files += taken
        spans = {one.span for one in taken}
        left_out += [
            f"{file.path.name}: {key} holds no list of records"
            for key in [o.table for o in others if o.span not in spans] + list(envelope.others)
        ]
        if envelope.fault is not None:
            warnings.append(f"{file.path.name} {envelope.fault}")
    _check_twice(files, path)
    return Backup(path, tuple(files), newest, tuple(left_out), tuple(warnings))


def _envelope(file: TableFile) -> Envelope | None:
    """Look for lists in a file that starts as an object; None: it is no such object."""
    if not re.search(r"\.json(\.\w+)?$", file.path.name):
        return None
    try:
        if not file.start().startswith(b"{"):
            return None
    except BackupError:
        return None  # whoever opens it will say so, if it is not left out
    from restore.envelope import read_envelope  # noqa: PLC0415 - most backups need no ijson

    with contextlib.closing(file.open()) as stream:
        return read_envelope(stream)


def _taken(file: TableFile, envelope: Envelope, *, alone: bool) -> list[TableFile] | None:
    """Choose the lists that are tables, and name these; None: only the database's tables can tell.

    Args:
        file: the file.
        envelope: what is in it.
        alone: the file is the whole backup.
    """

    def of(section: Section, table: str) -> TableFile:
        return TableFile(file.path, table, file.compression, section.span, section.disk)

    filled = [section for section in envelope.sections if not section.empty]
    main = filled or list(envelope.sections)
    if len(main) == 1 and main[0].key.lower() in {file.table.lower(), *_UNNAMED}:
        return [of(main[0], file.table)]
    if envelope.scalars and not (alone and filled):
        return None
    return [of(section, section.key) for section in envelope.sections]


def _check_twice(files: Iterable[TableFile], path: Path) -> None:
    seen: dict[str, TableFile] = {}
    for file in files:
        if file.table in seen:
            raise BackupError(
                f"{file.name} and {seen[file.table].name} in {path} both hold table"
                f" {file.table}: move one of them away"
            )
        seen[file.table] = file


def _newest(root: Path) -> Path:
    """Return the newest timestamped folder in ``root``, or ``root`` where it has none."""
    stamped = [p for p in root.iterdir() if p.is_dir() and _TIMESTAMPED.fullmatch(p.name)]
    return max(stamped, key=lambda p: p.name, default=root)


def _table_files(folder: Path) -> list[TableFile]:
    files = []
    for path in sorted(folder.iterdir()):
        file = _table_file(path)
        if file is not None and not path.is_file():
            raise BackupError(f"{path} is named as a table file, but is none: restore or remove it")
        if file is not None:
            files.append(file)
    return files


def _table_file(path: Path) -> TableFile | None:
    match = _TABLE_FILE.fullmatch(path.name)
    if match is None:
        return None
    return TableFile(path, match["table"], match["compression"])
