"""The scripts of an installation, and what may not be imported in the place of our modules."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from restore.tests.support.target import Target

CHECKOUT = Path(__file__).parents[3]
SCRIPTS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "scripts"
]
# What would be imported from the current folder: a package, and modules of Python's own.
PLANTED = ("psycopg", "msgspec", "signal", "typing", "logging", "queue", "subprocess", "xxhash")
EVIL = "import os; open(os.environ['PROOF'], 'a').write(__name__ + '\\n')\n"


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A folder with the scripts as pip makes them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, target in SCRIPTS.items():
        module, _, function = target.partition(":")
        path = folder / name
        path.write_text(
            f"#!{sys.executable}\nimport sys\nfrom {module} import {function}\n"
            f"if __name__ == '__main__':\n    sys.exit({function}())\n"
        )
        path.chmod(0o755)
    return folder


def run(words: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_what_is_called_how() -> None:
    assert {name: target.partition(".")[0] for name, target in SCRIPTS.items()} == {
        "db-restore": "legacy",
        "db-restore-optimized": "restore",
        "db-restore-benchmark": "harness",
    }


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_names_the_script(scripts: Path, tmp_path: Path, name: str) -> None:
    done = run([str(scripts / name), "--help"], tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: {name} ")
    assert "python -m" not in done.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_imports_no_package(tmp_path: Path, name: str) -> None:
    module, _, function = SCRIPTS[name].partition(":")
    program = (
        f"import sys; sys.argv[1:] = ['--help']; from {module} import {function}\n"
        f"try: {function}()\nexcept SystemExit: print(*sys.modules)"
    )
    done = run([sys.executable, "-c", program], tmp_path)
    imported = set(done.stdout.splitlines()[-1].split())
    assert "argparse" in imported
    assert not {"psycopg", "msgspec", "rich", "sqlalchemy", "numpy"} & imported


def test_next_steps_name_the_script(scripts: Path, target: Target, tmp_path: Path) -> None:
    target.write(company=[{"id": "x", "name": "n"}], User=[], post=[])
    words = [str(scripts / "db-restore-optimized"), str(target.backup), "--dsn", target.dsn]
    done = run([*words, "--rejects", str(target.rejects)], tmp_path)
    assert done.returncode == 3
    assert f"db-restore-optimized retry {target.rejects}" in done.stdout
    assert "python -m" not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("how", ["script", "module"])
def test_no_module_of_the_current_folder_is_run(
    scripts: Path, target: Target, tmp_path: Path, how: str
) -> None:
    """The backup is the current folder, and two processes load."""
    folder = target.backup
    for name in PLANTED:
        (folder / f"{name}.py").write_text(EVIL)
    target.conn.execute("CREATE TABLE q (id int, x text)")
    target.write(q=[{"id": n, "x": "y" * 4000} for n in range(9000)])
    start = [str(scripts / "db-restore-optimized")]
    start = start if how == "script" else [sys.executable, "-m", "restore"]
    words = [*start, ".", "--dsn", target.dsn, "--jobs", "2"]
    proof = tmp_path / "proof"
    done = run(words, folder, PROOF=str(proof))
    assert done.returncode == 0, done.stderr
    assert not proof.exists(), proof.read_text()
    assert target.rows("SELECT count(*) FROM q") == [(9000,)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_script_answers_signals_from_its_first_moment(tmp_path: Path, number: int) -> None:
    program = f"""
import os, signal, sys
class Signal:
    def find_spec(self, name, path=None, target=None):
        if name == "psycopg":
            os.kill(os.getpid(), {int(number)})
sys.meta_path.insert(0, Signal())
signal.signal({int(number)}, signal.default_int_handler)
sys.argv[1:] = ["no-backup", "--dsn", "service=none"]
from restore.__main__ import main
sys.exit(main())
"""
    done = run([sys.executable, "-c", program], tmp_path)
    assert done.stderr.strip() == "restore: interrupted, but not in the middle of a restore"
    assert done.returncode == 1


def test_the_script_hides_a_password(scripts: Path, tmp_path: Path) -> None:
    """It starts itself anew, with the password in its environment."""
    dsn = "postgresql://me:s3cret@127.0.0.1:1/d?connect_timeout=2"
    program = (
        "import os, sys\n"
        "os.execve = lambda path, words, env: print('s3cret' in ' '.join(words),"
        " env['PGPASSWORD'], flush=True) or os._exit(0)\n"
        f"sys.argv = sys.orig_argv = [{str(scripts / 'db-restore-optimized')!r}, 'b', '--dsn',"
        f" {dsn!r}]\n"
        "from restore.__main__ import main\nmain()\n"
    )
    done = run([sys.executable, "-c", program], tmp_path)
    assert done.stdout == "False s3cret\n"


@pytest.mark.parametrize(
    ("name", "missing", "words"),
    [
        ("db-restore", "sqlalchemy", ["backup", "--dsn", "service=shop"]),
        ("db-restore-benchmark", "msgspec", ["history"]),
    ],
)
def test_a_script_whose_packages_are_missing_says_so(
    scripts: Path, tmp_path: Path, name: str, missing: str, words: list[str]
) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys; sys.modules[{missing!r}] = None\n")
    path = f"{tmp_path}{os.pathsep}{CHECKOUT}"
    done = run([str(scripts / name), *words], tmp_path, PYTHONPATH=path)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith(f"{name}: cannot start: {missing} is not installed")
