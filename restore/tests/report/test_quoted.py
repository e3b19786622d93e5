"""Commands to type survive a shell, whatever a backup calls its files."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from restore.text import quote_word, shell_option

if TYPE_CHECKING:
    from restore.tests.support.target import Target

SHELL = shutil.which("bash")
WORDS = [
    "t",
    "a b",
    "it's",
    '"',
    "$x `y` \\",
    "li\nne",
    "tab\t1",
    "é",
    "\x1b[31m",
    "-x y",
    "\u202e'\\",
]


@pytest.mark.skipif(SHELL is None, reason="there is no bash")
def test_a_shell_reads_what_was_quoted() -> None:
    words = [*WORDS, os.fsdecode(b"\xff'1")]
    script = "printf '%s\\0' " + " ".join(map(quote_word, words))
    assert script.isprintable()
    done = subprocess.run([str(SHELL), "-c", script], check=True, capture_output=True)
    assert done.stdout.split(b"\0")[:-1] == list(map(os.fsencode, words))


@pytest.mark.slow
@pytest.mark.skipif(SHELL is None, reason="there is no bash")
@pytest.mark.parametrize("name", WORDS)
def test_the_advice_to_leave_a_file_out_does(target: Target, name: str) -> None:
    target.conn.execute("CREATE TABLE right_one (id int)")
    target.write(right_one=[{"id": 1}])
    (target.backup / f"{name}.json").write_text('[{"id": 1}]')
    advice = target.restore(exit_code=2).rpartition("leave the file out with ")[2].strip()
    assert advice == shell_option("--exclude", name)
    script = f"printf '%s\\0' {advice}"
    done = subprocess.run([str(SHELL), "-c", script], check=True, capture_output=True)
    target.restore(*map(os.fsdecode, done.stdout.split(b"\0")[:-1]))
    assert target.rows("SELECT id FROM right_one") == [(1,)]
