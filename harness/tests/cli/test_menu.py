"""The menu, on a real terminal: a pseudo-terminal, and keys that are typed."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pty = pytest.importorskip("pty", reason="no pseudo-terminal here")

CHECKOUT = Path(__file__).parents[3]
PATIENCE_S = 60.0
MENU = "What shall it be"


class Terminal:
    """The harness without arguments on a pseudo-terminal."""

    def __init__(self, folder: Path) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "harness"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), "TERM": "xterm", "NO_COLOR": "1"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._unread = ""
        self.said = ""

    def until(self, pattern: str) -> str:
        """Return what is printed up to a pattern."""
        end = time.monotonic() + PATIENCE_S
        while not (found := re.search(pattern, self._unread)):
            assert time.monotonic() < end, self._unread
            if select.select([self.master], [], [], 0.1)[0]:
                self.said += (new := os.read(self.master, 65_536).decode())
                self._unread += new
        text, self._unread = self._unread[: found.end()], self._unread[found.end() :]
        return text

    def type(self, *lines: str) -> None:
        """Type lines, each once the question before it is there."""
        for line in lines:
            self.until(r": $")
            os.write(self.master, f"{line}\n".encode())


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path)
    yield made
    made.process.kill()
    made.process.wait()
    os.close(made.master)


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
    os.kill(terminal.process.pid, 2)
    terminal.until("nothing was done")
    terminal.until(MENU)
    os.kill(terminal.process.pid, 2)
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
