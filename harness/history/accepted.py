"""Accepted changes and names of runs: a line of JSON each, kept with the history.

results/accepted.jsonl
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from harness.model.errors import HistoryError

if TYPE_CHECKING:
    from pathlib import Path

FILE = "accepted.jsonl"


class AcceptedChange(msgspec.Struct, frozen=True, kw_only=True):
    """An intended change: from this run on, its figures are the baseline of these engines.

    ``engines`` None means all, including those that the run no longer has. ``name`` is the run's
    name as a baseline.
    """

    run: str
    started_at: str
    at: str
    why: str
    engines: list[str] | None = None
    name: str | None = None
    commit: str | None = None

    def covers(self, engine: str) -> bool:
        """Return whether it applies to an engine."""
        return self.engines is None or engine in self.engines


def load(folder: Path) -> tuple[AcceptedChange, ...]:
    """Return the accepted changes in order; none if there is no file.

    Raises:
        HistoryError: the file cannot be read; the message names the line.
    """
    path = folder / FILE
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise HistoryError(f"cannot read {path}: {error.strerror}") from error
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(msgspec.json.decode(line, type=AcceptedChange))
        except msgspec.DecodeError as error:
            raise HistoryError(f"{path}, line {number}: {error}; correct or delete it") from error
    return tuple(found)


def add(folder: Path, accepted: AcceptedChange) -> Path:
    """Append an accepted change, and return the file.

    Raises:
        HistoryError: it cannot be written.
    """
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(msgspec.json.encode(accepted) + b"\n")
    except OSError as error:
        raise HistoryError(f"cannot write {path}: {error.strerror}") from error
    return path
