"""What a restore tells of itself while it works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a restore is: the table in work, its number, what was read of it."""

    table: str
    number: int
    tables: int
    rows: int
    bytes_read: int


class Watcher(Protocol):
    """Is told of progress after every batch, from the thread that restores; must be quick."""

    def __call__(self, progress: Progress, /) -> None:
        """Take note of how far the restore is."""
