"""The history: one JSON file per run, validated on every read and write.

A run is rewritten after each trial, through a temporary file that is renamed once it is safely on
disk. So an interrupted run keeps its trials, and no reader ever sees a partial file. A finished run
never changes.

    results/2024-01-01/           published runs, kept in git
    results/local/                the runs of this machine, ignored by git
    .../20240101T000000Z-1a2b3c4d.json
"""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness.history.codec import RunKey, decode, encode, instant
from harness.model.errors import HistoryError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.model.record import Run

RunLike = TypeVar("RunLike", bound=RunKey)

PUBLISHED = Path("results")
LOCAL = PUBLISHED / "local"
LATEST = "latest"

# A run of 20 engines and 20 rounds has some 2 MB. More is no run, and is not read.
MAX_FILE_BYTES = 16_000_000

_SHORT_ID = 8


@dataclass(frozen=True, slots=True)
class UnreadableFile:
    """A file of the history that is in no list, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path} was skipped: {self.reason}"


@dataclass(frozen=True, slots=True)
class Listing:
    """The runs of a history, oldest first, and the files that could not be read."""

    runs: tuple[Run, ...]
    unreadable: tuple[UnreadableFile, ...]


def new_id() -> str:
    """Return a new id: short enough to type, long enough not to collide in one history."""
    return secrets.token_hex(_SHORT_ID // 2)


def open_history(results: Path | None = None) -> History:
    """Open the history at ``results``, by default the local and published runs."""
    return History(LOCAL, published=PUBLISHED) if results is None else History(results)


class History:
    """All runs in a folder, and in its folders ``YYYY-MM-DD`` of published runs.

    Args:
        root: the folder for reading and writing; created with the first run.
        published: a second folder, only read.
    """

    def __init__(self, root: Path, *, published: Path | None = None) -> None:
        self.root = root
        self.folders = (root,) if published is None else (published, root)

    def write(self, run: Run) -> Path:
        """Write a run in place of its former state, and return its file.

        Raises:
            HistoryError: the record is invalid, the run is finished already, or the file cannot be
                written.
        """
        path = self.root / file_name(run)
        content = encode(run)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if _is_finished(path):
                raise HistoryError(f"run {run.id} is finished and cannot change; start a new run")
            replace(path, content)
        except OSError as error:
            raise _unwritable(path, error) from error
        return path

    @contextlib.contextmanager
    def sole_writer(self, run: RunKey) -> Iterator[None]:
        """Lock a run against other processes; a crash releases the lock.

        Raises:
            InputError: another process is making the run.
            HistoryError: the folder cannot be written.
        """
        path = self.root / f".{_stem(run)}.lock"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            file = path.open("wb")
        except OSError as error:
            raise _unwritable(path, error) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"run {run.id} is not finished, and another process is making it; "
                    "wait until that ends, or stop it"
                ) from None
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def flame_graph(self, run: Run, engine: str) -> Path:
        """Return the path of an engine's flame graph, beside the run's file."""
        return self.root / f"{_stem(run)}-{engine}.memray.html"

    def runs(self) -> Listing:
        """Read every run, oldest first; files that cannot be read are listed, not fatal."""
        runs, unreadable = [], []
        for found in self.read_all():
            if isinstance(found, UnreadableFile):
                unreadable.append(found)
            else:
                runs.append(found)
        runs.sort(key=lambda run: (instant(run), run.id))
        return Listing(tuple(runs), tuple(unreadable))

    def read_all(self) -> Iterator[Run | UnreadableFile]:
        """Read one file at a time, and yield each run once: its local or its newest file."""
        kept: dict[str, Path] = {}
        for path in reversed(self.files()):
            try:
                run = read(path)
            except HistoryError as error:
                yield UnreadableFile(path, str(error))
                continue
            other = kept.setdefault(run.id, path)
            if other == path:
                yield run
            elif other.parent == path.parent:  # not of a published copy
                yield UnreadableFile(path, f"{other.name} has the same id")

    def find(self, name: str = LATEST) -> Run:
        """Return the run whose id, or file name, starts with ``name``; or the latest.

        Raises:
            InputError: no run or several match; the message suggests similar ones.
        """
        return choose(self.runs().runs, name)

    def files(self) -> list[Path]:
        """Return the files of all runs, those of the second folder first."""
        return [
            path
            for folder in self.folders
            # By name: comparing thousands of paths takes long.
            for path in sorted(_run_files(folder), key=lambda path: path.name)
        ]


def _unwritable(path: Path, error: OSError) -> HistoryError:
    return HistoryError(
        f"cannot write the run to {path}: {error.strerror}; "
        "free disk space or name another folder with --results"
    )


def _run_files(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder, and in its folders of published runs, named by their day."""
    yield from folder.glob("*.json")
    yield from folder.glob("????-??-??/*.json")


def choose(runs: Sequence[RunLike], name: str) -> RunLike:
    """Return the run in ``runs`` (oldest first) that matches ``name``, as ``History.find`` does."""
    if not runs:
        raise InputError("the history is empty; make a run with: python -m harness bench")
    if name == LATEST:
        return runs[-1]
    stem = name.removesuffix(".json")
    found = [
        run for run in runs if stem and (run.id.startswith(stem) or _stem(run).startswith(stem))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{name!r} matches several runs: {_names(found)}; write more of the id")
    raise InputError(f"the history has no run {name!r}; {_suggestion(runs, name)}")


def file_name(run: RunKey) -> str:
    """Return the file name of a run: its start, then its id."""
    return f"{_stem(run)}.json"


def _stem(run: RunKey) -> str:
    return f"{instant(run):%Y%m%dT%H%M%SZ}-{run.id[:_SHORT_ID]}"


def _names(runs: Sequence[RunKey]) -> str:
    return ", ".join(run.id for run in runs)


def _suggestion(runs: Sequence[RunKey], name: str) -> str:
    """Suggest runs: those with similar ids, else the newest ones."""
    ids = [run.id for run in runs]
    close = difflib.get_close_matches(name, ids, n=3)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"the newest are {', '.join(reversed(ids[-3:]))}"


def read(path: Path) -> Run:
    """Read and validate one file.

    Raises:
        HistoryError: it cannot be read, or is invalid.
    """
    try:
        if path.is_fifo():  # opening it would wait for a writer
            raise HistoryError("cannot be read (Is a named pipe)")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise HistoryError(f"is larger than {MAX_FILE_BYTES:,} bytes, which no run is")
        return decode(path.read_bytes())
    except OSError as error:
        raise HistoryError(f"cannot be read ({error.strerror})") from error


def _is_finished(path: Path) -> bool:
    """Return whether ``path`` holds a readable, finished run."""
    try:
        return path.exists() and read(path).finished_at is not None
    except HistoryError:
        return False


def replace(path: Path, content: bytes) -> None:
    """Replace the file at ``path`` atomically, even if there is a crash.

    Raises:
        OSError: it cannot be written.
    """
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
    """Flush the folder, so that the new name survives a power cut, if the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
