"""Events of a restore while it works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from restore.report.model import TableReport


class BackupFound(Struct, frozen=True):
    """The backup that was found, the newest if there are several, and its number of tables."""

    path: str
    newest: bool
    tables: int


class Progress(Struct, frozen=True):
    """How far the current table and the whole restore are.

    Bytes are those of the files on disk, so compressed ones if a file is compressed. ``batches`` of
    the table are sent; ``batches_expected`` is an estimate from its size so far.
    """

    table: str
    number: int
    tables: int
    rows: int
    rejected: int
    batches: int
    batches_expected: int
    bytes_read: int
    bytes_total: int
    all_rows: int
    all_bytes_read: int
    all_bytes_total: int


class TableDone(Struct, frozen=True):
    """All records of a table are read; foreign keys may still remove some of its rows."""

    number: int
    tables: int
    report: TableReport


class Stage(Struct, frozen=True):
    """A step of the restore that is not the load of a table, such as ``foreign keys``."""

    name: str


class WarningEvent(Struct, frozen=True):
    """A warning of one line, which the report repeats."""

    message: str


Event = BackupFound | Progress | TableDone | Stage | WarningEvent


class ProgressCallback(Protocol):
    """Receives events, after every batch; any thread calls it, one at a time; must be quick."""

    def __call__(self, event: Event, /) -> None:
        """Handle an event."""
