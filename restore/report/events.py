"""What a restore tells of itself while it works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from restore.report.model import TableReport


@dataclass(frozen=True, slots=True)
class BackupFound:
    """The backup that was found (of a root of several, the newest), and how many tables it has."""

    path: str
    newest: bool
    tables: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a restore is: the table in work, and all of them.

    Bytes are those of the files as they lie on disk, so of compressed files the compressed ones.
    ``batches`` of the table are sent; ``batches_expected`` is an estimate from its size so far.
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


@dataclass(frozen=True, slots=True)
class TableDone:
    """All records of a table are read; foreign keys may still take some of its rows out."""

    number: int
    tables: int
    report: TableReport


@dataclass(frozen=True, slots=True)
class Stage:
    """What the restore does now that is no table's load: ``foreign keys``, say."""

    name: str


@dataclass(frozen=True, slots=True)
class WarningEvent:
    """Something that a person should know, in one line; the report has it too."""

    message: str


Event = BackupFound | Progress | TableDone | Stage | WarningEvent


class ProgressCallback(Protocol):
    """Is told of progress after every batch, from the thread that restores; must be quick."""

    def __call__(self, event: Event, /) -> None:
        """Take note of what happens."""
