"""The command in the process of the test, which has imported it already.

What needs a process of its own (its memory, signals, how ``python -m restore`` starts) starts one.
"""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from unittest import mock

from restore.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator


class Done(NamedTuple):
    """How the command ended, and what it said."""

    exit_code: int
    output: str
    errors: str


def run(*words: str) -> Done:
    """Run the command, in this environment and folder, without a terminal."""
    with (
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8") as output,
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8") as errors,
        Path(os.devnull).open(encoding="utf-8") as nothing,
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
        mock.patch("sys.stdin", nothing),
        _as_it_was(),
    ):
        code = _exit_code(words)
        return Done(code, _text(output), _text(errors))


def run_alone(*words: str) -> Done:
    """Run the command in a process of its own: its memory is the command's alone."""
    command = [sys.executable, "-m", "restore", *words]
    done = subprocess.run(command, check=False, capture_output=True, encoding="utf-8")
    return Done(done.returncode, done.stdout, done.stderr)


def _exit_code(words: tuple[str, ...]) -> int:
    """Return what the process would end with."""
    try:
        return main(words)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:  # noqa: BLE001 - Python shows it and ends with 1; tests look for the traceback
        traceback.print_exc(file=sys.stderr)
        return 1


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Undo what the command sets for the whole of its process."""
    thresholds, logger = gc.get_threshold(), logging.getLogger("psycopg")
    level = logger.level
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        logger.setLevel(level)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()
