"""Recognises exports of other formats than JSON records, and finds the tables in them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from msgspec.structs import replace

from restore.errors import BackupError
from restore.source.formats.format import CheckedFormat, ConfirmedFormat, DamagedError, FormatError
from restore.source.made_stream import Translation
from restore.source.plain_records import is_plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from restore.source.formats.format import Format, FoundRecord
    from restore.source.table_file import TableFile

PLAIN = "records"
"""The name of the format that needs no translation: a list of objects, or one a line."""
# Of an export of one table so much is looked at before anything is written.
_HEAD_BYTES = 1 << 20


def tables_of_export(file: TableFile, forced: str | None = None) -> tuple[TableFile, ...]:
    """Return the tables in a file that is an export of another format; none: it is not.

    A file that holds several tables is read through once.

    Args:
        file: the file.
        forced: the name of its format; None: it is recognised by its first bytes.

    What cannot be restored is returned with the reason: it may be left out.

    Raises:
        BackupError: there is no such format.
    """
    try:
        export = _format_of(file, forced)
        return () if export is None else _find_tables(file, export)
    except FormatError as error:
        return (replace(file, refusal=str(error)),)


def _find_tables(file: TableFile, export: Format) -> tuple[TableFile, ...]:
    found = _Extents()
    try:
        with contextlib.closing(file.open()) as stream:
            for record in export.records(stream, None):
                found.add(record)
                if found.by_table.keys() == {None} and record.offset > _HEAD_BYTES:
                    break
    except FormatError as error:
        # What is whole before damage is restored, and the damage is in the report.
        if not (found.by_table and isinstance(error, DamagedError)):
            raise FormatError(f"it is {export.title}; {error}") from None
    before = found.by_table.pop(None, None)
    names = [name for name in found.by_table if name is not None]
    if not names:
        return (replace(file, translation=Translation(export, file_table=file.table)),)
    extents = [found.by_table[name] for name in names]
    if before is not None:
        extents[0].start, extents[0].section = before.start, None
    is_list = file.first_bytes().startswith(b"[")
    sure = [name for name, extent in zip(names, extents, strict=True) if not extent.optional]
    return tuple(
        replace(
            file,
            table=name,
            disk=(extent.start, extent.last) if file.is_seekable else None,
            translation=Translation(
                export,
                name,
                file_table=file.table,
                start=extent.start,
                last=None if name == found.owner else extent.last,
                section=extent.section,
                is_list=is_list,
                is_first=name == names[0],
                is_only=sure == [name],
                is_optional=extent.optional,
            ),
        )
        for name, extent in zip(names, extents, strict=True)
    )


def check_exports(files: Iterable[TableFile]) -> None:
    """Raise BackupError if a file is an export that cannot be restored into the tables chosen."""
    seen: set[object] = set()
    for file in files:
        made, place = file.translation, (file.path, file.member)
        if made is None or not isinstance(made.format, CheckedFormat) or place in seen:
            continue
        seen.add(place)
        try:
            with contextlib.closing(replace(file, translation=None).open()) as stream:
                made.format.check(stream, made.tables or {})
        except DamagedError:
            continue  # in the report, after what is whole before it
        except FormatError as error:
            raise BackupError(
                f"cannot restore {file.path.name}: it is {made.format.title}; {error}"
            ) from None


class _Extent:
    """Where the records of a table are in a file, from the first to the last."""

    def __init__(self, first: FoundRecord) -> None:
        self.start = self.last = first.offset
        self.section = first.section
        self.optional = first.optional


class _Extents:
    """The extents of the tables in a file.

    Attributes:
        by_table: the extents, by table. Under None: of what stands before a record with a table.
        owner: the table of the last record, and of what follows it in the file.
    """

    def __init__(self) -> None:
        self.by_table: dict[str | None, _Extent] = {}
        self.owner: str | None = None

    def add(self, record: FoundRecord) -> None:
        """Add a record; what names no table, as damage does, is of the owner."""
        table = self.owner if record.table is None else record.table
        extent = self.by_table.get(table)
        if extent is None:
            extent = self.by_table[table] = _Extent(record)
        extent.last = record.offset
        if not record.optional:
            self.owner = table


def _format_of(file: TableFile, forced: str | None) -> Format | None:
    if forced == PLAIN:
        return None
    if forced is not None:
        from restore.source.formats.registry import format_named  # noqa: PLC0415 - see below

        return format_named(forced)
    start = file.readable_start()
    if start is None or is_plain(start):
        return None
    # Plain records need none of its modules: 6 MB, and a tenth of the time of 100,000 records.
    from restore.source.formats.registry import FORMATS  # noqa: PLC0415

    return next((each for each in FORMATS if is_of(each, file, start)), None)


def is_of(export: Format, file: TableFile, start: bytes) -> bool:
    """Tell if a file, of which ``start`` are the first bytes, is of a format."""
    if not export.detect(start):
        return False
    if not isinstance(export, ConfirmedFormat):
        return True
    with contextlib.closing(file.open()) as stream:
        return export.confirm(stream)
