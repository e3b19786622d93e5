"""What a module of this folder provides: how an export is recognised, and the rows in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restore.source.buffer import ByteSource


class FoundRecord(NamedTuple):
    """A record of an export, as a row.

    Args:
        table: the table that the export names; None: the one that its file is named after.
        data: the row as a JSON object; or, of a record that cannot be read, its bytes as they are.
        offset: where the record begins in the file, decompressed.
        optional: the target may lack the table: then the record that this one is taken from shows
            the field, as one without a column.
        section: where the member of the file's list, or the line, begins that holds the record, if
            each of these can be read without those before it; else None. Spares a file of many
            tables being read from its start for each of them.
    """

    table: str | None
    data: bytes
    offset: int
    optional: bool = False
    section: int | None = None


class TableColumns(Struct, frozen=True):
    """The columns of a table of the target, in order, and those of its primary key.

    ``types``: PostgreSQL's names of the columns' types, in the same order; empty: unknown.
    """

    names: tuple[str, ...]
    key: tuple[str, ...]
    types: tuple[str, ...] = ()


class Format(Protocol):
    """A format of export. Its modules keep no state: each call of ``records`` starts anew.

    Attributes:
        name: what ``--format`` takes.
        title: what messages call a file of this format, such as "Django's dumpdata".
        recognised_by: how such a file is recognised, for the table in the documentation.
        wrapper: fields of its records that are no columns. A file is plain records after all if the
            table that it is named after has all of these as columns; empty: it never is.
    """

    name: str
    title: str
    recognised_by: str
    wrapper: frozenset[str]

    def detect(self, start: bytes) -> bool:
        """Tell if a file is of this format.

        Args:
            start: its first 64 KiB at most, decompressed, without a byte order mark and white space
                before the first character. It may end anywhere.
        """

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        """Yield the records of a file in their order.

        Args:
            stream: the file from its start, decompressed.
            tables: the tables of the target by the names that the records give them; None: they are
                not known yet, and only ``FoundRecord.table`` is used.

        Raises:
            FormatError: what the file holds cannot be restored faithfully.
            DamagedError: it is damaged where no record can be found after it.
        """


@runtime_checkable
class ConfirmedFormat(Format, Protocol):
    """A format that the start of a file suggests, and only the whole file shows."""

    def confirm(self, stream: ByteSource) -> bool:
        """Tell if a whole file is of this format, after ``detect`` said so.

        Raises:
            FormatError: the file does not show it.
        """


@runtime_checkable
class CheckedFormat(Format, Protocol):
    """A format that cannot restore some files, which only shows once the tables are known."""

    def check(self, stream: ByteSource, tables: Mapping[str, TableColumns]) -> None:
        """Read a whole file before anything is written.

        Raises:
            FormatError: as by ``records``.
        """


class FormatError(Exception):
    """An export cannot be restored: why, and what the user can do. No path in it."""


class DamagedError(FormatError):
    """An export cannot be read on: it is cut off, or damaged where no record is."""
