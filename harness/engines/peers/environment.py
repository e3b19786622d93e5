"""The environment of a peer: packages of Python or of Node.js that it alone uses.

It lies in ``.peers`` of the current folder, or where ``RESTOREBENCH_PEERS`` says. So the default
install stays small, and no peer meets another's versions.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.model.errors import HarnessError

_STAMP = "installed.sha256"
_PYTHON_FILE = "requirements.txt"
_NODE_FILES = ("package.json", "package-lock.json")
_INSTALL_TIMEOUT_S = 1800.0


@dataclass(frozen=True, slots=True)
class Environment:
    """The environment of one peer: ``source`` is its folder in the package."""

    source: Path
    folder: Path

    def programs(self) -> dict[str, str]:
        """Return the programs of the environment by the placeholder that stands for them."""
        return {
            "python": str(self.folder / "bin" / "python"),
            "node": shutil.which("node") or "node",
            "environment": str(self.folder),
        }

    def missing(self) -> str | None:
        """Return what is not there, or not as the peer's files say now."""
        if not self._files():
            return None
        stamp = self.folder / _STAMP
        if not stamp.is_file():
            return "its environment is not made"
        if stamp.read_text(encoding="ascii") != self._digest():
            return "its environment is not up to date"
        return None

    def install(self) -> None:
        """Make the environment anew, if it is not there as the peer's files say.

        Raises:
            HarnessError: it cannot be made.
        """
        if self.missing() is None:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        if (self.source / _PYTHON_FILE).is_file():
            _run(sys.executable, "-m", "venv", str(self.folder))
            install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            _run(
                str(self.folder / "bin" / "python"),
                *install,
                *("--require-hashes", "--requirement", str(self.source / _PYTHON_FILE)),
            )
        if (self.source / _NODE_FILES[0]).is_file():
            self._install_node()
        (self.folder / _STAMP).write_text(self._digest(), encoding="ascii")

    def _install_node(self) -> None:
        """Install what the lock file names; scripts of packages are not run but the peer's own."""
        npm = shutil.which("npm")
        if npm is None:
            raise HarnessError("npm is not installed; install Node.js 20 or newer")
        shutil.copytree(self.source, self.folder, dirs_exist_ok=True)
        _run(npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=self.folder)
        _run(npm, "run", "--if-present", "prepare-peer", cwd=self.folder)

    def _files(self) -> list[Path]:
        names = (_PYTHON_FILE, *_NODE_FILES)
        files = [path for name in names if (path := self.source / name).is_file()]
        if len(files) <= 1:
            return files
        return sorted(path for path in self.source.iterdir() if path.name != "peer.toml")

    def _digest(self) -> str:
        digest = hashlib.sha256(sys.version.encode())
        for path in self._files():
            if path.is_file():
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()


def of(source: Path) -> Environment:
    """Return the environment of the peer whose folder is ``source``."""
    root = Path(os.environ.get("RESTOREBENCH_PEERS") or ".peers").resolve()
    return Environment(source, root / source.name)


def _run(*command: str, cwd: Path | None = None) -> None:
    try:
        subprocess.run(  # noqa: S603 - no shell
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INSTALL_TIMEOUT_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        words = (error.stderr or error.stdout).strip().splitlines() or ["no output"]
        raise HarnessError(f"{command[0]} failed: {words[-1]}") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise HarnessError(f"{command[0]} failed: {error}") from error
