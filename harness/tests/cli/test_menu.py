"""The menu, on a real terminal: a pseudo-terminal, and keys that are typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from harness.tests.cli.terminal import CHECKOUT, PATIENCE_S, Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MENU = "Choice"


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path)
    yield made
    made.close()


def test_a_dataset_is_made_by_the_command_line_that_is_shown(
    terminal: Terminal, tmp_path: Path
) -> None:
    terminal.type("6", "many", "1k", "here", "q")
    said = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", terminal.said).split())
    assert said.count("'many' is no number of rows; write 100000, 100k or 1M") == 1
    assert "$ python -m harness generate --rows 1k --out here " in said
    assert terminal.process.wait(PATIENCE_S) == 0
    assert list((tmp_path / "here").glob("*/manifest.json"))


def test_ctrl_c_ends_the_questions_and_then_the_menu(terminal: Terminal) -> None:
    terminal.type("3")
    terminal.until("Rows")
    terminal.interrupt("nothing was done")
    terminal.until(MENU)
    terminal.interrupt("\n")
    assert terminal.process.wait(PATIENCE_S) == 0


def test_ctrl_d_ends_it(terminal: Terminal) -> None:
    terminal.until(MENU)
    os.write(terminal.master, b"\x04")
    assert terminal.process.wait(PATIENCE_S) == 0


def test_a_command_that_fails_says_so_and_the_menu_comes_back(terminal: Terminal) -> None:
    terminal.type("1", "10", "nowhere", "bulk")
    said = terminal.until("exit code 2")
    assert "nowhere" in said
    terminal.until(MENU)


def test_the_menu_comes_back_after_invalid_usage(terminal: Terminal) -> None:
    terminal.type("4", "--nonsense")
    said = terminal.until("exit code 2")
    assert "there is no option --nonsense" in said
    terminal.until(MENU)


def test_ctrl_c_while_a_command_starts_brings_the_menu_back(terminal: Terminal) -> None:
    terminal.type("3", "1k", "nowhere", "bulk")
    terminal.until("python -m harness bench")
    time.sleep(0.1)
    os.kill(terminal.process.pid, 2)
    assert "Traceback" not in terminal.until("exit code 1")
    terminal.until(MENU)


def test_without_a_terminal_there_is_no_menu() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness"],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "COMMAND" in done.stderr
