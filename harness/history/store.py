"""The history: one JSON file per run, validated on every read and write.

A run is written anew after each of its trials, through a temporary file that takes the old one's
name once it is safely on disk. So a run that is interrupted keeps what it has, and no reader ever
sees half a file. A finished run never changes.

    results/                      published runs, kept in git
    results/local/                the runs of this machine, ignored by git
    .../20240101T000000Z-1a2b3c4d.json
"""

from __future__ import annotations

import difflib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness.history.codec import RunKey, decode, encode, instant
from harness.model.errors import HistoryError, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.model.record import Run

RunLike = TypeVar("RunLike", bound=RunKey)

PUBLISHED = Path("results")
LOCAL = PUBLISHED / "local"
LATEST = "latest"

_SHORT_ID = 8


@dataclass(frozen=True, slots=True)
class UnreadableFile:
    """A file of the history that was left out, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path} was left out: {self.reason}"


@dataclass(frozen=True, slots=True)
class Listing:
    """The runs of a history, oldest first, and the files that could not be read."""

    runs: tuple[Run, ...]
    unreadable: tuple[UnreadableFile, ...]


def new_id() -> str:
    """Make an id for a run: short enough to type, long enough not to collide in one history."""
    return secrets.token_hex(_SHORT_ID // 2)


def open_history(results: Path | None = None) -> History:
    """Open the history at ``results``; by default this folder's, local and published runs."""
    return History(LOCAL, published=PUBLISHED) if results is None else History(results)


class History:
    """All runs in a folder.

    Args:
        root: where runs are written and read; made when the first run is written.
        published: a second folder that is only read.
    """

    def __init__(self, root: Path, *, published: Path | None = None) -> None:
        self.root = root
        self.folders = (root,) if published is None else (published, root)

    def write(self, run: Run) -> Path:
        """Write a run, in place of what was written of it before, and return its file.

        Raises:
            HistoryError: the record is not valid, the run was finished before, or the file
                cannot be written.
        """
        path = self.root / file_name(run)
        content = encode(run)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if _is_finished(path):
                raise HistoryError(f"run {run.id} is finished; a finished run never changes")
            _replace(path, content)
        except OSError as error:
            raise HistoryError(
                f"cannot write the run to {path}: {error.strerror}; "
                "free the disk or name another folder with --results"
            ) from error
        return path

    def flame_graph(self, run: Run, engine: str) -> Path:
        """Return where the flame graph of an engine's heap is kept: beside the run's file."""
        return self.root / f"{_stem(run)}-{engine}.memray.html"

    def runs(self) -> Listing:
        """Read every run, oldest first. A file that cannot be read is named, never fatal."""
        runs: dict[str, Run] = {}
        unreadable = []
        for path in self.files():
            try:
                run = read(path)
            except HistoryError as error:
                unreadable.append(UnreadableFile(path, str(error)))
            else:
                runs[run.id] = run
        ordered = sorted(runs.values(), key=lambda run: (instant(run), run.id))
        return Listing(tuple(ordered), tuple(unreadable))

    def find(self, name: str = LATEST) -> Run:
        """Return the run whose id, or file name, starts with ``name``; or the latest.

        Raises:
            InputError: no run is so named, or several are; the message names the near ones.
        """
        return choose(self.runs().runs, name)

    def files(self) -> list[Path]:
        """Return the files of all runs, those of the second folder first."""
        return [
            path
            for folder in self.folders
            # By name: comparing paths takes long, where there are thousands.
            for path in sorted(folder.glob("*.json"), key=lambda path: path.name)
        ]


def choose(runs: Sequence[RunLike], name: str) -> RunLike:
    """Return the one of ``runs`` (oldest first) that ``name`` means, as ``History.find`` does."""
    if not runs:
        raise InputError("the history holds no run yet; make one with: python -m harness bench")
    if name == LATEST:
        return runs[-1]
    stem = name.removesuffix(".json")
    found = [
        run for run in runs if stem and (run.id.startswith(stem) or _stem(run).startswith(stem))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{name!r} means several runs: {_names(found)}; write more of the id")
    raise InputError(f"no run {name!r} in the history; {_suggestion(runs, name)}")


def file_name(run: RunKey) -> str:
    """Name the file of a run: when it started, then its id."""
    return f"{_stem(run)}.json"


def _stem(run: RunKey) -> str:
    return f"{instant(run):%Y%m%dT%H%M%SZ}-{run.id[:_SHORT_ID]}"


def _names(runs: Sequence[RunKey]) -> str:
    return ", ".join(run.id for run in runs)


def _suggestion(runs: Sequence[RunKey], name: str) -> str:
    """Say which runs could have been meant: similar ids, else the newest ones."""
    ids = [run.id for run in runs]
    close = difflib.get_close_matches(name, ids, n=3)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"the newest are {', '.join(reversed(ids[-3:]))}"


def read(path: Path) -> Run:
    """Read and validate one file.

    Raises:
        HistoryError: it cannot be read, or is no valid record.
    """
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise HistoryError(f"it cannot be read ({error.strerror})") from error


def _is_finished(path: Path) -> bool:
    """Say whether a readable, finished run stands at ``path``."""
    try:
        return path.exists() and read(path).finished_at is not None
    except HistoryError:
        return False


def _replace(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path``: all of it or, after a crash at any instant, what was there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut too, where the system can open a folder."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
