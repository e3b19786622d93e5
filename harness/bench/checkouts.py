"""Checkouts of commits, each in a folder of its own, built and ready to run as engines.

Both sides of a comparison are prepared in the same way, the working tree too: as a copy, without
what earlier builds left, with its C part built and its Python compiled. Both run in this Python
environment.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.engines import registry
from harness.engines.engine import module
from harness.model.errors import HarnessError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from harness.engines.engine import Engine

    Announce = Callable[[str], None]

# What names the working tree in place of a commit.
WORKTREE = (".", "worktree")

# git takes milliseconds, on a network drive minutes, and a build some seconds. Neither may hang.
TIMEOUT_S = 600

# Compiled before the first trial, so that no trial pays for it; a commit may lack some of them.
_PACKAGES = ("restore", "legacy", "harness")
_SETUP = "setup.py"
_UNUSED = r"[/\\]tests[/\\]"


@dataclass(frozen=True, slots=True)
class Checkout:
    """A commit, or the working tree, in a folder of its own.

    ``commit`` is the full hash, of the working tree that of its HEAD; ``is_changed`` says whether
    the working tree differs from it, and ``is_native`` whether a C part was built.
    """

    folder: Path
    commit: str
    is_changed: bool
    is_native: bool

    @property
    def title(self) -> str:
        """Return the commit's short hash, and whether there are changes."""
        return self.commit[:8] + (" with changes" if self.is_changed else "")

    def engine(self, name: str, role: str) -> Engine:
        """Return the engine ``name`` of this checkout, called ``name@role``.

        Raises:
            InputError: there is no such engine, it has no versions, or it does not start.
        """
        known = registry.named(name)
        start = module("")[:-1]
        if known.template[: len(start)] != start or known.prepare:
            raise InputError(
                f"--engine {name}: it is not code of a commit; name restore, legacy or a step"
            )
        path = os.pathsep.join(filter(None, (str(self.folder), os.environ.get("PYTHONPATH", ""))))
        template = ("env", f"PYTHONPATH={path}".replace("{", "{{").replace("}", "}}"))
        self._check_start(name, (*template, *start, known.template[len(start)], "--help"))
        return dataclasses.replace(
            known, name=f"{name}@{role}", template=(*template, *known.template)
        )

    def _check_start(self, name: str, command: Sequence[str]) -> None:
        """Start the engine, which fails if the environment lacks a package that it imports."""
        made = _run(command, self.folder)
        if made.returncode:
            words = (made.stderr or made.stdout).strip().splitlines() or ["no output"]
            raise InputError(
                f"{name} of {self.title} does not start in this Python environment: {words[-1]}; "
                "install what that commit needs"
            )


@contextlib.contextmanager
def checkouts(base: str, head: str, announce: Announce) -> Iterator[tuple[Checkout, Checkout]]:
    """Provide checkouts of two commits of the repository around the current folder.

    Args:
        base: the commit before.
        head: the commit after; ``.`` or ``worktree`` is the working tree as it is.
        announce: called with a line for each build.

    Raises:
        InputError: a commit is unknown, or the current folder is in no repository.
        HarnessError: one of them cannot be built.
    """
    with tempfile.TemporaryDirectory(prefix="restorebench-", ignore_cleanup_errors=True) as folder:
        made = []
        for name, role in ((base, "base"), (head, "head")):
            target = Path(folder) / role
            target.mkdir()
            announce(f"building {role}: {name}")
            made.append(_checkout(name, target))
        yield made[0], made[1]


def _checkout(name: str, target: Path) -> Checkout:
    """Write a commit or the working tree to a folder, and build it there."""
    root = Path(_git(Path.cwd(), "rev-parse", "--show-toplevel").strip())
    is_worktree = name in WORKTREE
    commit = _commit(root, "HEAD" if is_worktree else name)
    if is_worktree:
        _copy_worktree(root, target)
    else:
        # An index of its own leaves that of the repository as it is.
        index = {"GIT_INDEX_FILE": str(target.with_suffix(".index"))}
        _git(root, "read-tree", commit, env=index)
        _git(root, "checkout-index", "--all", f"--prefix={target}{os.sep}", env=index)
    changes = _git(root, "status", "--porcelain") if is_worktree else ""
    _build(target, name)
    native = any(path.suffix in {".so", ".pyd"} for path in target.glob("restore/**/*"))
    return Checkout(target, commit, is_changed=bool(changes), is_native=native)


def _commit(root: Path, name: str) -> str:
    """Return the full hash of a commit."""
    try:
        return _git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
    except InputError as error:
        shallow = _git(root, "rev-parse", "--is-shallow-repository").strip() == "true"
        advice = (
            "this clone is shallow: fetch more with git fetch --deepen=1" if shallow else "name one"
        )
        raise InputError(f"{name}: this repository has no such commit; {advice}") from error


def _copy_worktree(root: Path, target: Path) -> None:
    """Copy the files of the working tree: tracked ones, and new ones that are built.

    Other new files, such as a backup that lies there, play no part.
    """
    tracked = _git(root, "ls-files", "-z", "--cached")
    paths = (*_PACKAGES, _SETUP)
    new = _git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", *paths)
    for name in filter(None, f"{tracked}\0{new}".split("\0")):
        source, copy = root / name, target / name
        if source.is_symlink() or source.is_file():  # not what was deleted, nor a submodule
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)


def _build(folder: Path, name: str) -> None:
    """Build the C part in place, and compile the Python."""
    compiled = [package for package in _PACKAGES if (folder / package).is_dir()]
    commands = [[sys.executable, "-m", "compileall", "-q", "-x", _UNUSED, *compiled]]
    if (folder / _SETUP).is_file():
        commands.insert(0, [sys.executable, _SETUP, "--quiet", "build_ext", "--inplace"])
    for command in commands:
        made = _run(command, folder)
        if made.returncode:
            lines = made.stderr.strip().splitlines() or ["no output"]
            missing = "ModuleNotFoundError" in lines[-1] and "setuptools" in lines[-1]
            advice = "; install it: python -m pip install setuptools" if missing else ""
            raise HarnessError(f"{name} cannot be built: {lines[-1]}{advice}")


def _git(root: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """Run git, with more variables, and return its output.

    Raises:
        InputError: it failed.
    """
    git = shutil.which("git")
    if git is None:
        raise InputError("git is not installed, and commits are compared by it; install it")
    # Inside a hook, GIT_DIR and similar variables point at another repository.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        made = subprocess.run(  # noqa: S603 - no shell
            [git, "--no-optional-locks", "-C", str(root), *arguments],
            env={**kept, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise HarnessError(f"git {arguments[0]} did not end within {TIMEOUT_S} s") from error
    if made.returncode:
        words = os.fsdecode(made.stderr).strip() or f"exit code {made.returncode}"
        raise InputError(f"git {arguments[0]} failed: {words}")
    return os.fsdecode(made.stdout)


def _run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder of a checkout.

    Raises:
        HarnessError: it did not end.
    """
    try:
        return subprocess.run(  # noqa: S603 - no shell
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise HarnessError(f"{command[0]} did not end within {TIMEOUT_S} s") from error
