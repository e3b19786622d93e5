"""The history on a branch of a git repository: pushed by one run of CI, fetched by the next.

The branch has one file for each finished run and a README, nothing else. A run's file never
changes, so that two pushes at the same time never conflict: the slower one adds its files to what
the faster one pushed, and tries again. Nothing is checked out, so that no file of the branch can be
a link to elsewhere.
"""

from __future__ import annotations

import random
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.history.accepted import FILE as ACCEPTED
from harness.history.codec import decode
from harness.history.git import Git, mask, resolve
from harness.history.store import MAX_FILE_BYTES, file_name, replace
from harness.model.errors import HistoryError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BRANCH = "benchmarks"
REMOTE = "origin"

# Each attempt starts after another push has succeeded, so that 20 concurrent pushes all land.
ATTEMPTS = 20
_LONGEST_PAUSE_S = 3.0

_NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-zA-Z-]{4,8}\.json")
_BRANCH = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_./-]*")
_BLOB = "100644"
_README = "README.md"
_README_TEXT = b"""\
# Recorded benchmark runs

One file for each run, written by `python -m harness history-push` and never changed.
`python -m harness history-fetch` copies them into a folder.
"""


@dataclass(frozen=True, slots=True)
class Pushed:
    """The names of the files that a push added, and of those that were there already."""

    added: tuple[str, ...]
    known: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fetched:
    """The names of the files that a fetch wrote, and why others were left out."""

    written: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the branch: its object, and its size in bytes."""

    mode: str
    blob: str
    size_bytes: int


def push(paths: Iterable[Path], remote: str = REMOTE, branch: str = BRANCH) -> Pushed:
    """Add runs to the branch, which is made if it does not exist.

    Args:
        paths: the files of finished runs.
        remote: a remote of the current checkout, or the address of a repository.
        branch: the name of the branch.

    Raises:
        HistoryError: a file is no finished run, differs from the run of its name on the branch, or
            the branch cannot be read or written.
        InputError: the remote or the branch has no valid name.
    """
    address, ref = _names(remote, branch)
    contents = {path.name: _checked(path) for path in paths}
    with tempfile.TemporaryDirectory(prefix="restorebench-") as scratch:
        git = Git(Path(scratch))
        for attempt in range(ATTEMPTS):
            tip = _fetch_tip(git, address, ref)
            known = {} if tip is None else _files(git, tip)
            added = _add(git, contents, known)
            if not added:
                return Pushed((), tuple(contents))
            commit = _commit(git, tip, known, added)
            done = git.attempt("push", "--quiet", "--porcelain", address, f"{commit}:{ref}")
            if not done.returncode:
                return Pushed(tuple(added), tuple(name for name in contents if name not in added))
            if not _is_rejected(done.stdout):
                break
            # Random, so that the same two do not meet again.
            time.sleep(random.uniform(0, min(_LONGEST_PAUSE_S, 0.1 * 2**attempt)))  # noqa: S311
        why = mask(done.stderr.decode(errors="replace").strip() or "rejected")
        raise HistoryError(f"cannot push to branch {branch} of {mask(remote)}: {why}")


def fetch(folder: Path, remote: str = REMOTE, branch: str = BRANCH) -> Fetched:
    """Copy the runs of the branch into a folder; a branch that does not exist has none.

    Files are copied as they are, readable or not; not those that are no regular files, have other
    names or are too large. Files in the folder stay, unless they have a name of the branch.

    Raises:
        HistoryError: the branch cannot be read, or a file cannot be written.
        InputError: the remote or the branch has no valid name.
    """
    address, ref = _names(remote, branch)
    with tempfile.TemporaryDirectory(prefix="restorebench-") as scratch:
        git = Git(Path(scratch))
        tip = _fetch_tip(git, address, ref)
        files = {} if tip is None else _files(git, tip)
        refused = {name: why for name, file in files.items() if (why := _refusal(name, file))}
        wanted = [name for name in files if name not in refused and name != _README]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            contents = git.blobs(files[name].blob for name in wanted)
            for name, content in zip(wanted, contents, strict=True):
                replace(folder / name, content)
        except OSError as error:
            raise HistoryError(f"cannot write to {folder}: {error.strerror}") from error
    return Fetched(tuple(wanted), tuple(f"{name}: {why}" for name, why in refused.items()))


def _names(remote: str, branch: str) -> tuple[str, str]:
    """Return the address of the repository, and the full name of the branch."""
    if not _BRANCH.fullmatch(branch) or ".." in branch or branch.endswith((".lock", "/", ".")):
        raise InputError(f"--branch {branch!r} is not the name of a branch")
    return resolve(remote), f"refs/heads/{branch}"


def _checked(path: Path) -> bytes:
    """Read the file of a finished run."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise HistoryError(f"cannot read {path}: {error.strerror}") from error
    try:
        run = decode(content)
    except HistoryError as error:
        raise HistoryError(f"{path} cannot be pushed: {error}") from error
    if run.finished_at is None:
        raise HistoryError(f"{path} cannot be pushed: the run is unfinished; see bench --resume")
    if path.name != file_name(run) or len(content) > MAX_FILE_BYTES:
        raise HistoryError(
            f"{path} cannot be pushed: it is not {file_name(run)}, or more than "
            f"{MAX_FILE_BYTES:,} bytes"
        )
    return content


def _fetch_tip(git: Git, address: str, ref: str) -> str | None:
    """Fetch the newest commit of the branch, and return its id; None if there is no branch."""
    if not git.run("ls-remote", "--", address, ref):
        return None
    git.run("fetch", "--quiet", "--no-tags", "--depth=1", "--", address, ref)
    return git.run("rev-parse", "FETCH_HEAD").decode().strip()


def _files(git: Git, tip: str) -> dict[str, _File]:
    """Return the files of a commit by name."""
    files = {}
    for line in git.run("ls-tree", "-z", "--long", tip).split(b"\0")[:-1]:
        fields, name = line.split(b"\t", 1)
        mode, _, blob, size = fields.decode().split()
        size_bytes = 0 if size == "-" else int(size)
        files[name.decode(errors="backslashreplace")] = _File(mode, blob, size_bytes)
    return files


def _refusal(name: str, file: _File) -> str | None:
    """Return why a file of the branch is not copied, or None."""
    if name not in {_README, ACCEPTED} and not _NAME.fullmatch(name):
        return "not the name of a run"
    if file.mode != _BLOB:
        return "not a regular file"
    if file.size_bytes > MAX_FILE_BYTES:
        return f"more than {MAX_FILE_BYTES:,} bytes"
    return None


def _add(git: Git, contents: Mapping[str, bytes], known: Mapping[str, _File]) -> dict[str, str]:
    """Store the files that the branch does not have, and return their objects by name."""
    added = {}
    for name, content in contents.items():
        blob = git.run("hash-object", "-w", "--stdin", content=content).decode().strip()
        if name not in known:
            added[name] = blob
        elif known[name].blob != blob:
            raise HistoryError(f"{name} is another run on the branch; a recorded run never changes")
    return added


def _commit(git: Git, tip: str | None, known: Mapping[str, _File], added: Mapping[str, str]) -> str:
    """Commit the files on top of a commit, or as the first of a branch, and return its id."""
    files = dict(added)
    if _README not in known:
        files[_README] = git.run("hash-object", "-w", "--stdin", content=_README_TEXT).decode()
    git.run("read-tree", *(["--empty"] if tip is None else [tip]))
    lines = "".join(f"{_BLOB} {blob.strip()}\t{name}\n" for name, blob in files.items())
    git.run("update-index", "--add", "--index-info", content=lines.encode())
    tree = git.run("write-tree").decode().strip()
    parents = () if tip is None else ("-p", tip)
    message = f"Add {', '.join(name.removesuffix('.json') for name in added)}"
    return git.run("commit-tree", tree, *parents, "-m", message).decode().strip()


def _is_rejected(porcelain: bytes) -> bool:
    """Return whether a push reached the repository, but its branch was not updated."""
    return any(line.startswith(b"!") for line in porcelain.splitlines())
