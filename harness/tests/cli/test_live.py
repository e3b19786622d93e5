"""A bench on a terminal, where a table fills, and elsewhere, where there are lines."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from harness.tests.cli.terminal import CHECKOUT, PATIENCE_S, Terminal

if TYPE_CHECKING:
    from pathlib import Path

BENCH = (
    *("bench", "--rows", "10", "--rounds", "2", "--warmup", "0", "--repeats", "0"),
    *("--engine", "fake:wall=1,mib=10", "--engine", "fake:wall=2,end=timeout,restored=0"),
)


def test_a_table_fills_and_the_report_is_all_that_stays(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, *BENCH)
    try:
        terminal.until(r"0 of 4 trials, fake:wall=\S+ for 0 s")
        terminal.until("4 of 4 trials")
        terminal.until("Memory|Noise|fewer|legacy|Failures|timeout")
        assert terminal.process.wait(PATIENCE_S) == 3
    finally:
        terminal.close()
    said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.said)
    assert re.search(r"fake:wall=1,mib=10\s+2/2\s+1\.00 s\s+10\.5 MB\s+ok 1\.00 s", said)
    assert re.search(r"fake:wall=2\S+\s+0/2\s+> 2\.00 s", said)


def test_without_a_terminal_there_is_a_line_for_each_trial(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "harness", *BENCH, "--format", "json"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(CHECKOUT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert [f"[{n}/4]" in done.stderr for n in range(1, 5)] == [True] * 4
    assert "\x1b" not in done.stderr + done.stdout
    assert done.stdout.startswith("{")
