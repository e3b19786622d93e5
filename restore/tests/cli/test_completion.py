"""Completion in a shell: bash sources the script, and completes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from restore.tests.support import command

if TYPE_CHECKING:
    from pathlib import Path

PRINT = """
import sys
sys.argv[0] = "db-restore-optimized"
from restore.cli.main import main
main(["--print-completion", "bash"])
"""
COMPLETE = """
source "$1"
COMP_WORDS=(db-restore-optimized "${@:2}")
COMP_CWORD=$(($# - 1))
_shtab_db_restore_optimized db-restore-optimized "${COMP_WORDS[COMP_CWORD]}"
printf "%s\\n" "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--dry"], {"--dry-run"}),
        (["--on-e"], {"--on-error"}),
        (["retry", "--max"], {"--max-rejects"}),
    ],
)
def test_bash_completes(words: list[str], found: set[str], tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PRINT], capture_output=True, check=True)
    script = tmp_path / "completion.sh"
    script.write_bytes(done.stdout)
    shown = subprocess.run(
        ["bash", "-c", COMPLETE, "bash", script, *words], capture_output=True, text=True, check=True
    )
    assert set(shown.stdout.split()) == found


def test_without_its_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    done = command.run("--print-completion", "bash")
    assert done.exit_code == 2
    assert "pip install 'restorebench[completion]'" in done.errors
