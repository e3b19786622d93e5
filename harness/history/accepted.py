"""Changes that are meant, and runs that have a name: one line of JSON each, kept with the history.

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
    """From this run on, its figures are what these engines are measured by.

    ``engines`` None means all, those too that the run no longer has. ``name`` is what the run can
    be called as a baseline.
    """

    run: str
    started_at: str
    at: str
    why: str
    engines: list[str] | None = None
    name: str | None = None
    commit: str | None = None

    def covers(self, engine: str) -> bool:
        """Say whether it is about an engine."""
        return self.engines is None or engine in self.engines


def load(folder: Path) -> tuple[AcceptedChange, ...]:
    """Return what was accepted, in the order in which it was; nothing where there is no file.

    Raises:
        HistoryError: the file cannot be read; the message says which line.
    """
    path = folder / FILE
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise HistoryError(f"{path} cannot be read ({error.strerror})") from error
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(msgspec.json.decode(line, type=AcceptedChange))
        except msgspec.DecodeError as error:
            raise HistoryError(f"{path}, line {number}: {error}; mend or delete it") from error
    return tuple(found)


def add(folder: Path, accepted: AcceptedChange) -> Path:
    """Write one more down.

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
